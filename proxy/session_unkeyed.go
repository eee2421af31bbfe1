package proxy

import (
	"qrgate/compat"
	"qrgate/internal/session"
)

// anonymous reports whether the engine refused the gate's look for a client that shows neither key nor token. The client
// may be known to the engine all the same, by a cookie or by a key in the query, which that look did not carry.
func (s *sessionRequest) anonymous(err error) bool {
	return s.caller.Credential().Empty() && session.KindOf(err) == session.KindKeyRefused
}

// qrUnkeyed asks the engine for the QR once, with all that the client sent, and keeps nothing of the answer: such
// clients cannot be told apart, so that what one was shown must not be there for the next.
func (s *sessionRequest) qrUnkeyed() {
	s.resolve()
	a, err := s.forwardRequest(session.OpQR, s.enginePath("qr"), lookTime)
	if err != nil && session.KindOf(err) != session.KindNotReady {
		s.writeEngineError(a, err)
		return
	}
	body, _ := compat.Parse(a.Body)
	seen, _ := compat.ParseSession(compat.SessionOf(body), compat.EngineClock(a.Header, a.At), a.At)
	seen.Ref = s.ref.Merge(seen.Ref)
	after := session.Session{}.AfterPoll(seen, err, a.At)
	s.reply(answerQR(&session.Snapshot{Session: after, Authorized: true, Ready: after.QRUsable(a.At), At: a.At}, nil, a.At))
}
