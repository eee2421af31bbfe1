// Package metrics holds every metric name of the gate, the observers that feed them, and the OpenTelemetry
// set-up: traces over OTLP, and the bridge from log/slog to both.
//
// The rooms of the gate know nothing of it. They report flat values (a [qrgate.Event], an [Exchange]), and
// whoever wires the program hands those to the observers here:
//
//	Metrics.Observe     the heart's events: journeys, looks at the engine, holds, the store
//	Metrics.HTTP        one request and its answer
//	Metrics.Probes      what the synthetic probes found
//	Config.Read         gauges that are read at scrape time, and so cannot go stale
//	Tracing             spans of requests, of flights and of calls to the engine
//	LogHandler          counts messages, adds trace ids, and takes secrets out
//
// Labels are closed: every legal combination of label values exists with value 0 from the start, and no
// input can make another one. A replica therefore has the same number of series from its first scrape to
// its last, at most [MaxSeries]. Nothing that a client chose (an id, a path, a key, an error text) is a
// label value. docs/METRICS.md lists the families; a test compares it with [Catalogue].
package metrics
