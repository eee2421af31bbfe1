package app_test

import (
	"testing"

	"qrgate/internal/app"
	"qrgate/internal/session"
)

// Each line of a session's story names the step: what has just succeeded, or what the engine fails at.
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
