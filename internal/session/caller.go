package session

import "qrgate/internal/secret"

// Tenant is a caller's name inside qrgate: a keyed digest of the credential it presented, in
// lower-case hex. It may be stored; it may not be a metric label (it is unbounded).
type Tenant string

// TrafficClass tells real traffic from qrgate's own synthetic probes.
type TrafficClass string

// The origins. They follow from the presented credential, never from a header that a client could set.
const (
	UserTraffic      TrafficClass = "user"
	SyntheticTraffic TrafficClass = "synthetic"
)

// Caller is who asks: a tenant and the credential it presented. Every engine call made for a caller
// carries that caller's credential; the engine alone decides who may do what.
type Caller struct {
	Tenant  Tenant
	Key     secret.Secret // the X-API-Key header as presented; empty if none was
	Bearer  secret.Secret // the Authorization header as presented; forwarded, never interpreted (contract C16)
	Traffic TrafficClass

	RequestMeta Request // the request that is made for the caller now; zero when qrgate acts by itself
}

// Credential is what the caller is known by: its key, or where it presents none its bearer token, marked
// so that the one can never pass for the other.
func (c Caller) Credential() secret.Secret {
	if c.Key.Empty() && !c.Bearer.Empty() {
		return secret.NewSecret("bearer\x00" + c.Bearer.Reveal())
	}
	return c.Key
}
