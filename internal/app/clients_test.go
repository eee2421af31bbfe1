package app_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"qrgate/internal/app"
	"qrgate/internal/test/clienttest"
	"qrgate/internal/test/enginesim"
)

// asksNone are the clients that end without a QR from any engine: the one asks for none, the other leaves
// as soon as the status shows one (C21).
var asksNone = map[string]bool{"session_status": true, "test_qr_generation_wait": true}

// run replays a client to its end.
func (r *rig) run(c clienttest.Client) clienttest.Result {
	ctx, cancel := context.WithTimeout(r.Context(), time.Hour)
	defer cancel()
	return c(ctx, r.target("key-a"))
}

// wantsContent fails when a client ended otherwise than its author intended.
func (r *rig) wantsContent(name string, got clienttest.Result) {
	r.Helper()
	if got.Err != nil {
		r.Errorf("%s ended with: %v", name, got.Err)
	}
	if got.Broken {
		r.Errorf("%s shows a QR that nobody can scan", name)
	}
	if !got.GotQR && !asksNone[name] {
		r.Errorf("%s has no QR after %v: %+v", name, got.Took, got.Steps)
	}
	for _, s := range got.Steps {
		if s.Status == 0 || s.Status >= 400 {
			r.Errorf("%s: %s %s → %d %s", name, s.Method, s.Path, s.Status, s.Err)
		}
	}
}

// none429 fails if the engine refused a call because of its rate limit.
func (r *rig) none429() {
	r.Helper()
	for _, c := range r.engine.Calls() {
		if c.Status == http.StatusTooManyRequests {
			r.Errorf("429 on %s %s after %v", c.Method, c.Path, c.At.Sub(epoch))
		}
	}
}

// The incident (contract 7): the QR comes 4 s after the connect, /qr responds 500 until then, and 30 calls a
// minute are allowed. Every client gets its QR on its first request for it.
func TestClients_QROnFirstRequest(t *testing.T) {
	for _, c := range clienttest.All() {
		t.Run(c.Name, func(t *testing.T) {
			bubble(t, enginesim.Incident(), func(r *rig) {
				stop := r.scanAfter(30 * time.Second)
				got := r.run(c.Run)
				stop()
				r.wantsContent(c.Name, got)
				asked := 0
				for _, s := range got.Steps {
					if strings.HasSuffix(s.Path, "/qr") {
						asked++
					}
				}
				if asked > 1 {
					r.Errorf("it asked for the QR %d times", asked)
				}
				if c.Name == "wizard" && !got.Linked {
					r.Errorf("the wizard did not see the scan: %v", got.Steps)
				}
				r.none429()
				if n := r.calls(0, enginesim.RouteCreate); n != 1 {
					r.Errorf("%d creates reached the engine", n)
				}
			})
		})
	}
}

// The same clients in front of engines of another API, whose code is 4 s late.
func TestClients_EnginesOfAnotherAPI(t *testing.T) {
	for _, d := range app.Dialects() {
		face := before(func(e *enginesim.Engine) http.Handler { return enginesim.Faces()[d.Kind](e) })
		translated := func(s *setup) { s.dialect = d }
		for _, c := range clienttest.All() {
			t.Run(d.Kind+", "+c.Name, func(t *testing.T) {
				engine := &enginesim.Engine{QRDelay: 4 * time.Second, Keys: map[string]string{"key-a": "a"}}
				bubble(t, engine, func(r *rig) {
					stop := r.scanAfter(30 * time.Second)
					got := r.run(c.Run)
					stop()
					r.wantsContent(c.Name, got)
					if n := len(r.engine.Snapshot()); n > 1 {
						r.Errorf("%d sessions", n)
					}
				}, face, translated)
			})
		}
	}
}

// scanAfter scans every session's code d after the test began, as a person with a phone does.
func (r *rig) scanAfter(d time.Duration) (stop func()) {
	done, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		select {
		case <-done:
			return
		case <-time.After(d):
		}
		for _, s := range r.engine.Snapshot() {
			_ = r.engine.Link(s.Name) // one without a code stays as it is
		}
	}()
	return func() { close(done); <-over }
}

