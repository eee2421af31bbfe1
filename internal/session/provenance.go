package session

// Request is a client's request as logs and traces find it again. No decision depends on it.
type Request struct {
	ID    string `json:"id"`    // its X-Request-Id, ^[A-Za-z0-9._-]{1,64}$; empty when qrgate acts by itself
	Trace string `json:"trace"` // its span, as a W3C traceparent; empty unless the span is kept
}

// WithCreateRequest is the session after r created it: its acquisition goes back to r.
func (s Session) WithCreateRequest(r Request) Session {
	s.CreatedHere, s.Request, s.Traceparent = true, r, r.Trace
	return s
}

// ConnectedBy is the session after r connected it, whatever the engine answers. The first connect of a
// session that was created through qrgate continues that trace; any other begins one.
func (s Session) ConnectedBy(r Request) Session {
	s.Request = r
	if !s.CreatedHere || !s.ConnectedAt.IsZero() || s.Traceparent == "" {
		s.Traceparent = r.Trace
	}
	return s
}

// WithQRRequest is s, which was before until r requested its QR: if that began an acquisition, it goes back to r.
func (s Session) WithQRRequest(r Request, before Session) Session {
	if s.AcquiringSince.Equal(before.AcquiringSince) {
		return s
	}
	s.Request = r
	if s.Traceparent == "" {
		s.Traceparent = r.Trace
	}
	return s
}
