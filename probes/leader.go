package probes

import (
	"context"
	"errors"
	"sync"
	"time"
)

// errLeaseLost ends the runs of a replica that leads no more.
var errLeaseLost = errors.New("another replica runs the probes now")

const leaseKey = "probes"

// role is a replica's part in the cluster.
type role int

const (
	following role = iota // another one leads
	leading
	unknown // the store cannot be asked, and the lease has run out
)

// leader holds the lease, while it can.
type leader struct {
	leases Leases
	owner  string
	ttl    time.Duration
	tell   func(leads bool)

	mu    sync.Mutex
	at    role
	term  context.Context // ends with errLeaseLost
	end   context.CancelCauseFunc
	until time.Time // by when the lease must be renewed
}

// now is the standing, and while leading the term: a context that ends when the lease is lost.
func (l *leader) now() (role, context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at, l.term
}

// run renews the lease until ctx ends and then gives it back.
func (l *leader) run(ctx context.Context) {
	for {
		timer := time.NewTimer(l.pause(time.Now()))
		select {
		case <-timer.C:
			l.renew(ctx)
		case <-ctx.Done():
			timer.Stop()
			l.resign(ctx)
			return
		}
	}
}

// pause is the time until the next renewal: a third of the lease, or less when it would run out before.
func (l *leader) pause(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at == leading {
		return max(0, min(l.ttl/3, l.until.Sub(now)))
	}
	return l.ttl / 3
}

// renew asks for the lease once. A store that does not answer takes the lead away only when the lease that
// it last confirmed has run out: until then nobody else can have it.
func (l *leader) renew(ctx context.Context) {
	if l.leases == nil {
		l.setRole(leading, time.Now().Add(l.ttl))
		return
	}
	asked := time.Now()
	ctx, cancel := context.WithTimeout(ctx, l.ttl/4)
	defer cancel()
	ours, err := l.leases.Acquire(ctx, leaseKey, l.owner, l.ttl)
	at, _ := l.now()
	switch {
	case err == nil && ours:
		l.setRole(leading, asked.Add(l.ttl))
	case err == nil:
		l.setRole(following, time.Time{})
	case at != leading || !time.Now().Before(l.lapse()):
		l.setRole(unknown, time.Time{})
	}
}

func (l *leader) lapse() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.until
}

func (l *leader) setRole(at role, until time.Time) {
	l.mu.Lock()
	led := l.at == leading
	l.at, l.until = at, until
	switch {
	case at == leading && !led:
		l.term, l.end = context.WithCancelCause(context.Background())
	case at != leading && led:
		l.end(errLeaseLost)
	}
	l.mu.Unlock()
	if led != (at == leading) {
		l.tell(at == leading)
	}
}

// resign gives the lease back, so that another replica need not wait for its end.
func (l *leader) resign(ctx context.Context) {
	at, _ := l.now()
	l.setRole(following, time.Time{})
	if l.leases == nil || at != leading {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), intentTime)
	defer cancel()
	_ = l.leases.Release(ctx, leaseKey, l.owner) // else it runs out by itself
}
