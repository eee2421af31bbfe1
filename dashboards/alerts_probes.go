package dashboards

// probeAlerts are about the runs of the probes: that they succeed, and that they take place.
func probeAlerts() []rule {
	const cheap = `probe!="create_connect_qr"`
	return []rule{
		stale(critical, deep), stale(warning, cheap), notSucceeding(critical, deep), notSucceeding(warning, cheap),
		probeAbsent(), leadership(), leaking(),
	}
}

// age is how long ago something last happened, by probe. Timestamps are 0 before the first time, and gone
// after a deploy: what old replicas said counts for an hour, and if nobody ever said anything the time runs
// from the start of the first replica. Planned silence is no silence.
func age(metric, which, limit string) string {
	const every = `max by (job, probe) (qrgate_probe_interval_seconds{` + job
	return `time() - (
  max by (job, probe) (max_over_time(` + metric + `{` + job + which + `}[1h]) > 0)
  or
  0 * ` + every + which + `}) + on (job) group_left () min by (job) (min_over_time(process_start_time_seconds{` + job + `}[1h]))
) > ` + limit + ` * ` + every + `})
unless
sum by (job, probe) (increase(qrgate_probe_skipped_total{` + job + `,reason="maintenance"}[15m])) > 0`
}

// stale has to be quicker than notSucceeding, which it silences: a probe that does not run detects nothing. Two and a half
// intervals are more than the two that a restart may leave between two runs, which begin at a random place. Of a
// cheap probe, whose intervals are seconds, it does not page: a machine that was suspended for two minutes is no outage.
func stale(severity, which string) rule {
	says := "Monitoring is off: only users would notice an outage."
	if severity != critical {
		says = "Monitoring is reduced; the deep probe has an alert of its own."
	}
	return rule{Alert: "QRGateProbeStale", Expr: age("qrgate_probe_last_run_timestamp_seconds", ","+which, "2.5"), For: "1m"}.
		with(map[string]string{"severity": severity}).annotate(
		"The probe {{ $labels.probe }} has not run for {{ $value | humanizeDuration }}",
		says+missed)
}

// missed ends the description with why most runs of the last half hour did not come about, if the prober knows. That
// another replica leads is as it should be.
const missed = `{{ with printf "topk(1, sum by (reason) (increase({__name__=~\"qrgate_probe_errors_total|qrgate_probe_skipped_total\",job=\"qrgate\",probe=\"%s\",reason!=\"not_leader\"}[30m])) > 0)" $labels.probe | query }} Runs did not take place: {{ . | first | label "reason" }}.{{ end }}`

// notSucceeding lets one failure pass, whose neighbours are two intervals apart, and needs three: of the usual five
// minutes five more intervals would be half an hour of outage. It ends soon after a success, for that is the proof.
func notSucceeding(severity, which string) rule {
	return rule{Alert: "QRGateProbeNotSucceeding", KeepFiring: "2m",
		Expr: age("qrgate_probe_last_success_timestamp_seconds", ","+which, "3"), For: "1m"}.
		with(map[string]string{"severity": severity}).annotate(
		"The probe {{ $labels.probe }} has not succeeded for {{ $value | humanizeDuration }}",
		"Users are probably affected too."+mostFailures+ownKey)
}

// probeAbsent does not page: it is a setting that was never made, or was lost in a deploy, whose author is awake. That
// a probe which is set never ran is reported by stale, which counts from the start.
func probeAbsent() rule {
	return rule{Alert: "QRGateProbeAbsent", Expr: `absent(qrgate_probe_interval_seconds{` + job + `,` + deep + `})
and on ()
count(up{` + job + `} == 1) > 0`, For: "5m"}.
		with(map[string]string{"severity": warning}).annotate(
		"No replica probes the acquisition of a QR",
		"QRGATE_PROBE_API_KEY is not set: without users an outage would not be detected.")
}

// leadership allows two minutes: a lease ends 15 s after its holder, and scrapes of two replicas are up to one
// scrape interval apart.
func leadership() rule {
	return rule{Alert: "QRGateProbeLeadership", Expr: `sum by (job) (qrgate_probe_leader{` + job + `}) != 1
and on (job)
count by (job) (qrgate_probe_interval_seconds{` + job + `,probe=~"create_.+"}) > 0`, For: "2m"}.
		with(map[string]string{"severity": warning}).annotate(
		`{{ printf "%.0f" $value }} replicas lead the probes instead of one`,
		"With none there are no deep probes; with several, each makes sessions at the engine.")
}

// leaking stays a warning at any number: at ten nothing more is made, and stale pages when no probe runs then.
func leaking() rule {
	return rule{Alert: "QRGateProbeSessionsLeaking", Expr: `max by (job) (qrgate_probe_orphaned_sessions{` + job + `}) > 0`, For: "15m"}.
		with(map[string]string{"severity": warning}).annotate(
		`{{ printf "%.0f" $value }} sessions of probes are not deleted`,
		"Their deletion fails. They count against the engine's limit; at ten the probes stop.")
}
