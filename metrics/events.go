package metrics

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/internal/store"
)

// qrMetrics are about acquisitions and waits.
type qrMetrics struct {
	acquisitions, codes, waits, stateChanges *prometheus.CounterVec
	timeToCode, waitDuration                 *prometheus.HistogramVec
}

func newQRMetrics(f factory) qrMetrics {
	return qrMetrics{
		acquisitions: f.counters("qrgate_qr_acquisitions_total",
			"Acquisitions from connect to QR that ended. Valid events of the users' SLI.",
			[]string{"origin", "outcome", "diagnosis"}, product(origins(), outcomes(acquisitionOutcome))),
		timeToCode: f.histograms("qrgate_qr_time_to_code_seconds",
			"Seconds from the request for a QR to the first code, for successful acquisitions.",
			acquisitionBuckets, []string{"origin"}, origins()),
		codes: f.counters("qrgate_qr_codes_total",
			"QR codes received: the first of a connect, or a later one that replaced it.",
			[]string{"origin", "position"}, product(origins(), values("first", "later"))),
		waits: f.counters("qrgate_qr_waits_total",
			"Users' requests that waited for a QR, by response. Failure with diagnosis none is 'not ready yet'.",
			[]string{"outcome", "diagnosis"}, outcomes(waitOutcome)),
		waitDuration: f.histograms("qrgate_qr_wait_duration_seconds",
			"Seconds that users' requests waited for a QR.", waitBuckets, []string{"outcome"},
			values(session.Success, session.Failure, session.Abandoned)),
		stateChanges: f.counters("qrgate_session_state_changes_total",
			"Changes of a session's state, by new state.", []string{"state"}, values(session.States()...)),
	}
}

// engineMetrics are about calls to the engine, and the events that it reports.
type engineMetrics struct {
	engineUp                      prometheus.Gauge
	engineRequests, engineRetries *prometheus.CounterVec
	engineDuration                *prometheus.HistogramVec
	webhookDropped                prometheus.Counter
}

func newEngineMetrics(f factory) engineMetrics {
	kinds := append(session.Kinds(), errorTypeNone)
	m := engineMetrics{
		engineUp: f.gauge("qrgate_engine_up",
			"Whether the engine responded to its last call or health check. 1 before the first call."),
		engineRequests: f.counters("qrgate_engine_requests_total",
			"Calls of qrgate itself to the engine, by error type. A working engine often responds with not_ready.",
			[]string{"operation", "error_type"}, product(values(operations...), values(kinds...))),
		engineDuration: f.histograms("qrgate_engine_request_duration_seconds",
			"Seconds from a call to the engine to the end of its response. "+
				"Failure is a timeout, a 429, a 5xx or an invalid response. Canceled calls are not observed.",
			engineBuckets, []string{"operation", "outcome"},
			product(values(operations...), values(session.Success, session.Failure))),
		engineRetries: f.counters("qrgate_engine_retries_total",
			"Calls of qrgate itself to the engine that followed a failed call of the same operation for the same session.",
			[]string{"operation"}, values(operations...)),
		webhookDropped: f.counter("qrgate_webhook_events_dropped_total",
			"Events of sessions that qrgate dropped because their webhook did not accept them."),
	}
	m.engineUp.Set(1)
	return m
}

// storeMetrics are about operations of the store.
type storeMetrics struct {
	storeUp         prometheus.Gauge
	storeFailures   *prometheus.CounterVec
	storeDuration   *prometheus.HistogramVec
	decryptFailures prometheus.Counter
}

func newStoreMetrics(f factory) storeMetrics {
	m := storeMetrics{
		storeUp: f.gauge("qrgate_store_up",
			"Whether the session store is available. The store in memory always is."),
		decryptFailures: f.counter("qrgate_store_decrypt_failures_total",
			"Stored values that could not be decrypted: replicas with different secrets, or manipulated values."),
		storeDuration: f.histograms("qrgate_store_operation_duration_seconds",
			"Seconds from the start to the end of a store operation.",
			storeBuckets, []string{"operation"}, values(storeOperations...)),
		storeFailures: f.counters("qrgate_store_operation_failures_total",
			"Store operations that failed. A version conflict is not a failure.",
			[]string{"operation"}, values(storeOperations...)),
	}
	m.storeUp.Set(1)
	return m
}

// Observe counts an event. The sampled span that it belongs to becomes the exemplar. Events of an unknown kind or
// operation are not counted.
func (m *Metrics) Observe(e session.Event, span trace.SpanContext) {
	switch e.Kind {
	case session.EventAcquisition:
		origin := originOf(e.Traffic)
		outcome, cause := acquisitionOutcome(e.Outcome, e.Diagnosis)
		m.acquisitions.WithLabelValues(origin, string(outcome), string(cause)).Inc()
		if outcome == session.Success {
			observe(m.timeToCode.WithLabelValues(origin), e.Duration, span)
		}
	case session.EventEngineCall:
		m.observeCall(e, span)
	case session.EventWait:
		if originOf(e.Traffic) != string(session.UserTraffic) {
			return // probes measure their own steps
		}
		outcome, cause := waitOutcome(e.Outcome, e.Diagnosis)
		m.waits.WithLabelValues(string(outcome), string(cause)).Inc()
		m.waitDuration.WithLabelValues(string(outcome)).Observe(e.Duration.Seconds())
	case session.EventQR:
		position := "first"
		if e.Sequence > 1 {
			position = "later"
		}
		m.codes.WithLabelValues(originOf(e.Traffic), position).Inc()
	case session.EventState:
		if slices.Contains(session.States(), e.To) {
			m.stateChanges.WithLabelValues(string(e.To)).Inc()
		}
	case session.EventDecryptFailed:
		m.decryptFailures.Inc()
	case session.EventStore:
		m.storeUp.Set(boolValue(e.Available))
	}
}

