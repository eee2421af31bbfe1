package qrgate_test

import (
	"testing"
	"time"

	"qrgate"
)

// What somebody who watches is told as a change, and what it keeps to itself.
func TestDiffers(t *testing.T) {
	t.Parallel()
	code := qrgate.QR{Image: qrgate.NewSecret("one"), Sequence: 1, Seen: t0, Confirmed: t0, Expires: after(time.Minute)}
	base := &qrgate.Snapshot{At: t0, Session: qrgate.Session{State: qrgate.AwaitingScan, Sequence: 1, QR: code}}
	for name, c := range map[string]struct {
		change func(*qrgate.Snapshot)
		want   bool
	}{
		"time alone":   {func(v *qrgate.Snapshot) { v.At = after(time.Second) }, false},
		"another look": {func(v *qrgate.Snapshot) { v.Session.Polls++; v.Session.QR.Confirmed = after(time.Second) }, false},
		"a state":      {func(v *qrgate.Snapshot) { v.Session.State = qrgate.Connected }, true},
		"another code": {func(v *qrgate.Snapshot) { v.Session.Sequence++ }, true},
		"no code":      {func(v *qrgate.Snapshot) { v.Session.QR = qrgate.QR{} }, true},
		"a connect":    {func(v *qrgate.Snapshot) { v.Session.ConnectedAt = t0 }, true},
		"a diagnosis":  {func(v *qrgate.Snapshot) { v.Diagnosis = qrgate.New(qrgate.QRExpired) }, true},
	} {
		next := *base
		c.change(&next)
		if got := base.Changed(&next); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