// Engines with observed faults. Every client that asks for a QR again gets one; those that
// ask once get one if the QR comes within their timeout.
func TestClients_QRFromFaultyEngine(t *testing.T) {
	engines := map[string]struct {
		engine func() *enginesim.Engine
		patchy map[string]bool // clients whose timeout is too short for any gateway
		during func(*rig)
	}{
		"fails two connects": {engine: func() *enginesim.Engine { return &enginesim.Engine{ConnectFailures: 2, QRDelay: 4 * time.Second} }},
		"denies the status": {engine: func() *enginesim.Engine {
			return &enginesim.Engine{Status404UntilLinked: true, QRDelay: 4 * time.Second}
		}},
		"calls it pending at once": {engine: pendingEngine},
		"says 404 while not ready": {engine: func() *enginesim.Engine { return &enginesim.Engine{NotYet: 404, QRDelay: 4 * time.Second} }},
		"says 200 without a code": {engine: func() *enginesim.Engine {
			return &enginesim.Engine{NotYet: 200, NotYetNull: true, QRDelay: 4 * time.Second}
		}},
		"says 502 while not ready": {engine: func() *enginesim.Engine { return &enginesim.Engine{NotYet: 502, QRDelay: 4 * time.Second} }},
		"connects on create":       {engine: func() *enginesim.Engine { return &enginesim.Engine{CreateConnects: true, QRDelay: 4 * time.Second} }},
		"is slow": {engine: func() *enginesim.Engine {
			return &enginesim.Engine{Latency: 700 * time.Millisecond, QRDelay: 4 * time.Second}
		}},
		"is spelled otherwise": {engine: dialectEngine},
		"is stuck until restarted": {engine: func() *enginesim.Engine { return &enginesim.Engine{StuckUntilRestart: true, QRDelay: time.Second} },
			patchy: patchy("wizard create_session test_rapido_final quick_test_baileys_fix test_correct_qr_flow test_session_flow_updated baileys_issue_analysis quick_qr_debug gs_class diagnose_qr_issue")},
		"is restarted in the middle": {engine: func() *enginesim.Engine { return &enginesim.Engine{QRDelay: 4 * time.Second} },
			patchy: patchy("test_rapido_final quick_test_baileys_fix test_correct_qr_flow test_session_flow_updated baileys_issue_analysis quick_qr_debug gs_class"),
			during: func(r *rig) { time.Sleep(2 * time.Second); r.engine.Restart() }},
	}
	for name, c := range engines {
		for _, client := range clienttest.All() {
			t.Run(name+"/"+client.Name, func(t *testing.T) {
				bubble(t, c.engine(), func(r *rig) {
					stop := r.scanAfter(90 * time.Second)
					over := make(chan struct{})
					go func() {
						defer close(over)
						if c.during != nil {
							c.during(r)
						}
					}()
					got := r.run(client.Run)
					<-over
					stop()
					if c.patchy[client.Name] {
						r.wantsNoLie(client.Name, got)
						return
					}
					r.wantsContent(client.Name, got)
				}, func(s *setup) { s.skipsOpenAPI = true })
			})
		}
	}
}

func patchy(names string) map[string]bool {
	set := map[string]bool{}
	for name := range strings.FieldsSeq(names) {
		set[name] = true
	}
	return set
}

// wantsNoLie allows a client to end without a QR, but not to crash or to report a QR that it does not have.
func (r *rig) wantsNoLie(name string, got clienttest.Result) {
	r.Helper()
	if errors.Is(got.Err, clienttest.ErrCrashed) || got.Claims && !got.GotQR && name != "baileys_issue_analysis" {
		r.Errorf("%s: claims %t, %v", name, got.Claims, got.Err)
	}
}

// pendingEngine reports pending from the create on, as the older document has it.
func pendingEngine() *enginesim.Engine {
	return &enginesim.Engine{QRDelay: 4 * time.Second, States: map[enginesim.Phase]string{
		enginesim.Fresh: "pending", enginesim.Connecting: "pending", enginesim.Showing: "pending",
	}}
}

