package app_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"qrgate/internal/acquire"
	"qrgate/internal/test/enginesim"
)

// Faults that show on the wire.

// follow reads a stream until it ends, in the background. Events are sent as they come, with the time of each.
type streamed struct {
	after  time.Duration
	state  string
	status string
	ready  bool
	cause  bool // it carries a diagnosis
	id     string
}

func (r *rig) follow(ctx context.Context, id string) (events <-chan streamed, ended <-chan []string) {
	r.Helper()
	r.http.Transport = r.checker.next // the responseChecker would read the stream to its end
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, r.base+"/api/sessions/"+id+"/qr/status", nil)
	req.Header.Set("X-API-Key", "key-a")
	req.Header.Set("Accept", "text/event-stream")
	startedAt := time.Now()
	res, err := r.http.Do(req)
	if err != nil {
		r.Fatal(err)
	}
	out, done := make(chan streamed, 100), make(chan []string, 1)
	go func() {
		defer res.Body.Close()
		defer close(out)
		var lines []string
		last := streamed{}
		for scan := bufio.NewScanner(res.Body); scan.Scan(); {
			line := scan.Text()
			lines = append(lines, line)
			switch name, data, _ := strings.Cut(line, ": "); name {
			case "id":
				last.id = data
			case "data":
				var body struct {
					State, Status string
					Ready         bool
					Diagnosis     *struct{}
				}
				_ = json.Unmarshal([]byte(data), &body)
				last.after, last.state, last.status, last.ready, last.cause = time.Since(startedAt), body.State, body.Status, body.Ready, body.Diagnosis != nil
				out <- last
			}
		}
		done <- lines
	}()
	return out, done
}

// A stream reports the code's end, the next code and the scan without any other request, and ends then.
func TestStream_SendsAllChangesOfQR(t *testing.T) {
	engine := &enginesim.Engine{Rotation: []time.Duration{20 * time.Second, 20 * time.Second, time.Hour}, QRTTL: 20 * time.Second, QRDelay: time.Second}
	bubble(t, engine, func(r *rig) {
		id := r.create("crm-1")
		r.connect(id)
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Minute)
		defer cancel()
		events, ended := r.follow(ctx, id)
		go func() {
			time.Sleep(50 * time.Second)
			_ = r.engine.Link("crm-1")
		}()
		var got []string
		for e := range events {
			got = append(got, fmt.Sprintf("%s ready=%t", e.state, e.ready))
			if e.id == "" {
				r.Errorf("an event without an id: %+v", e)
			}
			if e.state == "connected" && (e.cause || e.after > 54*time.Second) {
				r.Errorf("paired after %v, with a cause: %t", e.after, e.cause)
			}
		}
		lines := <-ended
		if len(lines) == 0 || lines[0] != "retry: 2000" {
			r.Errorf("the stream begins with %q", lines[0])
		}
		want := "connecting ready=false, awaiting_scan ready=true, awaiting_scan ready=false, awaiting_scan ready=true, awaiting_scan ready=false, awaiting_scan ready=true, connected ready=false"
		if s := strings.Join(got, ", "); s != want {
			r.Errorf("got  %s\nwant %s", s, want)
		}
		if time.Sleep(time.Second); ctx.Err() != nil {
			r.Error("the stream did not end")
		}
	})
}

// A deleted session ends its stream with an event.
func TestStream_EndsWhenTheSessionIsDeleted(t *testing.T) {
	bubble(t, &enginesim.Engine{QRDelay: time.Second}, func(r *rig) {
		id := r.create("crm-1")
		r.connect(id)
		r.qr(id)
		ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
		defer cancel()
		events, ended := r.follow(ctx, id)
		time.Sleep(5 * time.Second)
		r.send("DELETE", "/api/sessions/"+id, "").wants(http.StatusOK)
		last := streamed{}
		for e := range events {
			last = e
		}
		<-ended
		if last.state != "disconnected" || last.ready || last.after > 6*time.Second {
			r.Errorf("the last event is %+v", last)
		}
	})
}

// ?wait= responds at the code's end, and again with the next one.
func TestQRStatus_WaitEndsAtExpiryAndNextCode(t *testing.T) {
	engine := &enginesim.Engine{Rotation: []time.Duration{20 * time.Second, time.Hour}, QRTTL: 20 * time.Second}
	bubble(t, engine, func(r *rig) {
		id := r.create("crm-1")
		r.connect(id)
		r.qr(id)
		startedAt := time.Now()
		if res := r.get("/api/sessions/" + id + "/qr/status?wait=30"); res.at("data.ready") != false || time.Since(startedAt) > 21*time.Second {
			r.Errorf("after %v: %s", time.Since(startedAt), res.body)
		}
		if res := r.get("/api/sessions/" + id + "/qr/status?wait=30"); res.at("data.ready") != true || res.text("data.sequence") != "2" || time.Since(startedAt) > 25*time.Second {
			r.Errorf("after %v: %s", time.Since(startedAt), res.body)
		}
	})
}

