package house_test

// allowed are the exceptions :: rule → "file: what" → reason. Each is a judgement or a debt, and says which.
var allowed = map[string]map[string]string{
	"globals": {
		"proxy/router.go: variable releaseGin":                    "Gin keeps its mode in a global of its own; this Once is the one place that sets it",
		"compat/embedded/wasim_on.go: variable trusted":           "whatsmeow keeps WhatsApp's root in a global; it is changed at most once, and with -tags wasim only",
		"internal/wasim/wasimtest/wasimtest.go: variable prepare": "whatsmeow keeps WhatsApp's root in a global; tests change it once, before any client",
	},
	"sleeps": {
		"internal/gate/sockets_test.go: TestStoppingOverSockets sleeps":             "it looks for the first call that a real socket brings; the test's own time-out is its limit",
		"metrics/tracing_test.go: waitFor sleeps":                                   "spans end in goroutines of otelhttp that nobody can wait for; it fails at its limit",
		"compat/embedded/bench_test.go: BenchmarkConnectToQR sleeps":                "it measures what a client sees that asks every millisecond",
		"compat/embedded/rig_test.go: rig.until sleeps":                             "it asks a server over HTTP again and again, as a client does, and fails at its limit; there is nothing to wait on",
		"compat/embedded/store_test.go: waitFor sleeps":                             "it looks for what another process does in its own time, and fails at its limit",
		"internal/wasim/watch_test.go: eventually sleeps":                           "it looks for what real sockets do within milliseconds, and fails at its limit",
		"internal/clients/wizard_test.go: TestSlowAnswersOverlapInTheWizard sleeps": "its handler runs in the bubble that run makes",
	},
	"parts": {
		"cmd/qrgate-demo/stage.go: imports go.mau.fi/whatsmeow": "the demo makes the library trust the simulated WhatsApp, which nothing that ships may do",
	},
}
