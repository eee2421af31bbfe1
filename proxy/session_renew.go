package proxy

import (
	"bytes"
	"io"
	"time"

	"qrgate/compat"
	"qrgate/internal/session"
)

// callWithRetry asks the engine about the session, and once more if it denies an integer that the client did not say: the session
// was deleted and made again past this gate, by another replica or at the engine itself. What was denied did nothing.
func (s *sessionRequest) callWithRetry(op, tail string, limit time.Duration) (compat.Response, error) {
	again := s.rewindBody()
	a, err := s.forwardRequest(op, s.enginePath(tail), limit)
	if session.KindOf(err) != session.KindSessionNotFound || !s.refreshID() {
		return a, err
	}
	again()
	return s.forwardRequest(op, s.enginePath(tail), limit)
}

// refreshID finds out anew which session a name means. It reports whether that is worth another try.
func (s *sessionRequest) refreshID() bool {
	denied := s.ref
	if denied.ID == 0 || denied.Name != s.id {
		return false
	}
	s.ref = s.config.QRService.RefreshID(s.c.Request.Context(), s.caller, denied)
	return s.ref.ID != denied.ID
}

// rewindBody prepares the body, which is in memory, to be sent a second time.
func (s *sessionRequest) rewindBody() (again func()) {
	r := s.c.Request
	body, _ := io.ReadAll(r.Body)
	if len(body) == 0 {
		return func() {}
	}
	again = func() { r.Body = io.NopCloser(bytes.NewReader(body)) }
	again()
	return again
}

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
