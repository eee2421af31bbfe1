package dashboards_test

import (
	"errors"
	"time"

	"go.opentelemetry.io/otel/trace"

	"qrgate"
	"qrgate/metrics"
)

// live is a moment in the life of a gate, in which everything happens that can: QRs and failures, of users
// and of probes, an engine and a store in good and in bad mood.
func live(m *metrics.Metrics) {
	hearts(m)
	requests(m)
	probeRuns(m.Probes())
	m.Store("get", time.Millisecond, nil)
	m.Store("put", 2*time.Millisecond, errors.New("away"))
	m.ExportFailed()
}

func hearts(m *metrics.Metrics) {
	sampled := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled})
	for _, origin := range []qrgate.TrafficClass{qrgate.UserTraffic, qrgate.SyntheticTraffic} {
		for _, e := range []qrgate.Event{
			{Kind: qrgate.EventAcquisition, Outcome: qrgate.Success, Diagnosis: qrgate.None, Took: 3 * time.Second},
			{Kind: qrgate.EventAcquisition, Outcome: qrgate.Success, Diagnosis: qrgate.None, Took: 20 * time.Second},
			{Kind: qrgate.EventAcquisition, Outcome: qrgate.Failure, Diagnosis: qrgate.QRNotEmitted, Took: time.Minute},
			{Kind: qrgate.EventWait, Outcome: qrgate.Success, Took: 2 * time.Second},
			{Kind: qrgate.EventWait, Outcome: qrgate.Failure, Diagnosis: qrgate.EngineUnreachable, Took: 9 * time.Second},
			{Kind: qrgate.EventWait, Outcome: qrgate.Abandoned, Diagnosis: qrgate.ClientGone, Took: time.Second},
			{Kind: qrgate.EventQR, Sequence: 1}, {Kind: qrgate.EventQR, Sequence: 2},
			{Kind: qrgate.EventState, To: qrgate.Connecting}, {Kind: qrgate.EventDecryptFailed}, {Kind: qrgate.EventStore, Available: true},
			{Kind: qrgate.EventEngineCall, Op: qrgate.OpConnect, Took: 100 * time.Millisecond},
			{Kind: qrgate.EventEngineCall, Op: qrgate.OpQR, Fault: qrgate.KindNotReady, Status: 500, Took: 20 * time.Millisecond},
			{Kind: qrgate.EventEngineCall, Op: qrgate.OpQR, Fault: qrgate.KindServerError, Status: 500, Took: 20 * time.Millisecond},
		} {
			e.Traffic = origin
			m.ObserveIn(e, sampled)
		}
	}
}

func requests(m *metrics.Metrics) {
	const qr = "/api/sessions/:id/qr"
	for _, e := range []metrics.Exchange{
		{Method: "GET", Route: qr, Status: 200, Took: time.Second, BytesIn: 10, BytesOut: 4000, Traffic: qrgate.UserTraffic},
		{Method: "GET", Route: qr, Status: 202, Code: "QR_NOT_READY", Took: 9 * time.Second, Traffic: qrgate.UserTraffic},
		{Method: "POST", Route: metrics.Unmatched, Status: 500, Took: time.Second, Traffic: qrgate.UserTraffic},
		{Method: "GET", Route: qr, Status: 400, Code: "VALIDATION_ERROR", Traffic: qrgate.UserTraffic},
		{Method: "GET", Route: qr, Status: 499, ClientGone: true, Traffic: qrgate.UserTraffic},
		{Method: "GET", Route: qr, Status: 200, Took: time.Second, Traffic: qrgate.SyntheticTraffic},
	} {
		m.HTTP(e)
	}
}

func probeRuns(p *metrics.Probes) {
	for _, probe := range []string{"engine_health", "create_delete", "create_connect_qr"} {
		p.ObserveRun(probe, qrgate.None, time.Now(), 2*time.Second)
		p.ObserveRun(probe, qrgate.QRNotEmitted, time.Now(), 40*time.Second)
		p.Missed(probe, "overlap")
		p.Missed(probe, "shutdown")
	}
	for _, step := range []string{"create", "connect", "qr", "validate", "cleanup"} {
		p.Step(step, true, time.Second)
		p.Step(step, false, time.Second)
	}
	p.SetLeader(true, 2)
}
