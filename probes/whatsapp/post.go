package whatsapp

import (
	"context"
	"sync"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// Bounds of the spacing.
const (
	usualSpacing = 5 * time.Minute
	leastSpacing = time.Minute
)

// Watcher looks on suspicion, at most once in a spacing, and keeps what it saw last. After a look that failed it looks
// again within the minute: what it names others after must not be over.
type Watcher struct {
	c     Config
	alarm chan struct{}

	mu   sync.Mutex
	last session.ConnectivityResult
}

// New makes a post. It looks nowhere before Run.
func New(c Config) *Watcher {
	if c.Spacing == 0 {
		c.Spacing = usualSpacing
	}
	c.Spacing = max(c.Spacing, leastSpacing)
	return &Watcher{c: c, alarm: make(chan struct{}, 1)}
}

// Trigger asks for a look. It never waits; a suspicion that comes too early after the last look is kept until
// the spacing is over, and many are one.
func (p *Watcher) Trigger() {
	select {
	case p.alarm <- struct{}{}:
	default:
	}
}

// record remembers what was seen, and since when it is no better.
func (p *Watcher) record(seen session.ConnectivityResult) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case seen.OK():
	case p.last.FailingSince.IsZero():
		seen.FailingSince = seen.At.Add(-seen.Took)
	default:
		seen.FailingSince = p.last.FailingSince
	}
	p.last = seen
}

// Last is what was seen last; the zero value before the first look.
func (p *Watcher) Last() session.ConnectivityResult {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

// Run looks when somebody suspects, until ctx ends. It returns nil.
func (p *Watcher) Run(ctx context.Context) error {
	if p.c.Disabled {
		<-ctx.Done()
		return nil
	}
	for {
		select {
		case <-p.alarm:
		case <-ctx.Done():
			return nil
		}
		seen := Check(ctx, p.c)
		if ctx.Err() != nil {
			return nil // it saw its own end
		}
		p.record(seen)
		spacing := p.c.Spacing
		if !seen.OK() && seen.Code != diagnosis.ClientOutdated { // which says nothing of the engine's
			spacing = leastSpacing
		}
		pause := time.NewTimer(spacing)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return nil
		}
	}
}
