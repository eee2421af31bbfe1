package acquire

import (
	"context"
	"time"

	"qrgate/internal/session"
)

// One of the replicas that share a store polls for all sessions of a credential that wait for a QR: it makes one list
// call for all, and keeps the distance between the calls. A replica without the lease announces its sessions in the
// record of the shared limits, and the one with the lease starts a tracker for each.

// announceInterval is how often a session is announced again while it waits: another replica may have the lease then.
const announceInterval = 3 * time.Second

// tenantLease is what a replica knows of the lease. The tenant's lock guards it.
type tenantLease struct {
	until      time.Time // this replica polls
	otherUntil time.Time // another one does
}

// waitingSession is a session that waits for a QR, as stored.
type waitingSession struct {
	Ref session.Ref
	Age time.Duration // since it was announced
}

// announced is a session that a replica announced, and when.
type announced struct {
	ref session.Ref
	at  time.Time
}

// lead returns the zero time if this replica polls for t, whose session waits for a QR, else when it may try again.
func (tn *tenant) lead(ctx context.Context, t *tracker, now time.Time) (retryAt time.Time) {
	if !tn.m.cfg.SharesStore {
		return time.Time{}
	}
	tn.mu.Lock()
	known := tn.lease
	tn.mu.Unlock()
	if known.until.Sub(now) <= leaseTTL/2 && !now.Before(known.otherUntil) {
		tn.acquireLease(ctx, now)
	}
	tn.mu.Lock()
	defer tn.mu.Unlock()
	if tn.lease.until.After(now) {
		return time.Time{}
	}
	tn.announce(t, now)
	return latest(tn.lease.otherUntil, now.Add(batchWindow))
}

// acquireLease acquires or renews the lease.
func (tn *tenant) acquireLease(ctx context.Context, now time.Time) {
	ok, err := tn.m.store.store.Acquire(ctx, tn.leaseKey(), tn.m.replicaID, leaseTTL)
	defer tn.trackAnnounced(now)
	tn.mu.Lock()
	defer tn.mu.Unlock()
	tn.lease = tenantLease{otherUntil: now.Add(leaseRetryInterval)}
	if ok || err != nil { // without a store every replica polls for itself
		tn.lease = tenantLease{until: now.Add(leaseTTL)}
	}
}

func (tn *tenant) leaseKey() string { return tn.m.store.key(tn.limitsKey(), kindLease) }

// releaseLease lets another replica poll; this one tries to acquire the lease again at retryAt.
func (tn *tenant) releaseLease(ctx context.Context, retryAt time.Time) {
	tn.mu.Lock()
	isOurs := tn.lease.until.After(time.Now())
	if isOurs {
		tn.lease = tenantLease{otherUntil: retryAt}
	}
	tn.mu.Unlock()
	if isOurs {
		_ = tn.m.store.store.Release(ctx, tn.leaseKey(), tn.m.replicaID) // else it ends after leaseTTL
	}
}

// releaseUnusedLease releases the lease when no session waits for a QR.
func (tn *tenant) releaseUnusedLease(ctx context.Context) {
	tn.mu.Lock()
	isUnused := len(tn.waiting) == 0
	tn.mu.Unlock()
	if isUnused {
		tn.releaseLease(ctx, time.Time{})
	}
}

// announce tells the replica with the lease that the session of t waits; the caller holds tn.mu.
func (tn *tenant) announce(t *tracker, now time.Time) {
	if a := tn.shared.announced[t.ref.CacheKey()]; now.Sub(a.at) >= announceInterval {
		tn.shared.addAnnounced(t.ref, now)
		tn.shareLimits(true)
	}
}

func (s *sharedLimits) addAnnounced(r session.Ref, at time.Time) {
	if s.announced == nil {
		s.announced = map[string]announced{}
	}
	if key := r.CacheKey(); at.After(s.announced[key].at) {
		s.announced[key] = announced{r, at}
	}
}

// exportAnnounced returns what is still announced at now.
func (s *sharedLimits) exportAnnounced(now time.Time) (out []waitingSession) {
	for key, a := range s.announced {
		if age := now.Sub(a.at); age < leaseTTL {
			out = append(out, waitingSession{a.ref, age})
		} else {
			delete(s.announced, key)
		}
	}
	return out
}

// trackAnnounced starts the trackers of announced sessions, if this replica polls for them.
func (tn *tenant) trackAnnounced(now time.Time) {
	tn.mu.Lock()
	var missing []session.Ref
	if tn.lease.until.After(now) {
		for _, a := range tn.shared.announced {
			if now.Sub(a.at) < leaseTTL && tn.find(a.ref) == nil {
				missing = append(missing, a.ref)
			}
		}
	}
	tn.mu.Unlock()
	for _, r := range missing {
		tn.tracker(r)
	}
}
