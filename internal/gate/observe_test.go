package gate_test

import (
	"testing"

	"qrgate"
	"qrgate/internal/gate"
)

// Each line of a session's story names the step: what has just succeeded, or what the engine fails at.
func TestStepOf(t *testing.T) {
	t.Parallel()
	for want, events := range map[string][]qrgate.Event{
		"create": {{Kind: qrgate.EventState, From: qrgate.Unknown, To: qrgate.Disconnected}, {Kind: qrgate.EventState, To: qrgate.Created}},
		"connect": {{Kind: qrgate.EventState, From: qrgate.Created, To: qrgate.Connecting},
			{Kind: qrgate.EventState, From: qrgate.Connecting, To: qrgate.Failed, Op: qrgate.OpConnect}},
		"qr": {{Kind: qrgate.EventState, From: qrgate.Connecting, To: qrgate.AwaitingScan}, {Kind: qrgate.EventCause, To: qrgate.Connecting},
			{Kind: qrgate.EventState, From: qrgate.Connecting, To: qrgate.Failed, Op: qrgate.OpQR}},
		"scan": {{Kind: qrgate.EventState, From: qrgate.AwaitingScan, To: qrgate.Connected}},
	} {
		for _, e := range events {
			if got := gate.StepOf(e); got != want {
				t.Errorf("%+v: %s, want %s", e, got, want)
			}
		}
	}
}
