package session_test

import (
	"testing"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// Which differences count as a change for a follower, and which do not.
func TestSnapshot_Changed(t *testing.T) {
	t.Parallel()
	code := session.QR{Image: secret.NewSecret("one"), Sequence: 1, SeenAt: t0, ConfirmedAt: t0, ExpiresAt: after(time.Minute)}
	base := &session.Snapshot{At: t0, Session: session.Session{State: session.AwaitingScan, Sequence: 1, QR: code}}
	for name, c := range map[string]struct {
		change func(*session.Snapshot)
		want   bool
	}{
		"time alone":   {func(v *session.Snapshot) { v.At = after(time.Second) }, false},
		"another poll": {func(v *session.Snapshot) { v.Session.Polls++; v.Session.QR.ConfirmedAt = after(time.Second) }, false},
		"a state":      {func(v *session.Snapshot) { v.Session.State = session.Connected }, true},
		"another code": {func(v *session.Snapshot) { v.Session.Sequence++ }, true},
		"no code":      {func(v *session.Snapshot) { v.Session.QR = session.QR{} }, true},
		"a connect":    {func(v *session.Snapshot) { v.Session.ConnectedAt = t0 }, true},
		"a diagnosis":  {func(v *session.Snapshot) { v.Diagnosis = diagnosis.New(diagnosis.QRExpired) }, true},
	} {
		next := *base
		c.change(&next)
		if got := base.Changed(&next); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
