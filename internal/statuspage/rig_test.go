package statuspage_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/internal/statuspage"
	"qrgate/probes"
)

// noon is the moment of the pages in tests.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// before is some seconds before noon.
func before(seconds float64) time.Time {
	return noon.Add(-time.Duration(seconds * float64(time.Second)))
}

// quiet is a gateway that has just started.
func quiet() statuspage.Snapshot {
	return statuspage.Snapshot{
		At: noon, Store: statuspage.Store{Kind: "memory", State: "ok"},
		Engine:      statuspage.Engine{Kind: "http", Address: "engine.example:3000", State: statuspage.EngineUnknown},
		ProbesNote:  "Probes without a key create no sessions. Set QRGATE_PROBE_API_KEY.",
		WaiterLimit: 5000,
		Build:       statuspage.Build{Version: "1.2.3", Go: "go1.26", Started: before(3700)},
		Links:       []statuspage.Link{{Name: "Metrics", Href: "metrics"}},
	}
}

// healthy is a gateway that delivers, to clients and to probes.
func healthy() statuspage.Snapshot {
	s := quiet()
	s.Engine.State, s.Engine.Since = statuspage.EngineUp, before(3600)
	s.Engine.Last = &statuspage.Response{At: before(4), Class: "ok", Text: "qr: ok, HTTP 200", Seconds: .042}
	s.Engine.Responses = map[string]int{"ok": 41, "not_ready": 19}
	s.Engine.RateLimit = statuspage.RateLimit{Known: true, Remaining: 21}
	s.Sessions = map[session.State]int{session.Connected: 21, session.AwaitingScan: 4, session.Connecting: 2, session.Disconnected: 3}
	s.Waiters = 2
	s.Probes, s.ProbesNote = []statuspage.Probe{probe("engine_health", 15, 30), probe("create_delete", 60, 30), probe("create_connect_qr", 300, 12)}, ""
	for i := range 24 {
		s.Acquisitions = append(s.Acquisitions, statuspage.Acquisition{At: before(float64(20 + i*35)), Seconds: 2.8 + float64(i%5)*.7, Outcome: session.Success,
			Polls: 5, Label: fmt.Sprintf("crm-%02d", i%9)})
	}
	s.WhatsApp = &session.ConnectivityResult{At: before(900), Code: diagnosis.None, Step: session.StepHandshake, Evidence: []string{"handshake: WhatsApp sent codes."}}
	s.Probing = 1
	s.Changes = []statuspage.Change{{At: before(20), About: "session", Label: "crm-00", From: "connecting", To: "awaiting_scan"},
		{At: before(3600), About: "engine", To: "up"}}
	return s
}

// probe has runs that all succeeded.
func probe(name string, every float64, runs int) statuspage.Probe {
	p := statuspage.Probe{Name: name, Every: every}
	for i := range runs {
		p.Runs = append(p.Runs, probes.Result{ID: fmt.Sprintf("%s-7-%d", name, runs-i), StartedAt: before(every*float64(i) + 5), Seconds: .4 + float64(i%4)*.3, Outcome: session.Success})
	}
	return p
}

// failed is a probe's run that failed.
func failed(id string, at time.Time, code diagnosis.Code, evidence ...string) probes.Result {
	d := diagnosis.New(code, evidence...)
	return probes.Result{ID: id, StartedAt: at, Seconds: 45, Outcome: session.Failure, Diagnosis: &d,
		Steps: []probes.Step{{Name: "create", Outcome: session.Success}, {Name: "qr", Outcome: session.Failure}}}
}

