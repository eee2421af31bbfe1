package probes

import (
	"context"
	"errors"
	"sync"
	"time"

	"qrgate/compat"
	"qrgate/internal/store"
)

// errLeaseLost cancels the runs of a replica that lost the lease.
var errLeaseLost = errors.New("another replica runs the probes now")

const (
	leaseKey = "probes"
	leaseTTL = 15 * time.Second
)

// role is a replica's role in the cluster.
type role int

const (
	following role = iota // another replica leads
	leading
	unknown // the store is unavailable and the lease has expired
)

// leader acquires and renews the lease. Only the goroutine of run changes the role and the time of the next renewal, so
// that it reads them without the mutex.
type leader struct {
	leases   store.Leases
	owner    string
	runs     context.Context // of the scheduled runs; set before run
	onChange func()

	mu    sync.Mutex
	role  role
	term  context.Context // ends with errLeaseLost
	end   context.CancelCauseFunc
	until time.Time // by when the lease must be renewed
}

// current returns the role and, while leading, the term: a context of the scheduled runs that also ends when the lease
// is lost.
func (l *leader) current() (role, context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.role, l.term
}

// run renews the lease until ctx ends and then releases it.
func (l *leader) run(ctx context.Context) {
	for compat.Sleep(ctx, l.renewalDelay(time.Now())) {
		l.renew(ctx)
	}
	l.resign(ctx)
}

// renewalDelay is the time until the next renewal: a third of the TTL, or less if the lease expires before.
func (l *leader) renewalDelay(now time.Time) time.Duration {
	if l.role == leading {
		return max(0, min(leaseTTL/3, l.until.Sub(now)))
	}
	return leaseTTL / 3
}

// renew acquires or renews the lease once. An unavailable store ends leadership only when the last confirmed lease has
// expired: until then no other replica can have it.
func (l *leader) renew(ctx context.Context) {
	if l.leases == nil {
		l.setRole(leading, time.Now().Add(leaseTTL))
		return
	}
	requestedAt := time.Now()
	ctx, cancel := context.WithTimeout(ctx, leaseTTL/4)
	defer cancel()
	acquired, err := l.leases.Acquire(ctx, leaseKey, l.owner, leaseTTL)
	switch {
	case err == nil && acquired:
		l.setRole(leading, requestedAt.Add(leaseTTL))
	case err == nil:
		l.setRole(following, time.Time{})
	case l.role != leading || !time.Now().Before(l.until):
		l.setRole(unknown, time.Time{})
	}
}

func (l *leader) setRole(next role, until time.Time) {
	l.mu.Lock()
	led := l.role == leading
	l.role, l.until = next, until
	switch {
	case next == leading && !led:
		l.term, l.end = context.WithCancelCause(l.runs)
	case next != leading && led:
		l.end(errLeaseLost)
	}
	l.mu.Unlock()
	if led != (next == leading) {
		l.onChange()
	}
}

// resign releases the lease, so that another replica need not wait for its expiry.
func (l *leader) resign(ctx context.Context) {
	wasLeading := l.role == leading
	l.setRole(following, time.Time{})
	if l.leases == nil || !wasLeading {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), intentTimeout)
	defer cancel()
	_ = l.leases.Release(ctx, leaseKey, l.owner) // else it expires
}
