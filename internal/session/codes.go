package session

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/secret"
)

const (
	// minCodeTTL is shorter than the lifetime of any code of WhatsApp. maxEarlyCodes codes in a row that were replaced
	// sooner are no coincidence, and neither are maxReturnedCodes that came back after they had been replaced.
	minCodeTTL       = 10 * time.Second
	maxEarlyCodes    = 3
	maxReturnedCodes = 2
	// overdueGrace is how much longer than its lifetime a code may be returned before it counts as dead.
	overdueGrace = 10 * time.Second
	// expiredGrace is how much longer than its own expiresAt an engine may return a code while it makes the next one.
	expiredGrace = 5 * time.Second
)

// CodeHistory is what the diagnosis needs of the codes that the engine returned, across connects. It has only digests
// of the codes.
type CodeHistory struct {
	Digest    string     `json:"digest"`     // of the last code
	Previous  string     `json:"previous"`   // of the code before it
	SeenAt    time.Time  `json:"seen_at"`    // when a poll first returned the last code
	Early     int        `json:"early"`      // codes in a row that were replaced within minCodeTTL
	Returned  Recurrence `json:"returned"`   // times that a replaced code came back
	OverdueAt time.Time  `json:"overdue_at"` // when a poll last returned a code that is too old to be alive
}

func digestOf(image secret.Secret) string {
	sum := sha256.Sum256([]byte(image.Reveal()))
	return hex.EncodeToString(sum[:8])
}

// IsReplaced reports whether a later code has replaced this one.
func (h CodeHistory) IsReplaced(image secret.Secret) bool { return digestOf(image) == h.Previous }

func (h CodeHistory) isLast(image secret.Secret) bool { return digestOf(image) == h.Digest }

// add records a code that a poll returned at now, of a session that was connected at connectedAt. Codes live for ttl at
// most.
func (h CodeHistory) add(image secret.Secret, ttl time.Duration, connectedAt, now time.Time) CodeHistory {
	digest, age := digestOf(image), now.Sub(h.SeenAt)
	switch digest {
	case h.Previous:
		h.Returned = h.Returned.add(now)
		return h
	case h.Digest:
		if age >= minCodeTTL {
			h.Early = 0
		}
		if age > ttl+overdueGrace {
			h.OverdueAt = now
		}
		return h
	}
	next := CodeHistory{Digest: digest, Previous: h.Digest, SeenAt: now, Returned: h.Returned}
	if age < minCodeTTL && h.SeenAt.After(connectedAt) { // a connect replaces the code at once
		next.Early = h.Early + 1
	}
	return next
}

// isUnstable reports whether the engine replaces its codes so fast, or so often by older ones, that no person can scan
// one.
func (h CodeHistory) isUnstable(now time.Time) bool {
	return h.Early >= maxEarlyCodes || h.Returned.isPresent(maxReturnedCodes, now)
}

// isOverdue reports whether the last code is too old to be alive.
func (h CodeHistory) isOverdue() bool { return h.OverdueAt.After(h.SeenAt) }

// ruleCodesInvalid: the engine returns codes, and no phone can scan them.
func ruleCodesInvalid(in *input) finding {
	c := in.History.Codes
	switch {
	case c.Returned.Times >= maxReturnedCodes && !in.passed(c.Returned.LastAt.Add(recurrenceGap)):
		return symptom(diagnosis.EngineInconsistent, c.Returned.LastAt,
			"the engine returned a code that it had replaced, %d times", c.Returned.Times)
	case c.Early >= maxEarlyCodes && !in.passed(c.SeenAt.Add(recurrenceGap)):
		return symptom(diagnosis.QRInvalid, c.SeenAt, "the engine replaced %d codes in a row within %s each; "+
			"WhatsApp's codes live for %s at least", c.Early, minCodeTTL, RefreshQRTTL)
	case c.isOverdue() && !in.passed(c.OverdueAt.Add(pollErrorTTL)):
		return symptom(diagnosis.QRInvalid, c.OverdueAt, "the engine has returned the same code for %s; "+
			"WhatsApp's codes live for %s at most", c.OverdueAt.Sub(c.SeenAt).Round(time.Second), FirstQRTTL)
	}
	return finding{}
}
