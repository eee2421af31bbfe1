package acquire

import (
	"slices"
	"sync"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// Lives at a desk.
const (
	leaseLife          = 6 * time.Second        // a poller that died is replaced after this long
	minPollInterval    = 100 * time.Millisecond // between two looks for one session, whatever is decided
	statusInterestTTL  = 5 * time.Second        // how long a question for the state buys looks
	followInterval     = time.Second            // how often a follower reads what the leader wrote
	idleTTL            = 30 * time.Second       // an entry nobody needs stays in mind this long
	idleWake           = 5 * time.Minute        // when there is nothing to do
	batchWindow        = 700 * time.Millisecond // looks that are due this close are made by one list call
	listGrace          = 5 * time.Second        // so long after a connect the list is believed when it shows no code
	listVerifyInterval = 3 * time.Second        // between two looks that test the list
	listCooldown       = 15 * time.Second       // how long a list that failed is done without: it may have been the engine
	listEvidenceTTL    = 2 * time.Second        // how long what a session's own route showed speaks against a list
	hidingListCooldown = 10 * time.Minute       // the same for one that keeps codes to itself, or lags behind: it will again
)

// tenant serves all sessions of one credential: it is where they share the engine's budget. One goroutine,
// run, decides; calls to the engine run beside it and bring their answers back under mu.
type tenant struct {
	p      *Pairing
	caller session.Caller
	wakeCh chan struct{}

	mu                sync.Mutex
	entries           map[string]*tracker
	budget            rateLimiter
	lastLook          time.Time     // the gate's own last look for this credential
	lastSinglePoll    time.Time     // the last look at one session while several waited
	inFlight          int           // in flight
	listInFlight      chan struct{} // a list call in flight; closed when it ends
	lastListAt        time.Time
	listCheckSession  *tracker  // whose own route had a code just now; the next list is held against it
	listDisabledUntil time.Time // until when the list is not asked: it failed, or denies codes
	refs              int       // callers that are using the desk right now
	lastSuccess       map[string]time.Time
}

// tracker is one session at the desk.
type tracker struct {
	name               string
	s                  session.Session
	version            int64
	load               sync.Once
	write              sync.Mutex     // one writer at a time, over the store's round trip
	gone               bool           // the session was forgotten
	changed            chan struct{}  // closed at the next change
	lastReportedCause  diagnosis.Code // the cause that the observer was told of last; under write
	guests             int            // requests that are using it right now
	busy               bool           // a call for it is in flight
	waiting            int            // requests held for whatever news
	qrWaiters          int            // those that are held for its code
	ends               time.Time      // when the first of those holds ends
	lastRejectedWaiter time.Time      // the last time that somebody for whom no slot was free wanted its code
	asked              time.Time      // the last time that somebody asked for its state
	watches            int            // requests held for its next change
	needsAuthCheck     bool           // somebody asked whose credential needs proof
	noBatch            bool           // the list does not show it, or not its code; ask for it alone
	leaseUntil         time.Time      // until when this replica holds its lease
	otherLeaseUntil    time.Time      // until when another replica is known to
	used               time.Time
	unwatch            func()
}

func newDesk(p *Pairing, c session.Caller) *tenant {
	c.RequestMeta = session.Request{} // what the desk does, it does for all of them
	return &tenant{p: p, caller: c, wakeCh: make(chan struct{}, 1), entries: map[string]*tracker{}, lastSuccess: map[string]time.Time{}}
}

// acquire and leave frame the use of a desk; the desk's and the gate's ends wait for it.
func (d *tenant) acquire() {
	d.p.guests.Add(1)
	d.mu.Lock()
	d.refs++
	d.mu.Unlock()
}

func (d *tenant) release() {
	d.mu.Lock()
	d.refs--
	d.mu.Unlock()
	d.wake()
	d.p.guests.Done()
}

func (d *tenant) wake() {
	select {
	case d.wakeCh <- struct{}{}:
	default:
	}
}

// idle reports whether the desk may be closed.
func (d *tenant) idle(time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.refs == 0 && d.inFlight == 0 && len(d.entries) == 0
}

// run decides and sleeps until there is something to decide.
func (d *tenant) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		wait := d.tick(time.Now())
		if wait < 0 && d.p.close(d) {
			return
		}
		timer.Reset(max(wait, 0))
		if wait < 0 {
			timer.Reset(idleTTL)
		}
		select {
		case <-timer.C:
		case <-d.wakeCh:
		case <-d.p.base.Done():
			d.shutdown()
			return
		}
	}
}

// pendingAction is an entry with its decision.
type pendingAction struct {
	e *tracker
	action
}

