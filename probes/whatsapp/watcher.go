package whatsapp

import (
	"context"
	"sync"
	"time"

	"qrgate/compat"
	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// Bounds of the interval between two checks.
const (
	defaultInterval = 5 * time.Minute
	minInterval     = time.Minute
)

// Watcher checks when it is triggered, at most once per interval, and keeps the last result. After a failure it checks
// again within the minute, because others are diagnosed by a result that must still be true.
type Watcher struct {
	config  Config
	trigger chan struct{}

	mu   sync.Mutex
	last session.ConnectivityResult
}

// New returns a watcher. It checks nothing before Run.
func New(c Config) *Watcher {
	if c.Interval == 0 {
		c.Interval = defaultInterval
	}
	c.Interval = max(c.Interval, minInterval)
	return &Watcher{config: c, trigger: make(chan struct{}, 1)}
}

// Trigger requests a check. It never blocks. Requests within the interval are merged into one check at its end.
func (w *Watcher) Trigger() {
	select {
	case w.trigger <- struct{}{}:
	default:
	}
}

// Last returns the last result, the zero value before the first check.
func (w *Watcher) Last() session.ConnectivityResult {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

// Run checks when it is triggered, until ctx ends. It returns nil.
func (w *Watcher) Run(ctx context.Context) error {
	if w.config.Disabled {
		<-ctx.Done()
		return nil
	}
	for {
		select {
		case <-w.trigger:
		case <-ctx.Done():
			return nil
		}
		result := Check(ctx, w.config)
		if ctx.Err() != nil {
			return nil // the end of ctx made the check fail
		}
		w.record(result)
		interval := w.config.Interval
		if !result.OK() && result.Code != diagnosis.ClientOutdated { // that one concerns only this program's library
			interval = minInterval
		}
		if !compat.Sleep(ctx, interval) {
			return nil
		}
	}
}

// record stores a result and since when the checks fail.
func (w *Watcher) record(result session.ConnectivityResult) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case result.OK():
	case w.last.FailingSince.IsZero():
		result.FailingSince = result.At.Add(-result.Took)
	default:
		result.FailingSince = w.last.FailingSince
	}
	w.last = result
}
