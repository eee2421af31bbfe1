package session

import (
	"time"

	"qrgate/internal/secret"
)

const (
	// FirstQRTTL and RefreshQRTTL are the lifetimes of a code when the engine states none (ADR 0011): both libraries show
	// the first code of a connect for 60 s and each later one for 20 s.
	FirstQRTTL   = 60 * time.Second
	RefreshQRTTL = 20 * time.Second
	// PairingTTL is the life of a connection to WhatsApp on which no phone is linked: the six codes that it gets.
	PairingTTL = FirstQRTTL + 5*RefreshQRTTL
	// RevalidateAfter is the age from which a code is returned only if a poll within RevalidatedFor returned it, too: an
	// engine's own expiry is often longer than the real lifetime. A code that was first seen late counts as older.
	RevalidateAfter = 15 * time.Second
	RevalidatedFor  = 2 * time.Second
)

// QR is one code as the engine returns it.
type QR struct {
	Image       secret.Secret `json:"-"` // a data URL; a pairing credential
	Sequence    int           // 1 for the first code of a connect
	SeenAt      time.Time     // when a poll first returned it
	MadeAfter   time.Time     // the last time that the engine was seen without it; zero: its age is unknown
	ConfirmedAt time.Time     // when a poll last returned it
	ExpiresAt   time.Time     // on qrgate's clock

	IsPushed bool `json:"-"` // the engine reports by itself when the code ends

	SuspectSince time.Time // when the engine was last found unreachable; before a poll after it, the code may be dead
}

// Present reports whether there is a code.
func (q QR) Present() bool { return !q.Image.Empty() }

// TTL is the lifetime that remains at now; negative after the expiry.
func (q QR) TTL(now time.Time) time.Duration { return q.ExpiresAt.Sub(now) }

// Fresh reports whether the code may be returned to a client at now: it is usable, and young or recently confirmed.
func (q QR) Fresh(now time.Time) bool {
	return q.Usable(now) && !q.NeedsRevalidation(now)
}

// Usable reports whether a person still has time to take a phone and scan the code, and the engine was not unreachable
// since the last poll.
func (q QR) Usable(now time.Time) bool {
	return q.Present() && !now.After(q.UsableUntil()) && !q.SuspectSince.After(q.ConfirmedAt)
}

// UsableUntil is when a quarter of the code's lifetime is left, at most ten seconds.
func (q QR) UsableUntil() time.Time {
	return q.ExpiresAt.Add(-min(10*time.Second, q.ExpiresAt.Sub(q.SeenAt)/4))
}

// NeedsRevalidation reports whether the code is so old that only a new poll shows whether it is current.
func (q QR) NeedsRevalidation(now time.Time) bool {
	return !q.IsPushed && now.Sub(q.MadeAfter) > RevalidateAfter && now.Sub(q.ConfirmedAt) > RevalidatedFor
}

// HasNewerCode reports whether s has a code that lives, and other was written by a replica that did not know of it: no
// connect and no poll of other came after the code was last confirmed.
func (s *Session) HasNewerCode(other Session, now time.Time) bool {
	return s.QR.Present() && s.QR.TTL(now) > 0 && other.State == Connecting &&
		other.ConnectedAt.Before(s.QR.SeenAt) && other.LastPolledAt.Before(s.QR.ConfirmedAt)
}

// HasNewerConnect reports whether s waits for a code after a connect, accepted or not, that other's replica did not
// know of: it waits for a code too, and its last connect is older.
func (s *Session) HasNewerConnect(other Session) bool {
	return s.State == Connecting && other.State == Connecting && s.Ref.ID == other.Ref.ID &&
		s.Recovery.LastTriedAt.Sub(other.Recovery.LastTriedAt) > time.Second // two clocks
}
