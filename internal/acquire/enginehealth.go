package acquire

import (
	"sync"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// engineHealth is what all sessions together show of the engine: how many fail and why, how fast it answers, when it
// last gave a QR, and when it was last unreachable.
type engineHealth struct {
	mu            sync.Mutex
	failing       map[*tracker]diagnosis.Code // sessions without a QR for longer than session.SymptomDelay, and the cause
	byCause       map[diagnosis.Code]int
	latencies     [latencySamples]latencySample
	nextSample    int
	lastSuccessAt time.Time // the last QR of any session
	unreachableAt time.Time // the last call that found nobody
	recoveredAt   time.Time // the last recovery step while recovery was slowed
}

const (
	latencySamples = 3           // fewer answers say nothing
	latencyTTL     = time.Minute // how long an answer says something about the present
)

// latencySample is the latency of one answer of the engine.
type latencySample struct {
	took time.Duration
	at   time.Time
}

// recordCall takes the outcome of a call that ended at now. A call without an answer says nothing about latency.
func (h *engineHealth) recordCall(kind session.ErrorKind, took time.Duration, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch kind {
	case session.KindUnreachable:
		h.unreachableAt = now
		return
	case session.KindTimeout, session.KindCanceled:
		return
	}
	h.latencies[h.nextSample] = latencySample{took, now}
	h.nextSample = (h.nextSample + 1) % len(h.latencies)
}

// recordUnreachable takes that a call which is not qrgate's own found nobody at the engine.
func (h *engineHealth) recordUnreachable(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.unreachableAt = now
}

// lastUnreachableAt is when a call last found nobody at the engine.
func (h *engineHealth) lastUnreachableAt() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.unreachableAt
}

// recordSuccess takes that a session got its QR at now.
func (h *engineHealth) recordSuccess(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lastSuccessAt = now
}

// setFailing records that t is without a QR for too long, and the cause; an empty cause means that it is not.
func (h *engineHealth) setFailing(t *tracker, cause diagnosis.Code) {
	if cause == diagnosis.SessionStuck {
		cause = diagnosis.QRNotEmitted // the same symptom; only others' success tells them apart
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.failing[t]
	if before == cause {
		return
	}
	if h.failing == nil {
		h.failing, h.byCause = map[*tracker]diagnosis.Code{}, map[diagnosis.Code]int{}
	}
	if before != "" {
		h.byCause[before]--
	}
	if cause == "" {
		delete(h.failing, t)
		return
	}
	h.failing[t] = cause
	h.byCause[cause]++
}

// environment is what is known of other sessions and of the engine, for the diagnosis of t.
func (h *engineHealth) environment(t *tracker, s session.Session, now time.Time) session.Environment {
	h.mu.Lock()
	defer h.mu.Unlock()
	return session.Environment{
		FailingSessions: h.failingLike(t, s), MinLatency: h.minLatency(now), LastSuccess: h.lastSuccessAt,
	}
}

// failingLike is how many sessions fail for the same cause as t, itself included. While any session gets its QR, the
// others' failures are their own.
func (h *engineHealth) failingLike(t *tracker, s session.Session) int {
	cause := h.failing[t]
	switch {
	case cause == "":
		return 0
	case h.lastSuccessAt.After(s.AcquiringSince):
		return 1
	}
	return h.byCause[cause]
}

// recoverySlowed reports whether recovery of t is slowed because many sessions fail for its cause and none succeeds,
// and when its next step may be made.
func (h *engineHealth) recoveryAllowedAt(t *tracker, s session.Session) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.LostByEngine || h.failingLike(t, s) < outageThreshold {
		return time.Time{}
	}
	return h.recoveredAt.Add(recoveryInterval)
}

// recordRecovery takes that a recovery step is made at now.
func (h *engineHealth) recordRecovery(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.recoveredAt = now
}

// minLatency is the shortest latency of the last answers; 0 when they are too few or too old. The shortest, because
// an engine that merely keeps a request for the QR waiting still tells a state at once.
func (h *engineHealth) minLatency(now time.Time) time.Duration {
	least := time.Duration(0)
	for i, l := range h.latencies {
		if l.at.IsZero() || now.Sub(l.at) > latencyTTL {
			return 0
		}
		if i == 0 || l.took < least {
			least = l.took
		}
	}
	return least
}
