package dashboards

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
