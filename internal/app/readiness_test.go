package app_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/internal/test/enginesim"
)

// What /qr/status reports at each stage. It starts nothing, and costs the engine no call.
func TestQRStatus_States(t *testing.T) {
	bubble(t, &enginesim.Engine{FirstID: 61, QRDelay: 4 * time.Second}, func(r *rig) {
		stage := func(state, status string, ready bool) response {
			r.Helper()
			n := len(r.engine.Calls())
			res := r.get("/api/sessions/crm-1/qr/status")
			res.wants(http.StatusOK)
			if res.text("data.state") != state || res.text("data.status") != status || res.at("data.ready") != ready || strings.Contains(res.body, "base64") {
				r.Errorf("want %s, %s, %t: %s", state, status, ready, res.body)
			}
			if res.text("data.id") != "61" || res.text("data.sessionId") != "crm-1" || res.text("data.since") == "" {
				r.Errorf("incomplete: %s", res.body)
			}
			if more := r.calls(n); more != 0 {
				r.Errorf("it cost the engine %d calls", more)
			}
			return res
		}
		r.create("crm-1")
		stage("disconnected", "disconnected", false)
		r.connect("61")
		if a := stage("connecting", "connecting", false); a.at("data.generatedAt") != nil || a.at("data.diagnosis") != nil || a.text("data.retryAfter") != "2" {
			r.Errorf("while connecting: %s", a.body)
		}
		time.Sleep(5 * time.Second)
		a := stage("awaiting_scan", "qr_code", true)
		if a.text("data.sequence") != "1" || a.text("data.attempts") == "0" || a.at("data.generatedAt") == nil || a.at("data.expiresAt") == nil || a.text("data.retryAfter") != "0" {
			r.Errorf("with a code: %s", a.body)
		}
	})
}

// A session that qrgate does not know costs the engine one poll.
func TestQRStatus_OtherTenant(t *testing.T) {
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		id := r.create("crm-1")
		r.reboot()
		n := len(r.engine.Calls())
		for range 5 {
			r.get("/api/sessions/" + id + "/qr/status").wants(http.StatusOK)
		}
		if looks := r.calls(n); looks != 1 {
			r.Errorf("%d looks, want one", looks)
		}
	})
}

// The reasons why there is no QR, as a developer reads them.
func TestQRStatus_HasCause(t *testing.T) {
	for code, c := range map[string]struct {
		engine *enginesim.Engine
		after  time.Duration
	}{
		"qr_not_emitted":      {&enginesim.Engine{QRDelay: time.Hour}, 10 * time.Second},
		"connect_failing":     {&enginesim.Engine{ConnectFailures: -1}, 5 * time.Second},
		"engine_5xx":          {&enginesim.Engine{Faults: faulty(enginesim.RouteQR, enginesim.ServerError)}, 5 * time.Second},
		"engine_bad_response": {&enginesim.Engine{Faults: faulty(enginesim.RouteQR, enginesim.Garbage)}, 5 * time.Second},
		"engine_unreachable":  {&enginesim.Engine{Faults: faulty(enginesim.RouteQR, enginesim.HTML502)}, 5 * time.Second},
		"engine_timeout":      {&enginesim.Engine{Faults: faulty(enginesim.RouteQR, enginesim.Hang)}, 12 * time.Second},
		"rate_limited":        {&enginesim.Engine{Faults: faulty(enginesim.RouteQR, enginesim.TooMany)}, 14 * time.Second},
	} {
		t.Run(code, func(t *testing.T) {
			bubble(t, c.engine, func(r *rig) {
				id := r.create("crm-1")
				r.post("/api/sessions/"+id+"/connect", "")
				time.Sleep(c.after)
				res := r.get("/api/sessions/" + id + "/qr/status")
				res.wants(http.StatusOK)
				if res.text("data.diagnosis.code") != code || res.text("data.diagnosis.title") == "" || res.text("data.diagnosis.help") == "" ||
					res.text("data.diagnosis.who") == "" || res.at("data.diagnosis.evidence.0") == nil {
					r.Errorf("want %s: %s", code, res.body)
				}
			})
		})
	}
}

