package acquire

import (
	"testing"

	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// A client that joins a pursuit wakes nobody: with two hundred that wait for one session, each of their polls would
// wake all the others.
func TestAWishThatJoinsIsNoChange(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		s     session.Session
		joins bool
	}{
		"connecting":    {newSession(), true},
		"with trouble":  {newSession().AfterPoll(session.SessionReport{}, &session.EngineError{Kind: session.KindServerError}, at(1)), true},
		"a code":        {newSession().AfterPoll(session.SessionReport{Image: secret.NewSecret("x")}, nil, at(1)), true},
		"linked":        {newSession().AfterPoll(session.SessionReport{State: session.Connected}, nil, at(1)), true},
		"resting":       {newSession().GiveUp(at(60)), false},
		"never met":     {session.Session{State: session.Unknown}, false},
		"an older code": {newSession().AfterPoll(session.SessionReport{Image: secret.NewSecret("x"), Expiry: session.Expiry{Known: true, In: 300e9}}, nil, at(1)), false},
	} {
		e := &tracker{s: c.s, changed: make(chan struct{})}
		v := visit{d: newDesk(nil, session.Caller{}), e: e}
		now := at(10)
		if name == "an older code" {
			now = at(120) // a new wish: its window begins anew
		}
		if got := v.joinAcquisition(now); got != c.joins {
			t.Errorf("%s: joins %v, want %v", name, got, c.joins)
		}
		want := c.s
		if c.joins {
			want.LastRequestedAt = now
		}
		if e.s != want {
			t.Errorf("%s: the belief is %+v, want %+v", name, e.s, want)
		}
	}
}
