package metrics

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/internal/store"
)

// Observe counts one event of the heart. It is a [qrgate.Observer]. An event of a kind or an operation
// that is not on the closed lists is not counted.
func (m *Metrics) Observe(e session.Event) { m.ObserveIn(e, trace.SpanContext{}) }

// ObserveIn counts one event that belongs to a span, which becomes the exemplar if it is sampled.
func (m *Metrics) ObserveIn(e session.Event, in trace.SpanContext) {
	switch e.Kind {
	case session.EventAcquisition:
		m.journey(e, in)
	case session.EventEngineCall:
		m.look(e, in)
	case session.EventWait:
		m.hold(e)
	case session.EventQR:
		m.codes.inc(label2{string(originOf(e.Traffic)), position(e.Sequence)})
	case session.EventState:
		m.stateChanges.inc(label1(e.To))
	case session.EventDecryptFailed:
		m.mismatches.inc("")
	case session.EventStore:
		m.storeUp.set("", truth(e.Available))
	}
}

func (m *Metrics) journey(e session.Event, in trace.SpanContext) {
	origin := string(originOf(e.Traffic))
	out, why := normalizeOutcome(e.Outcome, e.Diagnosis)
	m.journeys.inc(outcomeLabels{origin, out, why})
	if out == session.Success {
		m.timeToCode.observe(label1(origin), e.Duration.Seconds(), exemplar(in))
	}
}

func (m *Metrics) look(e session.Event, in trace.SpanContext) {
	fault := faultLabel(e.ErrorKind)
	m.engineCalls.inc(label2{e.Op, fault})
	if out := callOutcome(fault); out != session.Abandoned {
		m.engineTook.observe(label2{e.Op, string(out)}, e.Duration.Seconds(), exemplar(in))
	}
	if up, proved := answers(e); proved {
		m.engineUp.set("", truth(up))
	}
}

// hold counts those of users; the probes time their own steps.
func (m *Metrics) hold(e session.Event) {
	if originOf(e.Traffic) != session.UserTraffic {
		return
	}
	end := waitLabels(e.Outcome, e.Diagnosis)
	m.holds.inc(end)
	m.holdDuration.observe(label1(end.outcome), e.Duration.Seconds(), nil)
}

// Health takes what a regular look at the engine's health found, [qrgate.None] or why it failed, beside what the gate's
// own calls prove. An engine that answers with an error, a refusal or "too many" is there: whoever is woken because
// nobody answers would look in the wrong place. A look that failed for another reason proves nothing.
func (m *Metrics) Health(why diagnosis.Code) {
	switch why {
	case diagnosis.EngineUnreachable, diagnosis.EngineTimeout:
		m.engineUp.set("", 0)
	case diagnosis.None, diagnosis.Engine5xx, diagnosis.EngineBadResponse, diagnosis.KeyRefused, diagnosis.RateLimited:
		m.engineUp.set("", 1)
	}
}

// Store counts one operation of the store (get, put, acquire or release) that took so long and ended in
// err. Losing a race is no failure.
func (m *Metrics) Store(op string, took time.Duration, err error) {
	m.storeTook.observe(label1(op), took.Seconds(), nil)
	if err != nil && !errors.Is(err, store.ErrVersionConflict) {
		m.storeFailures.inc(label1(op))
	}
}

// ExportFailed counts a batch of spans that could not be exported.
func (m *Metrics) ExportFailed() { m.exportFailures.inc("traces") }

// exemplar names the span that a measurement was taken in; nil unless it was sampled, for a link to a
// trace that nobody kept leads nowhere. It has 63 characters, of 128 that are allowed.
func exemplar(in trace.SpanContext) prometheus.Labels {
	if !in.IsSampled() || !in.IsValid() {
		return nil
	}
	return prometheus.Labels{"trace_id": in.TraceID().String(), "span_id": in.SpanID().String()}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
