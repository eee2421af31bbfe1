package metrics_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/metrics"
)

// engine responds to every call with its fault, through an HTTP call of its own if it has a client.
type engine struct {
	fault session.ErrorKind
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
	return &session.EngineError{Kind: e.fault}
}

func (e engine) Connect(ctx context.Context, _ session.Caller, r session.Ref, _ session.ConnectMode) (session.SessionReport, error) {
	return session.SessionReport{Ref: r}, e.call(ctx)
}

func (e engine) QR(ctx context.Context, _ session.Caller, r session.Ref) (session.SessionReport, error) {
	return session.SessionReport{Ref: r}, e.call(ctx)
}

func (e engine) Status(ctx context.Context, _ session.Caller, r session.Ref) (session.SessionReport, error) {
	return session.SessionReport{Ref: r}, e.call(ctx)
}

func (e engine) List(ctx context.Context, _ session.Caller) (session.SessionList, error) {
	return session.SessionList{}, e.call(ctx)
}

func TestAcquisitionSpan_ContainsEngineCalls(t *testing.T) {
	r := startTracing(t, "1", metrics.TracingConfig{})
	wire := r.Transport(roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 500, Body: http.NoBody}, nil
	}))
	notReady, broken := r.Engine(engine{session.KindNotReady, wire}), r.Engine(engine{session.KindServerError, nil})
	var last trace.SpanContext
	observe := r.Observer(func(_ session.Event, in trace.SpanContext) { last = in })
	ref, at := session.Ref{ID: 81, Name: "mine"}, time.Now()

	observe(session.Event{Kind: session.EventState, At: at, Session: "mine", AcquisitionID: session.AcquisitionID("", "81"), To: session.Connecting})
	_, _ = notReady.QR(t.Context(), session.Caller{}, ref)
	_, _ = broken.Status(t.Context(), session.Caller{}, ref)
	_, _ = notReady.List(t.Context(), session.Caller{})
	observe(session.Event{Kind: session.EventState, At: at, Session: "mine", AcquisitionID: session.AcquisitionID("", "81"), From: session.Connecting, To: session.AwaitingScan})
	observe(session.Event{Kind: session.EventQR, At: at, Session: "mine", AcquisitionID: session.AcquisitionID("", "81"), Sequence: 1})
	observe(session.Event{Kind: session.EventAcquisition, At: at.Add(3 * time.Second), Session: "mine", AcquisitionID: session.AcquisitionID("", "81"), Outcome: session.Success, Diagnosis: diagnosis.None})
	ended := last
	observe(session.Event{Kind: session.EventQR, Session: "mine", AcquisitionID: session.AcquisitionID("", "81"), Sequence: 2})
	if last.IsValid() {
		t.Error("the acquisition span goes on after its end")
	}

	all := r.spans(t)
	if len(all["qr.acquisition"]) != 1 || len(all["engine.qr"]) != 1 || len(all["engine.status"]) != 1 {
		t.Fatalf("got %v", all)
	}
	acquisition, poll, call := all["qr.acquisition"][0], all["engine.qr"][0], all["GET /api/sessions/{id}/qr"][0]
	if acquisition.ID() != ended.SpanID().String() || acquisition.Attr("qrgate.outcome") != "success" || acquisition.Attr("error.type") != "" {
		t.Errorf("the acquisition span is %v", acquisition)
	}
	if took := time.Duration(acquisition.EndTimeUnixNano - acquisition.StartTimeUnixNano); took != 3*time.Second {
		t.Errorf("the acquisition span took %s", took)
	}
	if len(acquisition.Events) != 1 || acquisition.Events[0].Name != "qr.code_received" {
		t.Errorf("events: %v", acquisition.Events)
	}
	if poll.Parent() != acquisition.ID() || poll.Attr("qrgate.error_type") != "not_ready" || poll.Attr("error.type") != "" || call.Parent() != poll.ID() {
		t.Errorf("the poll is %v, its call %v", poll, call)
	}
	if s := all["engine.status"][0]; s.Attr("error.type") != "server_error" || s.Parent() != acquisition.ID() {
		t.Errorf("the failed poll is %v", s)
	}
	if all["engine.list"][0].Parent() != "" {
		t.Error("a list belongs to no acquisition")
	}
}

func TestAcquisitionSpan_EndsWithOutcome(t *testing.T) {
	r := startTracing(t, "1", metrics.TracingConfig{})
	observe := r.Observer(func(session.Event, trace.SpanContext) {})
	ends := map[string]struct {
		event                       session.Event
		outcome, diagnosis, failure string
	}{
		"failed":    {session.Event{Kind: session.EventAcquisition, Outcome: session.Failure, Diagnosis: diagnosis.QRNotEmitted}, "failure", "qr_not_emitted", "qr_not_emitted"},
		"strange":   {session.Event{Kind: session.EventAcquisition, Outcome: session.Failure, Diagnosis: "5550100"}, "failure", "undetermined", "undetermined"},
		"linked":    {session.Event{Kind: session.EventAcquisition, Outcome: session.Abandoned, Diagnosis: diagnosis.AlreadyPaired}, "abandoned", "already_paired", ""},
		"deleted":   {session.Event{Kind: session.EventState, From: session.Connecting, To: session.Unknown}, "abandoned", "", ""},
		"rested":    {session.Event{Kind: session.EventState, From: session.Connecting, To: session.Disconnected, Diagnosis: diagnosis.QRExpired}, "abandoned", "qr_expired", ""},
		"restarted": {session.Event{Kind: session.EventState, To: session.Connecting}, "abandoned", "", ""},
	}
	order := []string{"failed", "strange", "linked", "deleted", "rested", "restarted"}
	for _, name := range order {
		observe(session.Event{Kind: session.EventState, Session: name, AcquisitionID: name, At: time.Now(), To: session.Connecting})
		e := ends[name].event
		e.Session, e.AcquisitionID, e.At = name, name, time.Now()
		observe(e)
	}
	got := r.spans(t)["qr.acquisition"]
	if len(got) != len(order)+1 { // the restarted one ends with the gateway
		t.Fatalf("%d acquisitions", len(got))
	}
	for i, name := range order {
		want, s := ends[name], got[i]
		if s.Attr("qrgate.outcome") != want.outcome || s.Attr("qrgate.diagnosis") != want.diagnosis || s.Attr("error.type") != want.failure {
			t.Errorf("%s: %v", name, s)
		}
	}
}

func TestAcquisitionSpans_AreBounded(t *testing.T) {
	r := startTracing(t, "1", metrics.TracingConfig{})
	in := 0
	observe := r.Observer(func(_ session.Event, s trace.SpanContext) {
		if s.IsValid() {
			in++
		}
	})
	at := time.Now()
	begin := func(i int, at time.Time) {
		observe(session.Event{Kind: session.EventState, At: at, Session: fmt.Sprint(i), AcquisitionID: fmt.Sprint(i), To: session.Connecting})
	}
	for i := range metrics.MaxAcquisitions + 10 {
		begin(i, at)
	}
	if in != metrics.MaxAcquisitions {
		t.Errorf("%d acquisitions are traced at once, want %d", in, metrics.MaxAcquisitions)
	}
	begin(-1, at.Add(time.Hour))
	if in != metrics.MaxAcquisitions+1 {
		t.Error("acquisitions that never ended keep others out")
	}
}
