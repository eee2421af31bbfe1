package dashboards_test

import (
	"errors"
	"time"

	"go.opentelemetry.io/otel/trace"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/metrics"
)

// observeAll records every kind of event: successes and failures of users, probes, the engine and the store.
func observeAll(m *metrics.Metrics) {
	acquisitions(m)
	requests(m)
	probeRuns(m.Probes())
	m.Store("get", time.Millisecond, nil)
	m.Store("put", 2*time.Millisecond, errors.New("away"))
	m.ExportFailed()
}

func acquisitions(m *metrics.Metrics) {
	sampled := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled})
	for _, origin := range []session.TrafficClass{session.UserTraffic, session.SyntheticTraffic} {
		for _, e := range []session.Event{
			{Kind: session.EventAcquisition, Outcome: session.Success, Diagnosis: diagnosis.None, Duration: 3 * time.Second},
			{Kind: session.EventAcquisition, Outcome: session.Success, Diagnosis: diagnosis.None, Duration: 20 * time.Second},
			{Kind: session.EventAcquisition, Outcome: session.Failure, Diagnosis: diagnosis.QRNotEmitted, Duration: time.Minute},
			{Kind: session.EventWait, Outcome: session.Success, Duration: 2 * time.Second},
			{Kind: session.EventWait, Outcome: session.Failure, Diagnosis: diagnosis.EngineUnreachable, Duration: 9 * time.Second},
			{Kind: session.EventWait, Outcome: session.Abandoned, Diagnosis: diagnosis.ClientGone, Duration: time.Second},
			{Kind: session.EventQR, Sequence: 1}, {Kind: session.EventQR, Sequence: 2},
			{Kind: session.EventState, To: session.Connecting}, {Kind: session.EventDecryptFailed}, {Kind: session.EventStore, Available: true},
			{Kind: session.EventEngineCall, Op: session.OpConnect, Duration: 100 * time.Millisecond},
			{Kind: session.EventEngineCall, Op: session.OpQR, ErrorKind: session.KindNotReady, Status: 500, Duration: 20 * time.Millisecond},
			{Kind: session.EventEngineCall, Op: session.OpQR, ErrorKind: session.KindServerError, Status: 500, Duration: 20 * time.Millisecond},
		} {
			e.Traffic = origin
			m.Observe(e, sampled)
		}
	}
}

func requests(m *metrics.Metrics) {
	const qr = "/api/sessions/{id}/qr"
	for _, e := range []session.RequestLog{
		{Method: "GET", Route: qr, Status: 200, Took: time.Second, BytesIn: 10, BytesOut: 4000, Traffic: session.UserTraffic},
		{Method: "GET", Route: qr, Status: 202, Code: "QR_NOT_READY", Took: 9 * time.Second, Traffic: session.UserTraffic},
		{Method: "POST", Route: "unmatched", Status: 500, Took: time.Second, Traffic: session.UserTraffic},
		{Method: "GET", Route: qr, Status: 400, Code: "VALIDATION_ERROR", Traffic: session.UserTraffic},
		{Method: "GET", Route: qr, Status: 499, ClientGone: true, Traffic: session.UserTraffic},
		{Method: "GET", Route: qr, Status: 200, Took: time.Second, Traffic: session.SyntheticTraffic},
	} {
		m.HTTP(e)
	}
}

func probeRuns(p *metrics.Probes) {
	for _, probe := range []string{"engine_health", "create_delete", "create_connect_qr"} {
		p.ObserveRun(probe, diagnosis.None, time.Now(), 2*time.Second)
		p.ObserveRun(probe, diagnosis.QRNotEmitted, time.Now(), 40*time.Second)
		p.Missed(probe, "overlap")
		p.Missed(probe, "shutdown")
	}
	for _, step := range []string{"create", "connect", "qr", "validate", "cleanup"} {
		p.Step(step, true, time.Second)
		p.Step(step, false, time.Second)
	}
	p.SetLeader(true, 2)
}
