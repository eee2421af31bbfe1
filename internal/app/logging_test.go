package app_test

import (
	"log/slog"
	"testing"
	"time"

	"qrgate/internal/app"
	"qrgate/internal/session"
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