// tick starts what is due and returns how long nothing will be; negative when the desk is empty.
func (d *tenant) tick(now time.Time) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	wake := d.evictIdle(now)
	if len(d.entries) == 0 {
		return -1
	}
	looks, wake := d.plan(now, wake)
	if len(looks) > 0 {
		if at := d.pollAllowedAt(looks[0], now); at.After(now) {
			wake = earlier(wake, at)
			wake = earlier(wake, now.Add(followInterval/2)) // the clients' rush may be over by then
		} else {
			d.dispatch(looks, now)
			wake = earlier(wake, now.Add(10*time.Millisecond))
		}
	}
	return wake.Sub(now)
}

// plan takes every entry's decision: pushes and rests are carried out, looks are returned, the most
// urgent first, and wake is when the next decision falls due.
func (d *tenant) plan(now, wake time.Time) ([]pendingAction, time.Time) {
	r := policy{force: d.p.cfg.Force, alike: d.failingSessions(now)}
	var looks []pendingAction
	for _, e := range d.entries {
		if e.busy {
			continue // its call wakes the desk
		}
		if now.Before(e.otherLeaseUntil) {
			wake = earlier(wake, e.otherLeaseUntil)
			continue
		}
		st := nextAction(e.s, e.demand(now), r, now)
		if soonest := e.s.LastPolledAt.Add(minPollInterval); (st.do == pollQR || st.do == pollStatus) && st.at.Before(soonest) {
			st.at = soonest
		}
		switch {
		case st.do == none:
		case st.at.After(now):
			wake = earlier(wake, st.at)
			if (st.do == pollQR || st.do == pollStatus) && st.at.Before(now.Add(batchWindow)) {
				looks = append(looks, pendingAction{e, st})
			}
		case st.do == giveUpSession:
			d.giveUp(e, now)
		case st.do == recoverSession:
			if at := d.recoveryAllowedAt(now); at.After(now) {
				wake = earlier(wake, at)
			} else {
				d.recover(e, st.how, now)
			}
		default:
			looks = append(looks, pendingAction{e, st})
		}
	}
	slices.SortFunc(looks, func(a, b pendingAction) int { return a.e.waitingSince().Compare(b.e.waitingSince()) })
	if !slices.ContainsFunc(looks, func(l pendingAction) bool { return !l.at.After(now) }) {
		looks = nil // some are near, none is due
	}
	return looks, wake
}

// dispatch spends one call on what is due: a list when several sessions wait, else one session's own route.
func (d *tenant) dispatch(looks []pendingAction, now time.Time) {
	waiting := slices.DeleteFunc(slices.Clone(looks), func(l pendingAction) bool { return l.e.noBatch || l.e.needsAuthCheck })
	if len(waiting) > 1 && now.After(d.listDisabledUntil) && !d.shouldVerifyList(waiting[0].e, now) {
		if d.listInFlight == nil {
			d.startList(now)
		}
		return
	}
	d.lastSinglePoll = now
	for _, l := range looks {
		if !l.at.After(now) {
			d.pollOne(l.e, l.do, now)
			return
		}
	}
}

// shouldVerifyList reports whether the list has shown nothing for so long that one session should be asked
// for alone: a list is made from a database that may lag (contract 7, quirk 7).
func (d *tenant) shouldVerifyList(oldest *tracker, now time.Time) bool {
	return now.Sub(oldest.waitingSince()) > listGrace && now.Sub(d.lastSinglePoll) > listVerifyInterval
}

// waitingSince orders those who wait: the oldest connect first.
func (e *tracker) waitingSince() time.Time {
	if e.s.ConnectedAt.IsZero() {
		return e.s.AcquiringSince
	}
	return e.s.ConnectedAt
}

func (e *tracker) demand(now time.Time) interest {
	asked := e.asked.After(e.s.LastPolledAt) && now.Sub(e.asked) < statusInterestTTL
	nudged := e.lastRejectedWaiter.After(e.s.LastPolledAt) && now.Sub(e.lastRejectedWaiter) < statusInterestTTL
	return interest{code: e.qrWaiters > 0 || nudged, until: e.ends, state: asked || e.watches > 0, proof: e.needsAuthCheck}
}

// evictIdle lets go of entries that nobody needs, and returns when the next one may go.
func (d *tenant) evictIdle(now time.Time) time.Time {
	wake := now.Add(idleWake)
	for name, e := range d.entries {
		needed := e.busy || e.guests > 0 || !e.s.AcquiringSince.IsZero() && e.s.State == session.Connecting
		stay := idleTTL
		if e.s.AuthorizedAt.IsZero() {
			stay = unknownLife // nobody the engine knows
		}
		if left := stay - now.Sub(e.used); !needed && left >= 0 {
			wake = earlier(wake, now.Add(left+time.Millisecond))
		} else if !needed {
			e.unwatch()
			delete(d.entries, name)
		}
	}
	for name, at := range d.lastSuccess {
		if now.Sub(at) > 5*time.Minute {
			delete(d.lastSuccess, name)
		}
	}
	return wake
}

func earlier(a, b time.Time) time.Time {
	if b.IsZero() || a.Before(b) {
		return a
	}
	return b
}
