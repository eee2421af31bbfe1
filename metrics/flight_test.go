package metrics_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"qrgate"
	"qrgate/metrics"
)

// engine answers every call with its fault, through an HTTP call of its own if it has a client.
type engine struct {
	fault qrgate.ErrorKind
	http  http.RoundTripper
}

func (e engine) call(ctx context.Context) error {
	if e.http != nil {
		r, _ := http.NewRequestWithContext(ctx, "GET", "http://127.0.0.1/api/sessions/81/qr", nil)
		if res, err := e.http.RoundTrip(r); err == nil {
			_ = res.Body.Close()
		}
	}
	if e.fault == "" {
		return nil
	}
	return &qrgate.EngineError{Kind: e.fault}
}

func (e engine) Connect(ctx context.Context, _ qrgate.Caller, r qrgate.Ref, _ qrgate.ConnectMode) (qrgate.SessionReport, error) {
	return qrgate.SessionReport{Ref: r}, e.call(ctx)
}

func (e engine) QR(ctx context.Context, _ qrgate.Caller, r qrgate.Ref) (qrgate.SessionReport, error) {
	return qrgate.SessionReport{Ref: r}, e.call(ctx)
}

func (e engine) Status(ctx context.Context, _ qrgate.Caller, r qrgate.Ref) (qrgate.SessionReport, error) {
	return qrgate.SessionReport{Ref: r}, e.call(ctx)
}

func (e engine) List(ctx context.Context, _ qrgate.Caller) (qrgate.SessionList, error) {
	return qrgate.SessionList{}, e.call(ctx)
}

func TestAFlightIsOneTrace(t *testing.T) {
	r := startTracing(t, "1", metrics.TracingConfig{})
	wire := r.Transport(roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 500, Body: http.NoBody}, nil
	}))
	notReady, broken := r.Engine(engine{qrgate.KindNotReady, wire}), r.Engine(engine{qrgate.KindServerError, nil})
	var last trace.SpanContext
	observe := r.Observer(func(_ qrgate.Event, in trace.SpanContext) { last = in })
	ref, at := qrgate.Ref{ID: 81, Name: "mine"}, time.Now()

	observe(qrgate.Event{Kind: qrgate.EventState, At: at, Session: "mine", AcquisitionID: qrgate.AcquisitionID("", "81"), To: qrgate.Connecting})
	_, _ = notReady.QR(t.Context(), qrgate.Caller{}, ref)
	_, _ = broken.Status(t.Context(), qrgate.Caller{}, ref)
	_, _ = notReady.List(t.Context(), qrgate.Caller{})
	observe(qrgate.Event{Kind: qrgate.EventState, At: at, Session: "mine", AcquisitionID: qrgate.AcquisitionID("", "81"), From: qrgate.Connecting, To: qrgate.AwaitingScan})
	observe(qrgate.Event{Kind: qrgate.EventQR, At: at, Session: "mine", AcquisitionID: qrgate.AcquisitionID("", "81"), Sequence: 1})
	observe(qrgate.Event{Kind: qrgate.EventAcquisition, At: at.Add(3 * time.Second), Session: "mine", AcquisitionID: qrgate.AcquisitionID("", "81"), Outcome: qrgate.Success, Diagnosis: qrgate.None})
	ended := last
	observe(qrgate.Event{Kind: qrgate.EventQR, Session: "mine", AcquisitionID: qrgate.AcquisitionID("", "81"), Sequence: 2})
	if last.IsValid() {
		t.Error("the flight goes on after its end")
	}

	all := r.spans(t)
	if len(all["qr.journey"]) != 1 || len(all["engine.qr"]) != 1 || len(all["engine.status"]) != 1 {
		t.Fatalf("got %v", all)
	}
	flight, look, call := all["qr.journey"][0], all["engine.qr"][0], all["GET /api/sessions/{id}/qr"][0]
	if flight.ID() != ended.SpanID().String() || flight.Attr("qrgate.outcome") != "success" || flight.Attr("error.type") != "" {
		t.Errorf("the flight is %v", flight)
	}
	if took := time.Duration(flight.EndTimeUnixNano - flight.StartTimeUnixNano); took != 3*time.Second {
		t.Errorf("the flight took %s", took)
	}
	if len(flight.Events) != 1 || flight.Events[0].Name != "qr.code_received" {
		t.Errorf("events: %v", flight.Events)
	}
	if look.Parent() != flight.ID() || look.Attr("qrgate.fault") != "not_ready" || look.Attr("error.type") != "" || call.Parent() != look.ID() {
		t.Errorf("the look is %v, its call %v", look, call)
	}
	if s := all["engine.status"][0]; s.Attr("error.type") != "engine_error" || s.Parent() != flight.ID() {
		t.Errorf("the failed look is %v", s)
	}
	if all["engine.list"][0].Parent() != "" {
		t.Error("a list is of no flight")
	}
}