// With a healthy engine and a client that asks for the QR every 5 s, /qr/status is ready all the time.
func TestQRStatus_StaysReadyWhileTheCodeIsGood(t *testing.T) {
	bubble(t, &enginesim.Engine{Rotation: enginesim.WhatsAppRotation()}, func(r *rig) {
		id := r.create("crm-1")
		r.connect(id)
		r.qr(id)
		notReady := 0
		for i := range 89 {
			if i%10 == 0 {
				r.get("/api/sessions/" + id + "/qr")
			}
			if res := r.get("/api/sessions/" + id + "/qr/status"); res.at("data.ready") != true {
				notReady++
			}
			time.Sleep(500 * time.Millisecond)
		}
		if notReady > 0 {
			r.Errorf("%d of 89 responses are not ready", notReady)
		}
	})
}

// A 202 carries the diagnosis as soon as there is one.
func TestQR_NotReadyCarriesTheDiagnosis(t *testing.T) {
	bubble(t, &enginesim.Engine{QRDelay: time.Hour}, func(r *rig) {
		id := r.create("crm-1")
		r.connect(id)
		res := r.get("/api/sessions/" + id + "/qr")
		res.wantsCode(http.StatusAccepted, "QR_NOT_READY")
		if res.text("diagnosis.code") != "qr_not_emitted" || res.text("diagnosis.title") == "" || res.text("diagnosis.who") == "" {
			r.Errorf("after nine seconds: %s", res.body)
		}
	})
}

// Once the response is 503, it stays 503 while the cause lasts, however often a client asks.
func TestQR_NeverBackFrom503To202(t *testing.T) {
	for name, break_ := range map[string]func(*enginesim.Engine){
		"unreachable": func(e *enginesim.Engine) { e.DiesAt, e.DownFor = time.Now(), time.Hour },
		"hanging":     func(e *enginesim.Engine) { e.Faults = faulty(enginesim.RouteQR, enginesim.Hang) },
		"garbage":     func(e *enginesim.Engine) { e.Faults = faulty(enginesim.RouteQR, enginesim.Garbage) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, &enginesim.Engine{QRDelay: time.Hour}, func(r *rig) {
				id := r.create("crm-1")
				r.connect(id)
				r.engine.Change(break_)
				broken, startedAt := false, time.Now()
				for time.Since(startedAt) < 3*time.Minute {
					res := r.get("/api/sessions/" + id + "/qr")
					if broken && res.StatusCode != http.StatusServiceUnavailable {
						r.Errorf("%d after %v: %s", res.StatusCode, time.Since(startedAt), res.body)
					}
					broken = broken || res.StatusCode == http.StatusServiceUnavailable
					time.Sleep(5 * time.Second)
				}
				if !broken {
					r.Error("never 503")
				}
			})
		})
	}
}

// Twenty sessions of one key under 30 calls a minute, all at once. Every one has its QR within 75 s, and
// ten of them within 12 s. The response to a connect that must wait states that, and no client gets a 429 for a connect.
func TestQR_TwentySessionsUnderRateLimit(t *testing.T) {
	bubble(t, enginesim.Incident(), func(r *rig) {
		r.checker.allow429 = true // for creates: the engine allows thirty calls
		var mu sync.Mutex
		var took []time.Duration
		queued := 0
		var wg sync.WaitGroup
		startedAt := time.Now()
		for i := range 20 {
			wg.Go(func() {
				name := fmt.Sprintf("crm-%02d", i)
				for r.post("/api/sessions", `{"sessionId":"`+name+`","sessionName":"Test"}`).StatusCode != http.StatusCreated {
					if time.Since(startedAt) > 2*time.Minute {
						r.Errorf("%s was never created", name)
						return
					}
					time.Sleep(2 * time.Second)
				}
				switch res := r.post("/api/sessions/"+name+"/connect", "{}"); res.StatusCode {
				case http.StatusOK:
				case http.StatusAccepted:
					if res.text("success") != "true" || res.text("code") != "CONNECT_QUEUED" || res.text("data.status") != "connecting" || res.text("data.queue.place") == "" {
						r.Errorf("%s: %s", name, res.body)
					}
					mu.Lock()
					queued++
					mu.Unlock()
				default:
					r.Errorf("%s: connect %d %s", name, res.StatusCode, res.body)
				}
				for r.get("/api/sessions/"+name+"/qr").StatusCode != http.StatusOK {
					if time.Since(startedAt) > 2*time.Minute {
						r.Errorf("%s has no QR", name)
						return
					}
					time.Sleep(time.Second)
				}
				mu.Lock()
				took = append(took, time.Since(startedAt)) // in the order of their ends
				mu.Unlock()
			})
		}
		wg.Wait()
		if len(took) < 20 || took[9] > 12*time.Second || took[19] > 75*time.Second {
			r.Errorf("the QRs came after %v", took)
		}
		r.Logf("%d connects were queued; QRs after %v", queued, took)
	})
}

// A connect of a session whose create was refused is 404.
func TestConnect_OfARefusedCreateIs404(t *testing.T) {
	bubble(t, enginesim.Incident(), func(r *rig) {
		r.checker.allow429 = true
		for range 30 {
			r.get("/api/sessions").wants(http.StatusOK)
		}
		if res := r.post("/api/sessions", `{"sessionId":"crm-1","sessionName":"Test"}`); res.StatusCode != http.StatusTooManyRequests {
			r.Fatalf("create: %d", res.StatusCode)
		}
		r.post("/api/sessions/crm-1/connect", "{}").wantsCode(http.StatusNotFound, "SESSION_NOT_FOUND")
	})
}

