package dashboards

// globalCauses are causes that strike everybody, not one session.
const globalCauses = "engine_unreachable|engine_timeout|engine_5xx|engine_bad_response|engine_overloaded|connect_failing|qr_not_emitted|qr_invalid|" +
	"client_outdated|dns_failed|network_blocked|tls_intercepted|proxy_refused|whatsapp_silent|whatsapp_unavailable|internal"

// userAlerts are about what users feel, and why.
func userAlerts() []rule {
	return []rule{noQR(), clientOutdated(), dominant()}
}

// noQR sees an outage in four minutes where the budgets take eleven, because a waiting request ends within seconds
// and its acquisition after a minute. One session that polls repeatedly must not count as all users:
// three sessions must have begun to connect.
func noQR() rule {
	return rule{
		Alert: "QRGateNoQRDelivered",
		Expr: `sum by (job) (increase(qrgate_qr_waits_total{` + job + `,outcome="failure",diagnosis=~"` + globalCauses + `"}[3m])) > 4.5
and on (job)
sum by (job) (increase(qrgate_qr_waits_total{` + job + `,outcome="success"}[3m])) == 0
and on (job)
sum by (job) (increase(qrgate_session_state_changes_total{` + job + `,state="connecting"}[15m])) > 2.5`,
		For: "1m", KeepFiring: "2m",
	}.with(map[string]string{"severity": critical}).annotate(
		"No user got a QR for three minutes",
		`{{ printf "%.0f" $value }} requests for a QR failed for causes that affect all users, and none succeeded.`)
}

// clientOutdated takes one refusal for enough, and half a minute: WhatsApp refuses a version to everybody at once, waits
// and probes meet it before an acquisition ends, and it has to come before noQR, which it silences.
func clientOutdated() rule {
	const said = `,diagnosis="client_outdated"}[10m])) > 0`
	return rule{
		Alert: "QRGateClientOutdated",
		Expr: `sum by (job) (increase(qrgate_qr_waits_total{` + job + said + `
or
sum by (job) (increase(qrgate_qr_acquisitions_total{` + job + said + `
or
sum by (job) (increase(qrgate_probe_runs_total{` + job + said,
		For: "30s", KeepFiring: "10m",
	}.with(map[string]string{"severity": critical}).annotate(
		"WhatsApp refuses this version of the engine's library",
		"No session can be paired until the engine is updated. Waiting and restarting do not help.")
}

// dominant never notifies; the dashboards show it beside the alerts that do.
func dominant() rule {
	const failures = `(increase(qrgate_qr_acquisitions_total{` + job + `,outcome="failure"}[15m]))`
	return rule{
		Alert: "QRGateDominantDiagnosis",
		Expr: `sum by (job, diagnosis) ` + failures + `
/ on (job) group_left ()
sum by (job) ` + failures + ` > 0.5
and
sum by (job, diagnosis) ` + failures + ` > 4.5`,
		For: "2m",
	}.with(map[string]string{"severity": info}).annotate(
		"Most failures have one cause: {{ $labels.diagnosis }}",
		`{{ printf "%.2f" $value }} of the failed acquisitions of the last 15 minutes. Its section in diagnoses.md states what to do.`)
}