func TestHowFlightsEnd(t *testing.T) {
	r := startTracing(t, "1", metrics.TracingConfig{})
	observe := r.Observer(func(qrgate.Event, trace.SpanContext) {})
	ends := map[string]struct {
		event                       qrgate.Event
		outcome, diagnosis, failure string
	}{
		"failed":  {qrgate.Event{Kind: qrgate.EventAcquisition, Outcome: qrgate.Failure, Diagnosis: qrgate.QRNotEmitted}, "failure", "qr_not_emitted", "qr_not_emitted"},
		"strange": {qrgate.Event{Kind: qrgate.EventAcquisition, Outcome: qrgate.Failure, Diagnosis: "5550100"}, "failure", "undetermined", "undetermined"},
		"linked":  {qrgate.Event{Kind: qrgate.EventAcquisition, Outcome: qrgate.Abandoned, Diagnosis: qrgate.AlreadyPaired}, "abandoned", "already_paired", ""},
		"deleted": {qrgate.Event{Kind: qrgate.EventState, From: qrgate.Connecting, To: qrgate.Unknown}, "abandoned", "", ""},
		"rested":  {qrgate.Event{Kind: qrgate.EventState, From: qrgate.Connecting, To: qrgate.Disconnected, Diagnosis: qrgate.QRExpired}, "abandoned", "qr_expired", ""},
		"anew":    {qrgate.Event{Kind: qrgate.EventState, To: qrgate.Connecting}, "abandoned", "", ""},
	}
	order := []string{"failed", "strange", "linked", "deleted", "rested", "anew"}
	for _, name := range order {
		observe(qrgate.Event{Kind: qrgate.EventState, Session: name, AcquisitionID: name, At: time.Now(), To: qrgate.Connecting})
		e := ends[name].event
		e.Session, e.AcquisitionID, e.At = name, name, time.Now()
		observe(e)
	}
	got := r.spans(t)["qr.journey"]
	if len(got) != len(order)+1 { // the one that began anew is closed with the gate
		t.Fatalf("%d flights", len(got))
	}
	for i, name := range order {
		want, s := ends[name], got[i]
		if s.Attr("qrgate.outcome") != want.outcome || s.Attr("qrgate.diagnosis") != want.diagnosis || s.Attr("error.type") != want.failure {
			t.Errorf("%s: %v", name, s)
		}
	}
}

func TestFlightsAreBounded(t *testing.T) {
	r := startTracing(t, "1", metrics.TracingConfig{})
	in := 0
	observe := r.Observer(func(_ qrgate.Event, s trace.SpanContext) {
		if s.IsValid() {
			in++
		}
	})
	at := time.Now()
	begin := func(i int, at time.Time) {
		observe(qrgate.Event{Kind: qrgate.EventState, At: at, Session: fmt.Sprint(i), AcquisitionID: fmt.Sprint(i), To: qrgate.Connecting})
	}
	for i := range metrics.MaxFlights + 10 {
		begin(i, at)
	}
	if in != metrics.MaxFlights {
		t.Errorf("%d flights are traced at once, want %d", in, metrics.MaxFlights)
	}
	begin(-1, at.Add(time.Hour))
	if in != metrics.MaxFlights+1 {
		t.Error("flights that nobody ended keep others out for ever")
	}
}
