package session_test

import (
	"testing"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// What a session is after polls that returned codes: whether its code can be scanned, and the cause if not.
func TestCodes(t *testing.T) {
	t.Parallel()
	type poll struct {
		at   time.Duration
		code string
	}
	polls := func(interval time.Duration, codes ...string) (out []poll) {
		for i, code := range codes {
			out = append(out, poll{time.Duration(i+1) * interval, code})
		}
		return out
	}
	const sec = time.Second
	for name, c := range map[string]struct {
		polls []poll
		want  diagnosis.Code
		ready bool
	}{
		"one code":                          {polls: []poll{{sec, "a"}}, ready: true, want: diagnosis.None},
		"WhatsApp's rotation":               {polls: []poll{{sec, "a"}, {61 * sec, "b"}, {81 * sec, "c"}, {101 * sec, "d"}}, ready: true, want: diagnosis.None},
		"the same code after its life":      {polls: []poll{{sec, "a"}, {30 * sec, "a"}, {75 * sec, "a"}}, want: diagnosis.QRInvalid},
		"a new code each second":            {polls: polls(sec, "a", "b", "c", "d"), want: diagnosis.QRInvalid},
		"three of them":                     {polls: polls(sec, "a", "b", "c"), ready: true, want: diagnosis.None},
		"and then one that stays":           {polls: append(polls(sec, "a", "b", "c", "d"), poll{15 * sec, "d"}), ready: true, want: diagnosis.None},
		"a replaced code comes back once":   {polls: polls(sec, "a", "b", "a"), ready: true, want: diagnosis.None},
		"twice: two engines at one address": {polls: polls(sec, "a", "b", "a", "b", "a"), want: diagnosis.EngineInconsistent},
	} {
		s := began()
		var now time.Time
		for _, p := range c.polls {
			now = after(p.at)
			s = s.AfterPoll(withExpiry(code(p.code), 5*time.Minute), nil, now)
		}
		d := session.Diagnose(s, session.Environment{}, now)
		if s.QRUsable(now) != c.ready || d.Code != c.want {
			t.Errorf("%s: usable %t, %s %v; want %t, %s", name, s.QRUsable(now), d.Code, d.Evidence, c.ready, c.want)
		}
	}
	s := began()
	for i, name := range []string{"a", "b", "a"} {
		s = s.AfterPoll(code(name), nil, after(time.Duration(i+1)*sec))
	}
	if got := s.QR.Image.Reveal(); got != "b" {
		t.Errorf("the present code is %q after a replaced one came back", got)
	}
}

// A code lives as long as WhatsApp's own, whatever the engine states, unless its dialect differs.
func TestCodes_Lifetime(t *testing.T) {
	t.Parallel()
	const sec = time.Second
	stated := func(text string, in, limit time.Duration) session.SessionReport {
		r := code(text)
		r.Expiry = session.Expiry{Known: in != 0, In: in, Limit: limit}
		return r
	}
	for name, c := range map[string]struct {
		in, limit, first, later time.Duration
	}{
		"not stated":            {0, 0, 60 * sec, 20 * sec},
		"five minutes":          {5 * time.Minute, 0, 60 * sec, 20 * sec},
		"shorter":               {15 * sec, 0, 15 * sec, 15 * sec},
		"a dialect's own":       {0, 45 * sec, 45 * sec, 45 * sec},
		"less than a dialect's": {40 * sec, 45 * sec, 40 * sec, 40 * sec},
	} {
		s := began().AfterPoll(stated("a", c.in, c.limit), nil, after(sec))
		if got := s.QR.ExpiresAt; !got.Equal(after(sec + c.first)) {
			t.Errorf("%s: the first code lives for %v", name, got.Sub(after(sec)))
		}
		s = s.AfterPoll(stated("b", c.in, c.limit), nil, after(50*sec))
		if got := s.QR.ExpiresAt; !got.Equal(after(50*sec + c.later)) {
			t.Errorf("%s: a later code lives for %v", name, got.Sub(after(50*sec)))
		}
	}
	s := began().AfterPoll(code("a"), nil, after(sec)).AfterConnect(after(31*sec)).AfterPoll(code("a"), nil, after(32*sec))
	if got := s.QR.ExpiresAt; !got.Equal(after(61 * sec)) {
		t.Errorf("a connect that left the code as it was: it lives until %v", got.Sub(after(0)))
	}
}