func faulty(route enginesim.Route, kind enginesim.FaultKind) map[enginesim.Route]enginesim.Fault {
	return map[enginesim.Route]enginesim.Fault{route: {Kind: kind}}
}

// ?wait=N responds at the next change, and after N seconds at the latest.
func TestQRStatus_Waits(t *testing.T) {
	bubble(t, &enginesim.Engine{QRDelay: 4 * time.Second}, func(r *rig) {
		id := r.create("crm-1")
		r.connect(id)
		asked := time.Now()
		res := r.get("/api/sessions/" + id + "/qr/status?wait=20")
		if took := time.Since(asked); res.at("data.ready") != true || took < 4*time.Second || took > 5*time.Second {
			r.Errorf("after %v: %s", took, res.body)
		}
		asked = time.Now()
		r.get("/api/sessions/" + id + "/qr/status?wait=3").wants(http.StatusOK)
		if took := time.Since(asked); took != 3*time.Second {
			r.Errorf("nothing changed for %v", took)
		}
	})
}

// A stream reports connecting, awaiting_scan and connected in turn.
func TestQRStatus_Stream(t *testing.T) {
	bubble(t, &enginesim.Engine{QRDelay: 4 * time.Second}, func(r *rig) {
		id := r.create("crm-1")
		r.connect(id)
		r.http.Transport = r.checker.next // the responseChecker would read it to its end
		stop := r.scanAfter(20 * time.Second)
		defer stop()
		ctx, cancel := context.WithTimeout(r.Context(), 40*time.Second)
		defer cancel()
		var states []string
		pulses := 0
		r.stream(ctx, id, func(line string) {
			switch name, data, _ := strings.Cut(line, ": "); name {
			case "data":
				var seen struct{ State string }
				if err := json.Unmarshal([]byte(data), &seen); err != nil || strings.Contains(data, "base64") {
					r.Errorf("%v: %s", err, data)
				}
				states = append(states, seen.State)
			case "":
				pulses++
			}
		})
		if len(states) == 4 && states[2] == "connecting" {
			states = append(states[:2], states[3]) // the code goes before the link is seen
		}
		if diff := cmp.Diff([]string{"connecting", "awaiting_scan", "connected"}, states); diff != "" {
			r.Errorf("want -, got +\n%s", diff)
		}
		if pulses == 0 {
			r.Error("a quiet stream has no pulse")
		}
	})
}

// stream reads lines until ctx ends.
func (r *rig) stream(ctx context.Context, id string, each func(string)) {
	r.Helper()
	req, _ := http.NewRequestWithContext(ctx, "GET", r.base+"/api/sessions/"+id+"/qr/status", nil)
	req.Header.Set("X-API-Key", "key-a")
	req.Header.Set("Accept", "text/event-stream")
	res, err := r.http.Do(req)
	if err != nil {
		r.Fatal(err)
	}
	defer res.Body.Close()
	if res.Header.Get("Content-Type") != "text/event-stream; charset=utf-8" || res.Header.Get("Cache-Control") != "no-store, no-transform" {
		r.Errorf("headers %v", res.Header)
	}
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		each(lines.Text())
	}
}

// Ten sessions of one key: their queue position is reported while the rate limit is short, and all get their QR
// within ten seconds without a 429.
func TestQRStatus_TenSessionsOfOneKey(t *testing.T) {
	bubble(t, enginesim.Incident(), func(r *rig) {
		var queued sync.Map
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				name := fmt.Sprintf("crm-%02d", i)
				id := r.create(name)
				r.connect(id)
				began := time.Now()
				if res := r.get("/api/sessions/" + id + "/qr/status"); res.at("data.queue") != nil {
					queued.Store(name, res.text("data.queue.place"))
				}
				res := r.get("/api/sessions/"+id+"/qr", "Prefer", "wait=10")
				if res.StatusCode != http.StatusOK || time.Since(began) > 10*time.Second {
					r.Errorf("%s: %d after %v", name, res.StatusCode, time.Since(began))
				}
			})
		}
		wg.Wait()
		r.none429()
		places := 0
		queued.Range(func(_, place any) bool { places++; return place != "" })
		t.Logf("%d of ten got their queue position", places)
	})
}
