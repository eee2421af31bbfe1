package acquire

import (
	"sync"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// engineHealth is what all sessions together show of the engine: how many fail and why, how fast it answers, when it
// last returned a QR, and when it was last unreachable.
type engineHealth struct {
	mu            sync.Mutex
	failing       map[*tracker]diagnosis.Code // sessions without a QR for longer than session.SymptomDelay, and the cause
	latencies     [latencySamples]latencySample
	nextSample    int
	lastSuccessAt time.Time // the last QR of any session
	respondedAt   time.Time // the last response to a call
	unreachableAt time.Time // the last call that did not reach the engine
	recoveredAt   time.Time // the last recovery step
}

const (
	latencySamples = 3           // fewer answers prove nothing
	latencyTTL     = time.Minute // how long an answer is evidence
)

// latencySample is the latency of one answer of the engine.
type latencySample struct {
	took time.Duration
	at   time.Time
}

// recordCall records a call that ended at now. A call without an answer is no evidence of the engine's latency.
func (h *engineHealth) recordCall(kind session.ErrorKind, took time.Duration, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch kind {
	case session.KindUnreachable:
		h.unreachableAt = now
	case session.KindTimeout, session.KindCanceled:
	default:
		h.respondedAt = now
		h.latencies[h.nextSample] = latencySample{took, now}
		h.nextSample = (h.nextSample + 1) % len(h.latencies)
	}
}

// record sets one of the times of h.
func (h *engineHealth) record(at *time.Time, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	*at = now
}

// lastUnreachableAt is when a call last did not reach the engine.
func (h *engineHealth) lastUnreachableAt() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.unreachableAt
}

// setFailing records that t is without a QR for too long, and the cause; an empty cause means that it is not.
func (h *engineHealth) setFailing(t *tracker, cause diagnosis.Code) {
	if cause == diagnosis.SessionStuck {
		cause = diagnosis.QRNotEmitted // the same symptom; only other sessions' success tells them apart
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failing == nil {
		h.failing = map[*tracker]diagnosis.Code{}
	}
	h.failing[t] = cause
	if cause == "" {
		delete(h.failing, t)
	}
}

// environment is what is known of other sessions and of the engine, for the diagnosis of t.
func (h *engineHealth) environment(t *tracker, s session.Session, now time.Time) session.Environment {
	h.mu.Lock()
	defer h.mu.Unlock()
	return session.Environment{
		FailingSessions: h.failingLike(t, s), MinLatency: h.minLatency(now), LastSuccess: h.lastSuccessAt,
		LastResponse: h.respondedAt,
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
	n := 0
	for _, other := range h.failing {
		if other == cause {
			n++
		}
	}
	return n
}

// recoveryAllowedAt is when the next recovery step of t may be made; the zero time means now. While many sessions fail
// for its cause and none succeeds, the steps of all sessions together are spread.
func (h *engineHealth) recoveryAllowedAt(t *tracker, s session.Session) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.LostByEngine || h.failingLike(t, s) < outageThreshold {
		return time.Time{}
	}
	return h.recoveredAt.Add(recoveryInterval)
}

// minLatency is the shortest latency of the last answers; 0 when they are too few or too old. The shortest, because an
// engine that merely delays a request for the QR still returns a state at once.
func (h *engineHealth) minLatency(now time.Time) time.Duration {
	least := h.latencies[0].took
	for _, l := range h.latencies {
		if l.at.IsZero() || now.Sub(l.at) > latencyTTL {
			return 0
		}
		least = min(least, l.took)
	}
	return least
}
