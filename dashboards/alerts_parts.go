package dashboards

// componentAlerts are about the gate's replicas and what they depend on. Causes have shorter patience than their
// symptoms, or the symptoms' pages have left before the cause can silence them.
func componentAlerts() []rule {
	return []rule{down(), replicaDown(), restarting(), engineDown(), enginePartly(), circuitOpen(), redisDown(), redisPartly(), throttling(), saturated(), mismatch()}
}

// down names its job: absent over an expression drops the label, and what has no job is routed wrongly. It has
// patience for a single replica that is deployed: to drain, to fetch an image and to start takes over a minute.
func down() rule {
	return rule{Alert: "QRGateDown", Expr: `absent(up{` + job + `} == 1)`, For: "2m"}.
		with(map[string]string{"severity": critical, "job": "qrgate"}).annotate(
		"No replica of the gate answers",
		"Prometheus reaches none of them: all are down, or it has lost the job.")
}

func replicaDown() rule {
	return rule{Alert: "QRGateReplicaDown", Expr: `up{` + job + `} == 0`, For: "5m"}.
		with(map[string]string{"severity": warning}).annotate(
		"The replica {{ $labels.instance }} does not answer",
		"The others carry on; one more and there may be none.")
}

// restarting finds what no scrape sees: a gate that dies and is back within seconds. A deploy starts each replica once, and
// one that is rolled back twice.
func restarting() rule {
	return rule{Alert: "QRGateRestarting", Expr: `changes(process_start_time_seconds{` + job + `}[15m]) > 2.5`, KeepFiring: "5m"}.
		with(map[string]string{"severity": warning}).annotate(
		"The replica {{ $labels.instance }} starts again and again",
		`{{ printf "%.0f" $value }} starts in 15 minutes. Each cuts the requests that are held, and what only its memory knew is gone.`)
}

// Scrapes fail when all is on fire. The last value of two minutes outlives the gaps, without the minute
// that a maximum would add.
const engines = `(last_over_time(qrgate_engine_up{` + job + `}[2m]))`

func engineDown() rule {
	return rule{Alert: "QRGateEngineDown", Expr: `max by (job) ` + engines + ` == 0`, For: "30s", KeepFiring: causeKeepFiring}.
		with(map[string]string{"severity": critical}).annotate(
		"No replica gets an answer from the engine",
		"Nobody can get a QR, and what passes through fails too."+mostFailures)
}

func enginePartly() rule {
	return rule{Alert: "QRGateEnginePartiallyDown", Expr: `min by (job) ` + engines + ` == 0
and
max by (job) ` + engines + ` == 1`, For: "5m"}.
		with(map[string]string{"severity": warning}).annotate(
		"Some replicas reach the engine and some do not",
		"Whoever meets the wrong replica gets no QR; it looks like chance.")
}

// circuitOpen asks whether the circuit is not closed: in an outage it alternates between the other two states,
// and a scrape may meet either.
func circuitOpen() rule {
	return rule{Alert: "QRGateCircuitOpen",
		Expr: `max by (job, instance) (last_over_time(qrgate_engine_circuit_state{` + job + `,state="closed"}[2m])) == 0`, For: "2m"}.
		with(map[string]string{"severity": warning}).annotate(
		"The replica {{ $labels.instance }} can open no connection to the engine",
		"Whoever meets it is told at once that the engine cannot be reached; one call a second tries whether it is back.")
}

const stores = `(last_over_time(qrgate_store_up{` + job + `}[2m]))`

// redisDown wakes somebody although users are served: without a lease no probe walks to a QR, and the failures of the
// probes would wake them anyway, later and with the wrong words. It silences those.
func redisDown() rule {
	return rule{Alert: "QRGateRedisDown", Expr: `max by (job) ` + stores + ` == 0`, For: "30s", KeepFiring: causeKeepFiring}.
		with(map[string]string{"severity": critical}).annotate(
		"No replica reaches Redis",
		"Users are served from memory. But no probe walks to a QR (redis_unavailable), so nobody would notice if none came; replicas poll the engine side by side, and a client that changes replicas waits again.")
}

// redisPartly silences the budget that such a replica burns: each of its probes fails, while the leader's succeed.
func redisPartly() rule {
	return rule{Alert: "QRGateRedisPartiallyDown", Expr: `min by (job) ` + stores + ` == 0
and
max by (job) ` + stores + ` == 1`, For: "1m", KeepFiring: causeKeepFiring}.
		with(map[string]string{"severity": warning}).annotate(
		"Some replicas reach Redis and some do not",
		"Whoever meets the wrong replica waits again for a QR that another one has; its probes fail as redis_unavailable.")
}

func throttling() rule {
	return rule{Alert: "QRGateEngineThrottling",
		Expr: `sum by (job) (increase(qrgate_engine_requests_total{` + job + `,error_type="rate_limited"}[10m])) > 2.5`, For: "5m"}.
		with(map[string]string{"severity": warning}).annotate(
		"The engine throttles the gate",
		`{{ printf "%.0f" $value }} calls in ten minutes were answered 429. The gate keeps within the budget that the engine announces, so somebody else spends it, or it is wrong.`)
}

func saturated() rule {
	return rule{Alert: "QRGateSaturated",
		Expr: `max by (job, instance) (qrgate_waiters{` + job + `} / (qrgate_waiters_limit{` + job + `} > 0)) > 0.8`, For: "5m"}.
		with(map[string]string{"severity": warning}).annotate(
		"The replica {{ $labels.instance }} is nearly full of held requests",
		`{{ printf "%.2f" $value }} of its places are taken; over the limit the answer is "not yet" at once, and clients poll.`)
}

func mismatch() rule {
	return rule{Alert: "QRGateDecryptFailing",
		Expr: `sum by (job) (increase(qrgate_store_decrypt_failures_total{` + job + `}[15m])) > 0`, KeepFiring: "15m"}.
		with(map[string]string{"severity": warning}).annotate(
		"Stored values do not open for their reader",
		"Replicas have different secrets, or somebody writes to the store. No QR was shown to a stranger: what does not open is not there.")
}
