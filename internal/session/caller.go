package session

import (
	"cmp"

	"qrgate/internal/secret"
)

// Tenant is a caller's name inside qrgate: a keyed digest of the presented credential, in lower-case hex. It may be
// stored; it must not be a metric label, because it is unbounded.
type Tenant string

// TrafficClass separates the traffic of clients from qrgate's own synthetic probes.
type TrafficClass string

// The traffic classes. They follow from the presented credential, never from a header that a client could set.
const (
	UserTraffic      TrafficClass = "user"
	SyntheticTraffic TrafficClass = "synthetic"
)

// Caller is a tenant with the credential that the request presented. Every engine call made for a caller carries that
// caller's credential; the engine alone decides who may do what.
type Caller struct {
	Tenant  Tenant
	Key     secret.Secret // the X-API-Key header as presented; empty if there was none
	Bearer  secret.Secret // the Authorization header as presented; forwarded, never interpreted (contract C16)
	Traffic TrafficClass

	RequestMeta Request // the client's request; zero when qrgate acts by itself
}

// Credential is the caller's key or, without one, its bearer token, with a prefix so that neither can pass for the
// other.
func (c Caller) Credential() secret.Secret {
	if c.Key.Empty() && !c.Bearer.Empty() {
		return secret.NewSecret("bearer\x00" + c.Bearer.Reveal())
	}
	return c.Key
}

// Request is a client's request as logs and traces identify it. No decision depends on it.
type Request struct {
	ID    string `json:"id"`    // its X-Request-Id, ^[A-Za-z0-9._-]{1,64}$; empty when qrgate acts by itself
	Trace string `json:"trace"` // its span, as a W3C traceparent; empty unless the span is kept
}

// WithCreateRequest returns the session after r created it: r began its acquisition.
func (s Session) WithCreateRequest(r Request) Session {
	s.CreatedHere, s.Request, s.Traceparent = true, r, r.Trace
	return s
}

// ConnectedBy returns the session after r requested a connect, whatever the engine responds. The first connect of a
// session that was created through qrgate continues that trace; any other begins one.
func (s Session) ConnectedBy(r Request) Session {
	s.Request = r
	if !s.CreatedHere || !s.ConnectedAt.IsZero() || s.Traceparent == "" {
		s.Traceparent = r.Trace
	}
	return s
}

// WithQRRequest returns s, which was before until r requested its QR. If that began an acquisition, r began it.
func (s Session) WithQRRequest(r Request, before Session) Session {
	if s.AcquiringSince.Equal(before.AcquiringSince) {
		return s
	}
	s.Request, s.Traceparent = r, cmp.Or(s.Traceparent, r.Trace)
	return s
}