// broken is the incident: the engine responds, and makes no codes.
func broken() statuspage.Snapshot {
	s := healthy()
	deep := &s.Probes[2]
	for i := range 3 {
		deep.Runs[i] = failed(deep.Runs[i].ID, deep.Runs[i].StartedAt, diagnosis.Engine5xx, "qr: server_error, HTTP 500 QR_GENERATION_ERROR, 9× in 38 s")
	}
	deep.Runs[8] = failed(deep.Runs[8].ID, deep.Runs[8].StartedAt, diagnosis.EngineTimeout, "connect: timed_out, 2× in 20 s")
	s.Probes[0].Runs = append(s.Probes[0].Runs, failed("engine_health-7-x", before(7200), diagnosis.EngineUnreachable, "health: unreachable"))
	s.Probes[1].Runs[4].Outcome, s.Probes[1].Runs[4].SkipReason = session.Abandoned, "cleanup_backlog"
	for i := range 6 {
		s.Acquisitions[i].Outcome, s.Acquisitions[i].Code, s.Acquisitions[i].Seconds = session.Failure, diagnosis.Engine5xx, 60
	}
	s.Acquisitions[7].Outcome = session.Abandoned
	s.Causes = []statuspage.Cause{
		cause(7, before(700), before(3), diagnosis.Engine5xx, "qr: server_error, HTTP 500 QR_GENERATION_ERROR", "crm-00", "crm-01", "crm-02", "shop-madrid", "shop-lima"),
		cause(1, before(400), before(340), diagnosis.QRExpired, "no QR in 1 min, the session is disconnected", "crm-08"),
	}
	s.Sessions[session.Connecting], s.Sessions[session.Failed], s.Waiters = 8, 5, 312
	s.Changes = nil
	for i := range 16 {
		s.Changes = append(s.Changes, statuspage.Change{At: before(float64(11 + 40*i)), About: "session", Label: fmt.Sprintf("crm-%02d", i%9), From: "connecting", To: "failed", Code: diagnosis.Engine5xx})
	}
	s.Changes[3] = statuspage.Change{At: before(131), About: "store", To: "redis unavailable"}
	s.Store = statuspage.Store{Kind: "redis", State: statuspage.StoreDegraded, Since: before(131), Note: "Redis cannot be reached; using the in-memory store."}
	return s
}

// gone is an engine that is down since 42 s, with one session whose client has left.
func gone() statuspage.Snapshot {
	s := healthy()
	s.Engine.State, s.Engine.Cause, s.Engine.Since = statuspage.EngineDown, diagnosis.EngineUnreachable, before(42)
	s.Engine.Last = &statuspage.Response{At: before(35), Class: "unreachable", Text: "qr: unreachable", Seconds: .003}
	s.Engine.Responses = map[string]int{"ok": 31, "unreachable": 9}
	s.Engine.RateLimit = statuspage.RateLimit{ReportedAt: before(200)}
	s.Sessions, s.Waiters, s.Probing = nil, 0, 0
	s.Causes = []statuspage.Cause{cause(1, before(42), before(35), diagnosis.EngineUnreachable, "qr: unreachable", "crm-01")}
	return s
}

// shut is an embedded engine that cannot reach WhatsApp, without a request for a QR.
func shut() statuspage.Snapshot {
	s := quiet()
	s.Engine = statuspage.Engine{Kind: statuspage.EngineEmbedded, State: statuspage.EngineUp, Since: before(590)}
	s.WhatsApp = &session.ConnectivityResult{At: before(12), FailingSince: before(600), Code: diagnosis.DNSFailed, Evidence: []string{"The name web.whatsapp.com cannot be resolved."}}
	s.Probes = []statuspage.Probe{probe("engine_health", 15, 30), {Name: "create_connect_qr", Every: 300}}
	return s
}

// cause is a cause of missing QRs.
func cause(sessions int, since, last time.Time, code diagnosis.Code, evidence string, labels ...string) statuspage.Cause {
	return statuspage.Cause{Diagnosis: diagnosis.New(code, evidence), Sessions: sessions, Since: since, Last: last, Labels: labels}
}

// serve returns the response to one request for the page that shows s.
func serve(t *testing.T, s statuspage.Snapshot, target string, headers ...string) (*http.Response, string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	statuspage.Handler(func() statuspage.Snapshot { return s }).ServeHTTP(w, r)
	res := w.Result()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

// hostile is full of names chosen to do harm.
func hostile() statuspage.Snapshot {
	s := broken()
	evil := `"><script>alert(1)</script><img src=x onerror=alert(1)>`
	for i := range s.Acquisitions {
		s.Acquisitions[i].Label, s.Acquisitions[i].Code = evil+fmt.Sprint(i), diagnosis.Code(evil)
	}
	for i := range s.Changes {
		s.Changes[i].Label, s.Changes[i].To = "javascript:alert(1)//"+fmt.Sprint(i), evil
	}
	for i := range s.Causes {
		s.Causes[i].Labels, s.Causes[i].Evidence = []string{evil}, []string{evil}
	}
	r := &s.Probes[2].Runs[0]
	r.ID, r.Diagnosis.Evidence, r.Steps[1].Name, r.Diagnosis.Code = evil, []string{evil}, evil, diagnosis.Code(evil)
	s.Engine.Address, s.Build.Version, s.Store.Note = evil, evil, evil
	s.Engine.Last = &statuspage.Response{At: before(1), Class: evil, Text: evil}
	s.Engine.Responses = map[string]int{evil: 3}
	return s
}
