package acquire

import (
	"sync"
	"time"

	"qrgate/internal/session"
)

// Bounds of what counts as the engine's present pace.
const (
	paceAnswers = 3           // the last answers that are looked at; fewer say nothing
	paceLife    = time.Minute // how long an answer says something about the present
)

// latencyWindow remembers how long the engine's last answers took, over all credentials: they share its processor.
type latencyWindow struct {
	mu   sync.Mutex
	last [paceAnswers]answerTime
	next int
}

// answerTime is one answer of the engine.
type answerTime struct {
	took time.Duration
	at   time.Time
}

// answered takes a call that ended at now. One that brought no answer says nothing of the pace; it is a fault of
// its own.
func (p *latencyWindow) answered(kind session.ErrorKind, took time.Duration, now time.Time) {
	switch kind {
	case session.KindUnreachable, session.KindTimeout, session.KindCanceled:
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last[p.next] = answerTime{took, now}
	p.next = (p.next + 1) % len(p.last)
}

// min is the shortest time of the last answers; 0 when they are too few, or too old. The shortest, because
// an engine that merely keeps a request for the QR waiting still tells a state at once.
func (p *latencyWindow) min(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	least := time.Duration(0)
	for i, a := range p.last {
		if a.at.IsZero() || now.Sub(a.at) > paceLife {
			return 0
		}
		if i == 0 || a.took < least {
			least = a.took
		}
	}
	return least
}
