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
