package control

import (
	"context"
	"sync"
	"time"

	"qrgate"
)

// Bounds of the spacing.
const (
	usualSpacing = 5 * time.Minute
	leastSpacing = time.Minute
)

// Post looks on suspicion, at most once in a spacing, and keeps what it saw last. After a look that failed it looks
// again within the minute: what it names others after must not be over.
type Post struct {
	c     Config
	alarm chan struct{}

	mu   sync.Mutex
	last qrgate.ConnectivityResult
}

// New makes a post. It looks nowhere before Run.
func New(c Config) *Post {
	if c.Spacing == 0 {
		c.Spacing = usualSpacing
	}
	c.Spacing = max(c.Spacing, leastSpacing)
	return &Post{c: c, alarm: make(chan struct{}, 1)}
}

// Suspect asks for a look. It never waits; a suspicion that comes too early after the last look is kept until
// the spacing is over, and many are one.
func (p *Post) Suspect() {
	select {
	case p.alarm <- struct{}{}:
	default:
	}
}

// keep remembers what was seen, and since when it is no better.
func (p *Post) keep(seen qrgate.ConnectivityResult) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case seen.OK():
	case p.last.Failing.IsZero():
		seen.Failing = seen.At.Add(-seen.Took)
	default:
		seen.Failing = p.last.Failing
	}
	p.last = seen
}

// Last is what was seen last; the zero value before the first look.
func (p *Post) Last() qrgate.ConnectivityResult {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

// Run looks when somebody suspects, until ctx ends. It returns nil.
func (p *Post) Run(ctx context.Context) error {
	if p.c.Off {
		<-ctx.Done()
		return nil
	}
	for {
		select {
		case <-p.alarm:
		case <-ctx.Done():
			return nil
		}
		seen := Look(ctx, p.c)
		if ctx.Err() != nil {
			return nil // it saw its own end
		}
		p.keep(seen)
		spacing := p.c.Spacing
		if !seen.OK() && seen.Code != qrgate.ClientOutdated { // which says nothing of the engine's
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
