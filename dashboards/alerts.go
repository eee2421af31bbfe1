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

// componentAlerts are about qrgate's replicas and what they depend on. Causes have shorter patience than their
// symptoms, or the symptoms' pages have left before the cause can silence them.
func componentAlerts() []rule {
	return []rule{down(), replicaDown(), restarting(), engineDown(), enginePartly(), circuitOpen(), redisDown(), redisPartly(), throttling(), saturated(), mismatch()}
}

// down names its job: absent over an expression drops the label, and what has no job is routed wrongly. It has
// patience for a single replica that is deployed: to drain, to fetch an image and to start takes over a minute.
func down() rule {
	return rule{Alert: "QRGateDown", Expr: `absent(up{` + job + `} == 1)`, For: "2m"}.
		with(map[string]string{"severity": critical, "job": "qrgate"}).annotate(
		"No replica of qrgate responds",
		"Prometheus cannot scrape any of them: all are down, or the job is missing.")
}

func replicaDown() rule {
	return rule{Alert: "QRGateReplicaDown", Expr: `up{` + job + `} == 0`, For: "5m"}.
		with(map[string]string{"severity": warning}).annotate(
		"The replica {{ $labels.instance }} does not respond",
		"The other replicas serve its clients.")
}

// restarting finds what no scrape sees: a process that restarts within seconds. A deploy starts each replica once, and
// one that is rolled back twice.
func restarting() rule {
	return rule{Alert: "QRGateRestarting", Expr: `changes(process_start_time_seconds{` + job + `}[15m]) > 2.5`, KeepFiring: "5m"}.
		with(map[string]string{"severity": warning}).annotate(
		"The replica {{ $labels.instance }} restarts repeatedly",
		`{{ printf "%.0f" $value }} starts in 15 minutes. Each closes the waiting requests and loses the in-memory state.`)
}

// Scrapes fail when all is on fire. The last value of two minutes outlives the gaps, without the minute
// that a maximum would add.
const engines = `(last_over_time(qrgate_engine_up{` + job + `}[2m]))`

func engineDown() rule {
	return rule{Alert: "QRGateEngineDown", Expr: `max by (job) ` + engines + ` == 0`, For: "30s", KeepFiring: causeKeepFiring}.
		with(map[string]string{"severity": critical}).annotate(
		"No replica gets a response from the engine",
		"No user can get a QR, and requests that pass through fail too."+mostFailures)
}

func enginePartly() rule {
	return rule{Alert: "QRGateEnginePartiallyDown", Expr: `min by (job) ` + engines + ` == 0
and
max by (job) ` + engines + ` == 1`, For: "5m"}.
		with(map[string]string{"severity": warning}).annotate(
		"Some replicas reach the engine and some do not",
		"Clients of the affected replicas get no QR.")
}

// circuitOpen asks whether the circuit is not closed: in an outage it alternates between the other two states,
// and a scrape may meet either.
func circuitOpen() rule {
	return rule{Alert: "QRGateCircuitOpen",
		Expr: `max by (job, instance) (last_over_time(qrgate_engine_circuit_state{` + job + `,state="closed"}[2m])) == 0`, For: "2m"}.
		with(map[string]string{"severity": warning}).annotate(
		"The replica {{ $labels.instance }} cannot connect to the engine",
		"It rejects requests at once and retries one call a second.")
}

const stores = `(last_over_time(qrgate_store_up{` + job + `}[2m]))`

// redisDown pages although users are served: without a lease no probe walks to a QR, and the failures of the
// probes would wake them anyway, later and with the wrong words. It silences those.
func redisDown() rule {
	return rule{Alert: "QRGateRedisDown", Expr: `max by (job) ` + stores + ` == 0`, For: "30s", KeepFiring: causeKeepFiring}.
		with(map[string]string{"severity": critical}).annotate(
		"No replica reaches Redis",
		"Users are served from the in-memory store. No probe acquires a QR (redis_unavailable), so an outage would not be detected; each replica polls the engine by itself, and a client that changes replicas waits again.")
}

// redisPartly silences the budget that such a replica burns: each of its probes fails, while the leader's succeed.
func redisPartly() rule {
	return rule{Alert: "QRGateRedisPartiallyDown", Expr: `min by (job) ` + stores + ` == 0
and
max by (job) ` + stores + ` == 1`, For: "1m", KeepFiring: causeKeepFiring}.
		with(map[string]string{"severity": warning}).annotate(
		"Some replicas reach Redis and some do not",
		"Clients of the affected replicas wait again for a QR that another replica has; the probes there fail as redis_unavailable.")
}

func throttling() rule {
	return rule{Alert: "QRGateEngineThrottling",
		Expr: `sum by (job) (increase(qrgate_engine_requests_total{` + job + `,error_type="rate_limited"}[10m])) > 2.5`, For: "5m"}.
		with(map[string]string{"severity": warning}).annotate(
		"The engine rate-limits qrgate",
		`{{ printf "%.0f" $value }} calls in ten minutes got a 429. qrgate keeps within the limit that the engine reports, so another client uses the same key, or the reported limit is wrong.`)
}

func saturated() rule {
	return rule{Alert: "QRGateSaturated",
		Expr: `max by (job, instance) (qrgate_waiters{` + job + `} / (qrgate_waiters_limit{` + job + `} > 0)) > 0.8`, For: "5m"}.
		with(map[string]string{"severity": warning}).annotate(
		"The replica {{ $labels.instance }} is near its limit of waiting requests",
		`{{ printf "%.2f" $value }} of the limit is used; over the limit requests get "not ready" at once, and clients poll.`)
}

func mismatch() rule {
	return rule{Alert: "QRGateDecryptFailing",
		Expr: `sum by (job) (increase(qrgate_store_decrypt_failures_total{` + job + `}[15m])) > 0`, KeepFiring: "15m"}.
		with(map[string]string{"severity": warning}).annotate(
		"Stored values cannot be decrypted",
		"Replicas have different secrets, or another program writes to the store. No QR was shown to an unauthorized client: qrgate ignores such values.")
}

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
