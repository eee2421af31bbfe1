package app_test

import (
	"context"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"qrgate/internal/app"
	"qrgate/internal/session"
	"qrgate/internal/test/enginesim"
	"qrgate/internal/test/logtest"
	"qrgate/proxy"
)

// Each log line of a session names the step: what has just succeeded, or what the engine fails at.
func TestStepOf(t *testing.T) {
	t.Parallel()
	for want, events := range map[string][]session.Event{
		"create": {{Kind: session.EventState, From: session.Unknown, To: session.Disconnected}, {Kind: session.EventState, To: session.Created}},
		"connect": {{Kind: session.EventState, From: session.Created, To: session.Connecting},
			{Kind: session.EventState, From: session.Connecting, To: session.Failed, Op: session.OpConnect}},
		"qr": {{Kind: session.EventState, From: session.Connecting, To: session.AwaitingScan}, {Kind: session.EventCause, To: session.Connecting},
			{Kind: session.EventState, From: session.Connecting, To: session.Failed, Op: session.OpQR}},
		"scan": {{Kind: session.EventState, From: session.AwaitingScan, To: session.Connected}},
	} {
		for _, e := range events {
			if got := app.StepOf(e); got != want {
				t.Errorf("%+v: %s, want %s", e, got, want)
			}
		}
	}
}

func TestRequestLevel(t *testing.T) {
	t.Parallel()
	const route = "/api/sessions/{id}/qr"
	for name, c := range map[string]struct {
		request session.RequestLog
		want    slog.Level
	}{
		"a QR":                       {session.RequestLog{Route: route, Status: 200}, slog.LevelInfo},
		"the same QR again":          {session.RequestLog{Route: route, Status: 200, Repeated: true}, slog.LevelDebug},
		"the same QR, after a wait":  {session.RequestLog{Route: route, Status: 200, Repeated: true, Took: time.Second}, slog.LevelInfo},
		"not yet":                    {session.RequestLog{Route: route, Status: 202}, slog.LevelInfo},
		"a failure":                  {session.RequestLog{Route: route, Status: 503}, slog.LevelWarn},
		"passed through":             {session.RequestLog{Route: proxy.Unmatched, Status: 404}, slog.LevelDebug},
		"passed through, and failed": {session.RequestLog{Route: proxy.Unmatched, Status: 502}, slog.LevelWarn},
	} {
		if got := app.RequestLevel(c.request); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// A client that leaves while it waits is logged and counted as such, not as a 200.
func TestRequest_ClientThatLeavesIs499(t *testing.T) {
	t.Parallel()
	log := &logtest.Buffer{}
	r, _ := observed(t, &enginesim.Engine{QRDelay: time.Minute}, "", func(c *app.Config) {
		c.Logger = slog.New(slog.NewJSONHandler(log, nil))
	})
	r.create("shop-1")
	r.connect("shop-1")
	for _, path := range []string{"/qr", "/qr/status"} {
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.base+"/api/sessions/shop-1"+path+"?wait=20", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-API-Key", "key-a")
		time.AfterFunc(200*time.Millisecond, leave)
		if res, err := r.http.Do(req); err == nil {
			_ = res.Body.Close()
			t.Fatalf("%s: the client got a response: %s", path, res.Status)
		}
		poll := time.NewTicker(10 * time.Millisecond)
		defer poll.Stop()
		want := `"route":"/api/sessions/{id}` + path + `","status":499`
		for deadline := time.Now().Add(10 * time.Second); log.Count(want) == 0; <-poll.C {
			if time.Now().After(deadline) {
				t.Fatalf("%s: the log: %s", path, log)
			}
		}
	}
}