// dialectEngine has all observed differences from the documents at once.
func dialectEngine() *enginesim.Engine {
	return &enginesim.Engine{
		QRDelay: 4 * time.Second, QRFieldName: "qr", BareBase64: true, NumericBooleans: true, NullLastActivity: true, NumericIDsOnly: true,
		StrictLimit: true, NoExpiry: true, ListHidesQR: true, CreateShape: enginesim.CreateFlat, ClockSkew: -7 * time.Minute,
		Limits: enginesim.RecordedLimits(), Latency: 130 * time.Millisecond,
		States: map[enginesim.Phase]string{enginesim.Fresh: "DISCONNECTED", enginesim.Connecting: "Initializing", enginesim.Showing: "Qr_Code", enginesim.Linked: "CONNECTED"},
	}
}

// A session that was created at the engine, before there was a gateway, gets its QR too, by either id.
func TestQR_SessionOfUnknownOrigin(t *testing.T) {
	for _, id := range []string{"crm-1", "1"} {
		t.Run(id, func(t *testing.T) {
			bubble(t, &enginesim.Engine{QRDelay: 4 * time.Second, NumericIDsOnly: true}, func(r *rig) {
				r.create("crm-1")
				r.reboot()
				r.connect(id)
				r.qr(id)
			})
		})
	}
}

// qrgate is killed between connect and QR, and its memory is lost.
func TestQR_GatewayRestartsAfterConnect(t *testing.T) {
	bubble(t, enginesim.Incident(), func(r *rig) {
		id := r.create("crm-1")
		r.connect(id)
		time.Sleep(time.Second)
		r.reboot()
		res := r.get("/api/sessions/" + id + "/status")
		res.wants(http.StatusOK)
		if got := res.text("data.status"); got != "connecting" {
			r.Errorf("the state is %q", got)
		}
		r.qr("crm-1")
		r.none429()
	})
}

// The documented monitor stops for good at connected, error and disconnected. It gets the first of them, and
// none of the others before.
func TestMonitor_SeesScan(t *testing.T) {
	bubble(t, enginesim.Incident(), func(r *rig) {
		stop := r.scanAfter(30 * time.Second)
		defer stop()
		if got := r.run(clienttest.GSMonitor); got.Err != nil || !got.Linked || got.Took > 40*time.Second {
			r.Errorf("linked %t after %v: %v", got.Linked, got.Took, got.Err)
		}
		r.none429()
	})
}

// The last calls of a minute are the clients' own. qrgate has read in their responses that they are the last.
func TestRateLimit_LastCallIsForClients(t *testing.T) {
	bubble(t, enginesim.Incident(), func(r *rig) {
		for range 27 {
			r.get("/api/sessions").wants(http.StatusOK)
		}
		id := r.create("crm-1")
		r.connect(id)
		time.Sleep(3 * time.Second)
		r.get("/api/sessions").wants(http.StatusOK) // the thirtieth
		res := r.get("/api/sessions/" + id + "/qr/status")
		if res.text("data.diagnosis.code") != "rate_limited" || res.text("data.queue.place") != "1" {
			r.Errorf("/qr/status: %s", res.body)
		}
		time.Sleep(time.Minute)
		r.qr(id)
		r.none429()
	})
}

// The base client sends a failed request three times. What the engine did once is not done again.
func TestCreate_RetriesMakeOneSession(t *testing.T) {
	for name, fault := range map[string]enginesim.Fault{
		"the response is lost":   {Kind: enginesim.CutConnection, Acts: true, First: 1},
		"the response is cut":    {Kind: enginesim.TruncatedBody, Acts: true, First: 1},
		"the response is a page": {Kind: enginesim.HTML502, Acts: true, First: 1},
		"the engine was away":    {Kind: enginesim.HTML502, First: 1},
		"the engine failed":      {Kind: enginesim.ServerError, First: 1},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, &enginesim.Engine{Faults: map[enginesim.Route]enginesim.Fault{enginesim.RouteCreate: fault}}, func(r *rig) {
				got := r.run(clienttest.SessionStatus)
				if n := len(r.engine.Snapshot()); n != 1 {
					r.Errorf("%d sessions", n)
				}
				if attempts := r.engine.CountSince(enginesim.RouteCreate, time.Time{}); attempts > 3 {
					r.Errorf("%d creates reached the engine: %+v", attempts, got.Steps)
				}
			})
		})
	}
}