// A connect of an engine that is down is retried, and the response states that.
func TestConnect_ContinuedInBackgroundIs202(t *testing.T) {
	bubble(t, &enginesim.Engine{QRDelay: time.Second}, func(r *rig) {
		id := r.create("crm-1")
		r.engine.Change(func(e *enginesim.Engine) { e.DiesAt, e.DownFor = time.Now(), 20*time.Second })
		res := r.post("/api/sessions/"+id+"/connect", "{}")
		res.wants(http.StatusOK)
		if res.text("data.status") != "connecting" || res.at("retrying") != true || res.text("diagnosis.code") != "engine_unreachable" {
			r.Errorf("%s", res.body)
		}
		r.insists(id, 30*time.Second) // and it is retried
	})
}

// An engine whose /qr takes long gets the time, and no connect meanwhile.
func TestQR_SlowAnswerIsAwaited(t *testing.T) {
	for _, latency := range []time.Duration{6 * time.Second, 12 * time.Second} {
		t.Run(latency.String(), func(t *testing.T) {
			bubble(t, &enginesim.Engine{QRLatency: latency}, func(r *rig) {
				id := r.create("crm-1")
				r.connect(id)
				n := len(r.engine.Calls())
				r.insists(id, 25*time.Second)
				if connects := r.calls(n, enginesim.RouteConnect, enginesim.RouteRestart); connects > 0 {
					r.Errorf("connected again %d times", connects)
				}
			})
		})
	}
}

// 201 streams on one session. The one above the limit is refused with 429 and Retry-After.
func TestStream_AboveTheLimitIsRefused(t *testing.T) {
	small := func(s *setup) { s.waiterLimits = acquire.WaiterLimits{Session: 3} }
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		id := r.create("crm-1")
		r.connect(id)
		r.qr(id)
		ctx, cancel := context.WithCancel(r.Context())
		var ends []<-chan []string
		for range 3 {
			_, ended := r.follow(ctx, id)
			ends = append(ends, ended)
		}
		res := r.get("/api/sessions/"+id+"/qr/status", "Accept", "text/event-stream")
		if res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") == "" {
			r.Errorf("the fourth stream: %d %s", res.StatusCode, res.body)
		}
		r.get("/api/sessions/" + id + "/qr/status?wait=5").wants(http.StatusOK)
		cancel()
		for _, ended := range ends {
			<-ended
		}
		time.Sleep(time.Second)
	}, small)
}

// The engine refuses a connect. /qr/status and a request that waits for the QR name the refusal; a permanent
// one is not repeated.
func TestB2_RefusedConnectIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		status   int
		body     string
		want     string
		evidence string
	}{
		"a licence":     {402, `{"success":false,"error":"License required"}`, "connect_failing", "HTTP 402"},
		"a plan":        {403, `{"success":false,"error":"Your plan does not include this","code":"PLAN_LIMIT"}`, "connect_failing", "HTTP 403 PLAN_LIMIT"},
		"too many":      {400, `{"success":false,"error":"Se alcanzó el número máximo de sesiones"}`, "session_limit", ""},
		"a bad request": {422, `{"success":false,"error":"Unprocessable"}`, "connect_failing", "HTTP 422"},
		"a wrong key":   {401, `{"success":false,"error":"Invalid token"}`, "key_refused", "HTTP 401"},
		"unavailable":   {503, `{"success":false,"error":"Service starting"}`, "connect_failing", "HTTP 503"},
	} {
		t.Run(name, func(t *testing.T) {
			connects := atomic.Int64{}
			refuse := func(e *enginesim.Engine) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					if !strings.HasSuffix(req.URL.Path, "/connect") {
						e.ServeHTTP(w, req)
						return
					}
					connects.Add(1)
					w.Header().Set("Content-Type", "application/json")
					w.Header().Set("Retry-After", "120")
					w.WriteHeader(c.status)
					_, _ = io.WriteString(w, c.body)
				})
			}
			bubble(t, &enginesim.Engine{}, func(r *rig) {
				id := r.create("crm-1")
				r.post("/api/sessions/"+id+"/connect", "{}")
				time.Sleep(3 * time.Second)
				status, qr := r.get("/api/sessions/"+id+"/qr/status"), r.get("/api/sessions/"+id+"/qr")
				if got := status.text("data.diagnosis.code"); got != c.want || !strings.Contains(status.body, c.evidence) {
					r.Errorf("/qr/status: %s", status.body)
				}
				if got := qr.text("diagnosis.code") + qr.text("code"); !strings.Contains(got, c.want) {
					r.Errorf("/qr: %d %s", qr.StatusCode, qr.body)
				}
				time.Sleep(30 * time.Second)
				if n := connects.Load(); n != 1 {
					r.Errorf("%d connects", n)
				}
			}, before(refuse))
		})
	}
}
