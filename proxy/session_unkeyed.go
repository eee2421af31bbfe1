package proxy

import (
	"qrgate"
	"qrgate/compat"
)

// unkeyed reports whether the engine refused the gate's look for a client that shows neither key nor token. The client
// may be known to the engine all the same, by a cookie or by a key in the query, which that look did not carry.
func (s *session) unkeyed(err error) bool {
	return s.caller.Credential().Empty() && qrgate.KindOf(err) == qrgate.KindKeyRefused
}

// qrUnkeyed asks the engine for the QR once, with all that the client sent, and keeps nothing of the answer: such
// clients cannot be told apart, so that what one was shown must not be there for the next.
func (s *session) qrUnkeyed() {
	s.resolve()
	a, err := s.ask(qrgate.OpQR, s.at("qr"), lookTime)
	if err != nil && qrgate.KindOf(err) != qrgate.KindNotReady {
		s.fails(a, err)
		return
	}
	body, _ := compat.Parse(a.Body)
	seen, _ := compat.Observe(compat.SessionOf(body), compat.EngineClock(a.Header, a.At), a.At)
	seen.Ref = s.ref.Merge(seen.Ref)
	s.reply(answerQR(&qrgate.Snapshot{Session: qrgate.Session{}.AfterPoll(seen, err, a.At), Authorized: true, At: a.At}, nil))
}
