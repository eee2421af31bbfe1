package session

import (
	"time"

	"qrgate/internal/secret"
)

// TTLs of a code when the engine states none (ADR 0011): both libraries show the first code of a connect
// for 60 s and each later one for 20 s.
const (
	FirstQRTTL   = 60 * time.Second
	RefreshQRTTL = 20 * time.Second
)

// RevalidateAfter is the age from which a code is handed out only if a recent poll saw it still current:
// an engine's own expiry is often longer than the code really lives.
const RevalidateAfter = 15 * time.Second

// RevalidatedFor is how recent that poll must be.
const RevalidatedFor = 2 * time.Second

// QR is one code as the engine hands it out. The text inside it is opaque: its format has changed before.
type QR struct {
	Image       secret.Secret // a data URL of a PNG; a pairing credential
	Sequence    int           // 1 for the first code of a connect
	SeenAt      time.Time     // when it was first seen
	ConfirmedAt time.Time     // the last poll that found it still current
	ExpiresAt   time.Time     // on qrgate's clock

	SuspectSince time.Time // when the engine was last found unreachable; before a poll after it, the code may be dead
}

// Present reports whether there is a code at all.
func (q QR) Present() bool { return !q.Image.Empty() }

// TTL is the life that remains at now; negative when the code has expired.
func (q QR) TTL(now time.Time) time.Duration { return q.ExpiresAt.Sub(now) }

// Fresh reports whether the code may be handed out at now: it is there, enough of its life is left for
// a person to take up a phone and scan it, and it is young or was confirmed lately. Enough is a quarter of
// its life, at most ten seconds.
func (q QR) Fresh(now time.Time) bool {
	return q.Usable(now) && !q.NeedsRevalidation(now)
}

// Usable reports whether enough of the code's life is left for a person to take up a phone and scan it, and nothing
// is known against it.
func (q QR) Usable(now time.Time) bool {
	return q.Present() && q.TTL(now) >= q.minTTL() && !q.IsSuspect()
}

// IsSuspect reports whether the engine was unreachable since the code was last confirmed.
func (q QR) IsSuspect() bool { return q.SuspectSince.After(q.ConfirmedAt) }

// UsableUntil is when too little of the code's life is left.
func (q QR) UsableUntil() time.Time { return q.ExpiresAt.Add(-q.minTTL()) }

// NeedsRevalidation reports whether the code is old enough that only a new poll can tell if it is still current.
func (q QR) NeedsRevalidation(now time.Time) bool {
	return now.Sub(q.SeenAt) > RevalidateAfter && now.Sub(q.ConfirmedAt) > RevalidatedFor
}

func (q QR) minTTL() time.Duration { return min(10*time.Second, q.ExpiresAt.Sub(q.SeenAt)/4) }
