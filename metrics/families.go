package metrics

func qrFamilies() []Family {
	return []Family{
		counter(QRAcquisitions, "Journeys from connect to QR that ended. The source of the SLI.", "origin", "outcome", "diagnosis"),
		histogram(QRTimeToCode, "From the wish for a QR to its first code; successful journeys only.", journeyBuckets(), "origin"),
		counter(QRCodes, "Codes seen: the first of a connect, or one that replaced another.", "origin", "position"),
		counter(QRWaits, "Held requests for a QR of users, by answer: failure with diagnosis none is a plain 'not yet'.", "outcome", "diagnosis"),
		histogram(QRWaitDuration, "How long requests for a QR of users were held.", holdBuckets(), "outcome"),
		gauge(Sessions, "Sessions at work in this replica, by state, those of probes included; a linked one rests after half a minute and is not counted.", "state"),
		counter(StateChanges, "Changes of a session's state, by the state that began.", "state"),
		gauge(Waiters, "Requests that are held right now."),
		gauge(WaitersLimit, "Requests that this replica holds at most."),
	}
}

func engineFamilies() []Family {
	return []Family{
		gauge(EngineUp, "1 unless the last call to the engine, or its health check, found nobody there. 1 before the first call."),
		counter(EngineRequests, "The gate's own calls to the engine, by fault; not_ready is the usual answer of an engine that works.", "operation", "error_type"),
		histogram(EngineDuration, "One call to the engine; failure is no answer in time, 429, 5xx, or nonsense. Calls given up are left out.", callBuckets(), "operation", "outcome"),
		counter(EngineRetries, "The gate's own calls to the engine that came after a failed one, of the same operation for the same session.", "operation"),
		gauge(EngineCircuit, "1 for the state of the breaker before the engine: closed lets calls through, open answers them at once, half_open lets one try.", "state"),
		gauge(RateLimitRemaining, "Calls that the engine still allows in this window, of the key with the fewest. Absent when no engine says."),
		gauge(StoreUp, "1 unless the store of sessions cannot be reached. The store in memory always can."),
		counter(StoreDecryptFailures, "Stored values that did not open for their reader: a mix-up in the store, or an attack."),
		histogram(StoreDuration, "One operation of the store.", storeBuckets(), "operation"),
		counter(StoreFailures, "Operations of the store that failed; a lost race is none.", "operation"),
	}
}

func httpFamilies() []Family {
	const method, route, status = "http_request_method", "http_route", "http_response_status_code"
	return []Family{
		counter(HTTPRequests, "Requests answered. Statuses that are not listed are counted by class, as 4xx; those of probes always.", "origin", method, route, status),
		histogram(HTTPDuration, "From the head of a user's request to the end of its answer, holds included.", httpBuckets(), method, route),
		gauge(HTTPActive, "Requests in flight."),
		counter(HTTPBodyBytes, "Body bytes, read from clients or written to them.", "direction"),
		counter(HTTPClientGone, "Requests whose client left before the end of the answer.", "origin"),
		counter(HTTPFailures, "Answers that are unexplained failures: the engine's 5xx passed on, the gate's own, or one cut off in its midst.", "origin", "cause"),
		counter(HTTPRejected, "Requests that the gate itself refused, by reason. They are no valid events of an SLI.", "reason"),
	}
}

func probeFamilies() []Family {
	return []Family{
		counter(ProbeRuns, "Finished runs of a probe. The second source of the SLI.", "probe", "outcome", "diagnosis"),
		counter(ProbeErrors, "Runs that the prober itself could not finish; no bad events.", "probe", "reason"),
		counter(ProbeSkipped, "Runs that were due and did not begin.", "probe", "reason"),
		histogram(ProbeDuration, "A whole run of a probe.", journeyBuckets(), "probe", "outcome"),
		histogram(ProbeStepDuration, "One step of a run.", journeyBuckets(), "step"),
		counter(ProbeStepFailures, "Steps that failed.", "step"),
		gauge(ProbeLastRun, "Unix time of the last finished run; 0 before the first.", "probe"),
		gauge(ProbeLastSuccess, "Unix time of the last successful run; 0 before the first.", "probe"),
		gauge(ProbeInterval, "Configured time between two runs.", "probe"),
		gauge(ProbeLeader, "1 if this replica runs the probes of the cluster."),
		gauge(ProbeOrphans, "Sessions of probes that should be gone and are not."),
		counter(ProbeCleanupFailures, "Deletions of a probe's session that failed."),
	}
}

func selfFamilies() []Family {
	return []Family{
		gauge(BuildInfo, "1, with what was built.", "version", "revision", "goversion"),
		counter(ExportFailures, "Batches of telemetry that could not be exported.", "signal"),
		counter(LogMessages, "Log messages written.", "level"),
	}
}
