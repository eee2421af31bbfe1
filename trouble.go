package qrgate

import (
	"errors"
	"time"
)

// troubled remembers a failure: the same kind goes on, another one begins.
func (s Session) troubled(err error, now time.Time) Session {
	t := s.Trouble
	next := Trouble{Kind: KindOf(err), Since: now, Last: now, Times: 1}
	if f, ok := errors.AsType[*Fault](err); ok {
		next.Op, next.Status, next.Code, next.Text, next.RetryAfter = f.Op, f.Status, f.Code, f.Text, f.RetryAfter
	}
	if t.Kind == next.Kind && t.Code == next.Code {
		next.Since, next.Times = t.Since, t.Times+1
	}
	s.Trouble = next
	return s
}

// Lasted is how long the present trouble has been going on at now; 0 without trouble.
func (t Trouble) Lasted(now time.Time) time.Duration {
	if t.Kind == "" {
		return 0
	}
	return now.Sub(t.Since)
}