func (m *Metrics) observeCall(e session.Event, span trace.SpanContext) {
	if !slices.Contains(operations, e.Op) {
		return
	}
	kind := errorType(e.ErrorKind)
	m.engineRequests.WithLabelValues(e.Op, kind).Inc()
	if outcome := callOutcome(e.ErrorKind); outcome != session.Abandoned {
		observe(m.engineDuration.WithLabelValues(e.Op, string(outcome)), e.Duration, span)
	}
	if up, known := e.EngineUp(); known {
		m.engineUp.Set(boolValue(up))
	}
}

// WebhookDropped counts an event that its webhook did not accept.
func (m *Metrics) WebhookDropped() { m.webhookDropped.Inc() }

// Health records the result of a health check of the engine, [diagnosis.None] or the reason why it failed. An engine
// that responds with an error, a rejection or a rate limit is up. Other results prove nothing.
func (m *Metrics) Health(cause diagnosis.Code) {
	if up, known := session.EngineUp(cause); known {
		m.engineUp.Set(boolValue(up))
	}
}

// Store records one operation of the store: get, put, acquire or release.
func (m *Metrics) Store(op string, duration time.Duration, err error) {
	if !slices.Contains(storeOperations, op) {
		return
	}
	m.storeDuration.WithLabelValues(op).Observe(duration.Seconds())
	if err != nil && !errors.Is(err, store.ErrVersionConflict) {
		m.storeFailures.WithLabelValues(op).Inc()
	}
}

// httpMetrics are about the requests of clients.
type httpMetrics struct {
	httpActive                                                  prometheus.Gauge
	httpRequests, httpBytes, httpFailures, clientGone, rejected *prometheus.CounterVec
	httpDuration                                                *prometheus.HistogramVec
}

func newHTTPMetrics(f factory) httpMetrics {
	const method, route, status = "http_request_method", "http_route", "http_response_status_code"
	return httpMetrics{
		httpRequests: f.counters("http_server_requests_total",
			"Requests that ended. "+
				"Statuses outside the documented list are counted by class, such as 4xx; those of probes always.",
			[]string{"origin", method, route, status}, httpRequestLabels()),
		httpDuration: f.histograms("http_server_request_duration_seconds",
			"Seconds from the header of a user's request to the end of its response, waits included.",
			httpBuckets, []string{method, route}, httpRoutes()),
		httpActive: f.gauge("http_server_active_requests", "Active requests."),
		httpBytes: f.counters("qrgate_http_body_bytes_total",
			"Bytes of bodies read from clients (in) or written to them (out).", []string{"direction"}, values("in", "out")),
		clientGone: f.counters("qrgate_http_client_gone_total",
			"Requests whose client left before the end of the response.", []string{"origin"}, origins()),
		httpFailures: f.counters("qrgate_http_failures_total",
			"Requests that failed without a diagnosis: "+
				"a 5xx of the engine, an internal error of the gateway, or a truncated response.",
			[]string{"origin", "cause"}, product(origins(), values(causeEngine, causeGateway, causeTruncated))),
		rejected: f.counters("qrgate_requests_rejected_total",
			"Requests that qrgate itself rejected, by reason. They are no valid events of an SLI.",
			[]string{"reason"}, values(slices.Compact(slices.Sorted(maps.Values(rejections)))...)),
	}
}

// HTTP counts one request. It is safe for concurrent use.
func (m *Metrics) HTTP(r session.RequestLog) {
	origin := originOf(r.Traffic)
	method, route := routeLabels(r.Method, r.Route)
	m.httpRequests.WithLabelValues(origin, method, route, statusLabel(origin, r.Status)).Inc()
	m.httpBytes.WithLabelValues("in").Add(float64(max(r.BytesIn, 0)))
	m.httpBytes.WithLabelValues("out").Add(float64(max(r.BytesOut, 0)))
	if r.ClientGone {
		m.clientGone.WithLabelValues(origin).Inc()
	}
	if cause := failureCause(r); cause != "" {
		m.httpFailures.WithLabelValues(origin, cause).Inc()
	}
	if reason, ok := rejections[r.Status]; ok && r.Code != "" {
		m.rejected.WithLabelValues(reason).Inc()
	}
	if origin == string(session.UserTraffic) {
		observe(m.httpDuration.WithLabelValues(method, route), r.Took, spanContext(r.Trace))
	}
}

// InFlight counts the requests that next is serving.
func (m *Metrics) InFlight(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.httpActive.Inc()
		defer m.httpActive.Dec()
		next.ServeHTTP(w, r)
	})
}

// observe adds a duration. Only a sampled span becomes an exemplar: the link to any other trace would lead nowhere.
func observe(h prometheus.Observer, d time.Duration, span trace.SpanContext) {
	if e, ok := h.(prometheus.ExemplarObserver); ok && span.IsValid() && span.IsSampled() {
		e.ObserveWithExemplar(d.Seconds(),
			prometheus.Labels{"trace_id": span.TraceID().String(), "span_id": span.SpanID().String()})
		return
	}
	h.Observe(d.Seconds())
}

func boolValue(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
