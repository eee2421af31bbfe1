package acquire

import (
	"context"
	"math/rand/v2"
	"time"

	"qrgate/internal/session"
)

// Subscribe follows what an engine reports by itself of the sessions of a caller, until the connection ends. It calls
// isUp once the engine reports, and changed with the name of each session that has changed.
type Subscribe func(ctx context.Context, c session.Caller, isUp func(), changed func(name string)) error

const (
	maxSubscriptions    = 1000 // of all tenants together; the sessions of the others are polled
	minSubscribeDelay   = time.Second
	maxSubscribeDelay   = time.Minute
	subscribeJitter     = 4                // a delay varies by a fourth
	pushedPollInterval  = 15 * time.Second // without a code, while the engine reports changes
	stableSubscribeTime = 10 * time.Second // a connection that lasted as long is replaced without backoff
)

// subscription is the connection on which the engine reports the changes of one tenant's sessions.
type subscription struct {
	cancel context.CancelFunc
	isUp   bool // guarded by tenant.mu
}

// subscribe begins to follow what the engine reports, once it has accepted the credential.
func (tn *tenant) subscribe() {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	if tn.m.cfg.Subscribe == nil || tn.subscription != nil || len(tn.trackers) == 0 {
		return
	}
	if tn.m.subscriptions.Add(1) > maxSubscriptions {
		tn.m.subscriptions.Add(-1)
		return
	}
	ctx, cancel := context.WithCancel(tn.m.base)
	sub := &subscription{cancel: cancel}
	tn.subscription = sub
	tn.m.wg.Go(func() {
		defer tn.m.subscriptions.Add(-1)
		tn.follow(ctx, sub)
	})
}

// unsubscribe ends the subscription when no session is tracked; the caller holds tn.mu.
func (tn *tenant) unsubscribe() {
	if tn.subscription != nil && len(tn.trackers) == 0 {
		tn.subscription.cancel()
		tn.subscription = nil
	}
}

// follow keeps a connection until ctx ends.
func (tn *tenant) follow(ctx context.Context, sub *subscription) {
	delay := minSubscribeDelay
	for ctx.Err() == nil {
		startedAt := time.Now()
		_ = tn.m.cfg.Subscribe(ctx, tn.caller, func() { tn.setUp(sub, true) }, tn.onPush) // without it polls continue
		tn.setUp(sub, false)
		if time.Since(startedAt) > stableSubscribeTime {
			delay = minSubscribeDelay
		}
		timer := time.NewTimer(delay - rand.N(delay/subscribeJitter))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
		delay = min(2*delay, maxSubscribeDelay)
	}
}

// setUp records that the engine reports changes, or does not any more. What changed meanwhile was not reported: every
// session needs one more poll.
func (tn *tenant) setUp(sub *subscription, isUp bool) {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	if sub.isUp == isUp || tn.subscription != sub {
		return
	}
	sub.isUp = isUp
	for t := range tn.trackers {
		t.markChanged()
	}
}

// isPushed reports whether the engine reports changes; the caller holds tn.mu.
func (tn *tenant) isPushed() bool { return tn.subscription != nil && tn.subscription.isUp }

// onPush takes the engine's report that a session has changed.
func (tn *tenant) onPush(name string) {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	if t := tn.byName[name]; t != nil {
		t.markChanged()
	}
}

// markChanged makes the tracker poll before its code is served again.
func (t *tracker) markChanged() {
	t.m.wg.Go(func() {
		t.post(message{apply: func(s session.Session, now time.Time) session.Session { return s.MarkChanged(now) }})
	})
}
