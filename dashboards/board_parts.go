package dashboards

import "github.com/grafana/grafana-foundation-sdk/go/units"

func dependencies() panels {
	return panels{
		graph(text{"Engine: calls by error type", "Calls of qrgate itself. A working engine often responds with not_ready; the others are problems.", units.EventsPerSecond}, third,
			line(rate("error_type", of("qrgate_engine_requests_total"))+" > 0", "{{error_type}}")).NoValue("no calls"),
		graph(text{"Engine: time per call", "95 % of the calls take no longer. A diamond leads to its trace.", units.Seconds}, third,
			line(quantile("0.95", "operation", "qrgate_engine_request_duration_seconds"), "{{operation}}").Exemplar(true)),
		graph(text{"Engine: failed calls", "Share of the calls with a timeout, a 429, a 5xx or an invalid response.", units.PercentUnit}, third,
			line(rate("operation", of("qrgate_engine_request_duration_seconds_count", `outcome="failure"`))+"\n/\n"+
				rate("operation", of("qrgate_engine_request_duration_seconds_count")), "{{operation}}")).Max(1),
		strip(text{"Who reaches the engine", "By replica. Red: the engine did not respond to its last call or health check.", units.Short}, third,
			line(`max by (instance) (`+of("qrgate_engine_up")+`)`, "{{instance}}"), [2]string{"unreachable", "reachable"}),
		strip(text{"Engine: circuit", "By replica. Red: no connection can be opened; requests fail at once, and one call a second is retried.", units.Short}, third,
			line(`max by (instance) (`+of("qrgate_engine_circuit_state", `state="closed"`)+`)`, "{{instance}}"), [2]string{"open", "closed"}),
		graph(text{"Engine: retries", "Calls of qrgate itself that followed a failed call of the same operation for the same session.", units.EventsPerSecond}, third,
			line(rate("operation", of("qrgate_engine_retries_total")), "{{operation}}")),
		graph(text{"Engine: budget left", "Calls that the engine still allows in this window, of the key with the fewest. At 0 QRs come late.", units.Short}, third,
			line(`min by (instance) (`+of("qrgate_engine_rate_limit_remaining")+`)`, "{{instance}}")).NoValue("the engine does not say"),
		strip(text{"Who reaches the store", "By replica. Red: it goes on from its own memory.", units.Short}, third,
			line(`min by (instance) (`+of("qrgate_store_up")+`)`, "{{instance}}"), [2]string{"away", "there"}),
		graph(text{"Store: time per operation", "95 % take no longer. qrgate waits 150 ms at most.", units.Seconds}, third,
			line(quantile("0.95", "operation", "qrgate_store_operation_duration_seconds"), "{{operation}}")),
		graph(text{"Store: failures", "Operations that failed; a lost race is none.", units.EventsPerSecond}, half,
			line(rate("operation", of("qrgate_store_operation_failures_total")), "{{operation}}")),
		graph(text{"Store: decrypt failures", "Replicas with different secrets, or another program that writes to the store.", units.EventsPerSecond}, half,
			line(rate("instance", of("qrgate_store_decrypt_failures_total")), "{{instance}}")),
	}
}

func gatewayPanels() panels {
	return append(traffic(), process()...)
}

func traffic() panels {
	return panels{
		graph(text{"Requests by route", "unmatched is all that passes through.", units.RequestsPerSecond}, third,
			line(rate("http_request_method, http_route", of("http_server_requests_total"))+" > 0", "{{http_request_method}} {{http_route}}")).NoValue("no requests"),
		graph(text{"Answers by status", "Of users. 202 is \"not yet\", 503 a diagnosis, 499 a client that left.", units.RequestsPerSecond}, third,
			line(rate("http_response_status_code", of("http_server_requests_total", `origin="user"`))+" > 0", "{{http_response_status_code}}")).NoValue("no requests"),
		graph(text{"Time per route", "95 % of users' requests take no longer, waits included.", units.Seconds}, third,
			line(quantile("0.95", "http_route", "http_server_request_duration_seconds"), "{{http_route}}").Exemplar(true)),
		graph(text{"Failures without a diagnosis", "Count against availability: a 5xx of the engine, internal errors of the gateway, truncated responses.", units.RequestsPerSecond}, third,
			line(rate("origin, cause", of("qrgate_http_failures_total")), "{{origin}} {{cause}}")),
		graph(text{"Rejected requests", "By qrgate itself, with the reason.", units.RequestsPerSecond}, third,
			line(rate("reason", of("qrgate_requests_rejected_total")), "{{reason}}")),
		graph(text{"Clients that left", "Before their response: their timeouts may be shorter than the wait.", units.RequestsPerSecond}, third,
			line(rate("origin", of("qrgate_http_client_gone_total")), "{{origin}}")),
		graph(text{"Waiting requests", "With the limit. Over the limit requests get \"not ready\" at once.", units.Short}, third,
			line(`sum by (instance) (`+of("qrgate_waiters")+`)`, "{{instance}} waiting"), line(`sum by (instance) (`+of("qrgate_waiters_limit")+`)`, "{{instance}} limit")),
		graph(text{"Requests in flight", "Waiting ones, and those that pass through.", units.Short}, third,
			line(`sum by (instance) (`+of("http_server_active_requests")+`)`, "{{instance}}")),
		graph(text{"Bodies", "Bytes read from clients and written to them.", units.BytesPerSecondIEC}, third,
			line(rate("direction", of("qrgate_http_body_bytes_total")), "{{direction}}")),
	}
}

func process() panels {
	return panels{
		graph(text{"Processor", "Cores in use.", units.Short}, quarter, line(rate("instance", of("process_cpu_seconds_total")), "{{instance}}")),
		graph(text{"Memory", "Resident.", units.BytesIEC}, quarter, line(`sum by (instance) (`+of("process_resident_memory_bytes")+`)`, "{{instance}}")),
		graph(text{"Goroutines", "They rise and fall with the waiting requests.", units.Short}, quarter, line(`sum by (instance) (`+of("go_goroutines")+`)`, "{{instance}}")),
		graph(text{"Open files", "Of those that the process may open.", units.PercentUnit}, quarter,
			line(`max by (instance) (`+of("process_open_fds")+` / `+of("process_max_fds")+`)`, "{{instance}}")).Max(1),
	}
}

func metaPanels() panels {
	return panels{
		graph(text{"Log messages", "By level.", units.EventsPerSecond}, third, line(rate("level", of("qrgate_log_messages_total")), "{{level}}")),
		graph(text{"Traces lost", "Batches that could not be exported.", units.EventsPerSecond}, third, line(rate("signal", of("qrgate_otel_export_failures_total")), "{{signal}}")),
		graph(text{"Scrapes", "How long Prometheus takes to ask a replica. Gaps are scrapes that failed.", units.Seconds}, third, line(of("scrape_duration_seconds"), "{{instance}}")),
		rows(text{"What runs", "Versions by replica; several while a deploy is under way.", units.Short}, whole,
			`count by (instance, version, revision, goversion) (`+of("qrgate_build_info")+`)`),
	}
}
