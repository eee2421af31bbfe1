package dashboards

// metaAlerts are about whether the other alerts can be trusted.
func metaAlerts() []rule {
	return []rule{dropping(), bucketsMissing(), watchdog()}
}

func dropping() rule {
	return rule{Alert: "QRGateTelemetryDropping",
		Expr: `sum by (job) (increase(qrgate_otel_export_failures_total{` + job + `}[15m])) > 0`, For: "15m"}.
		with(map[string]string{"severity": warning}).annotate(
		"Traces are lost",
		`{{ printf "%.0f" $value }} batches in 15 minutes could not be exported. Metrics and alerts are not affected.`)
}

// bucketsMissing guards against a Prometheus that takes native histograms and silently drops the classic
// ones, whereupon every SLI with a threshold is empty and nothing else alerts.
func bucketsMissing() rule {
	return rule{Alert: "QRGateClassicBucketsMissing", Expr: `absent(qrgate_qr_time_to_code_seconds_bucket{` + job + `,le=~"15(\\.0)?"})
and on ()
count(up{` + job + `} == 1) > 0`, For: "10m"}.
		with(map[string]string{"severity": warning, "job": "qrgate"}).annotate(
		"Prometheus drops the classic histograms",
		"The SLOs user-qr and qr-latency have no data. Set always_scrape_classic_histograms: true.")
}

// watchdog always fires; a dead man's switch notices when alerts no longer arrive.
func watchdog() rule {
	return rule{Alert: "Watchdog", Expr: "vector(1)"}.
		with(map[string]string{"severity": none, "job": "qrgate"}).annotate(
		"Always firing: alerts still reach you",
		"It goes to a dead man's switch, which calls when this stops.")
}
