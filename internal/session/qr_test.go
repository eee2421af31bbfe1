package session_test

import (
	"testing"
	"time"

	"qrgate/internal/secret"
	"qrgate/internal/session"
)

func TestSession_HasNewerCode(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ago := func(seconds int) time.Time { return now.Add(-time.Duration(seconds) * time.Second) }
	mine := session.Session{State: session.AwaitingScan, QR: session.QR{
		Image: secret.NewSecret("x"), SeenAt: ago(9), ConfirmedAt: ago(5), ExpiresAt: now.Add(time.Minute)}}
	for name, c := range map[string]struct {
		other session.Session
		want  bool
	}{
		"it only asked":             {session.Session{State: session.Connecting, LastPolledAt: ago(7)}, true},
		"it found no code later":    {session.Session{State: session.Connecting, LastPolledAt: ago(3)}, false},
		"it was connected later":    {session.Session{State: session.Connecting, ConnectedAt: ago(8)}, false},
		"it was connected earlier":  {session.Session{State: session.Connecting, ConnectedAt: ago(12)}, true},
		"it has a code as well":     {session.Session{State: session.AwaitingScan}, false},
		"it was deleted or stopped": {session.Session{State: session.Unknown}, false},
		"it is paired":              {session.Session{State: session.Connected}, false},
	} {
		if got := mine.HasNewerCode(c.other, now); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	if other := (session.Session{State: session.Connecting}); mine.HasNewerCode(other, now.Add(time.Minute)) {
		t.Error("an expired code is kept")
	}
}

func TestSession_HasNewerConnect(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	tried := func(state session.State, id int64, ago time.Duration) session.Session {
		tries := session.Recovery{LastTriedAt: now.Add(-ago)}
		return session.Session{State: state, Ref: session.Ref{ID: id}, Recovery: tries}
	}
	mine := tried(session.Connecting, 7, 9*time.Second)
	for name, c := range map[string]struct {
		other session.Session
		want  bool
	}{
		"it only polled":                 {session.Session{State: session.Connecting, Ref: session.Ref{ID: 7}}, true},
		"it knows an earlier connect":    {tried(session.Connecting, 7, 20*time.Second), true},
		"it knows the same, by its time": {tried(session.Connecting, 7, 9900*time.Millisecond), false},
		"it was connected later":         {tried(session.Connecting, 7, time.Second), false},
		"it is a session made since":     {tried(session.Connecting, 8, 20*time.Second), false},
		"it was given up":                {tried(session.Failed, 7, 20*time.Second), false},
		"it has a code":                  {tried(session.AwaitingScan, 7, 20*time.Second), false},
	} {
		if got := mine.HasNewerConnect(c.other); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
