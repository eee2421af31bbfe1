package pairing

import (
	"slices"
	"sync"
	"time"

	"qrgate"
)

// Lives at a desk.
const (
	leaseLife = 6 * time.Second        // a poller that died is replaced after this long
	breath    = 100 * time.Millisecond // between two looks for one session, whatever is decided
	askedLife = 5 * time.Second        // how long a question for the state buys looks
	follow    = time.Second            // how often a follower reads what the leader wrote
	lingering = 30 * time.Second       // an entry nobody needs stays in mind this long
	farAway   = 5 * time.Minute        // when there is nothing to do
	together  = 700 * time.Millisecond // looks that are due this close are made by one list call
	listTrust = 5 * time.Second        // so long after a connect the list is believed when it shows no code
	loneStep  = 3 * time.Second        // between two looks that test the list
	listRest  = 15 * time.Second       // how long a list that failed is done without: it may have been the engine
	testimony = 2 * time.Second        // how long what a session's own route showed speaks against a list
	listHides = 10 * time.Minute       // the same for one that keeps codes to itself, or lags behind: it will again
)

// desk serves all sessions of one credential: it is where they share the engine's budget. One goroutine,
// run, decides; calls to the engine run beside it and bring their answers back under mu.
type desk struct {
	p      *Pairing
	caller qrgate.Caller
	kick   chan struct{}

	mu       sync.Mutex
	entries  map[string]*entry
	budget   budget
	lastLook time.Time     // the gate's own last look for this credential
	lastLone time.Time     // the last look at one session while several waited
	calls    int           // in flight
	rolling  chan struct{} // a list call in flight; closed when it ends
	rolled   time.Time
	witness  *entry    // whose own route had a code just now; the next list is held against it
	listless time.Time // until when the list is not asked: it failed, or denies codes
	guests   int       // callers that are using the desk right now
	fine     map[string]time.Time
}

// entry is one session at the desk.
type entry struct {
	name    string
	s       qrgate.Session
	version int64
	load    sync.Once
	write   sync.Mutex    // one writer at a time, over the store's round trip
	gone    bool          // the session was forgotten
	changed chan struct{} // closed at the next change
	told    qrgate.Code   // the cause that the observer was told of last; under write
	guests  int           // requests that are using it right now
	busy    bool          // a call for it is in flight
	waiting int           // requests held for whatever news
	holders int           // those that are held for its code
	ends    time.Time     // when the first of those holds ends
	nudged  time.Time     // the last time that somebody for whom no slot was free wanted its code
	asked   time.Time     // the last time that somebody asked for its state
	watches int           // requests held for its next change
	proof   bool          // somebody asked whose credential needs proof
	single  bool          // the list does not show it, or not its code; ask for it alone
	led     time.Time     // until when this replica holds its lease
	other   time.Time     // until when another replica is known to
	used    time.Time
	unwatch func()
}

func newDesk(p *Pairing, c qrgate.Caller) *desk {
	c.RequestMeta = qrgate.Request{} // what the desk does, it does for all of them
	return &desk{p: p, caller: c, kick: make(chan struct{}, 1), entries: map[string]*entry{}, fine: map[string]time.Time{}}
}

// stay and leave frame the use of a desk; the desk's and the gate's ends wait for it.
func (d *desk) stay() {
	d.p.guests.Add(1)
	d.mu.Lock()
	d.guests++
	d.mu.Unlock()
}

func (d *desk) leave() {
	d.mu.Lock()
	d.guests--
	d.mu.Unlock()
	d.wake()
	d.p.guests.Done()
}

func (d *desk) wake() {
	select {
	case d.kick <- struct{}{}:
	default:
	}
}

// idle reports whether the desk may be closed.
func (d *desk) idle(time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.guests == 0 && d.calls == 0 && len(d.entries) == 0
}

// run decides and sleeps until there is something to decide.
func (d *desk) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		wait := d.round(time.Now())
		if wait < 0 && d.p.close(d) {
			return
		}
		timer.Reset(max(wait, 0))
		if wait < 0 {
			timer.Reset(lingering)
		}
		select {
		case <-timer.C:
		case <-d.kick:
		case <-d.p.base.Done():
			d.retire()
			return
		}
	}
}

// due is an entry with its decision.
type due struct {
	e *entry
	step
}

// round starts what is due and returns how long nothing will be; negative when the desk is empty.
func (d *desk) round(now time.Time) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	wake := d.tidy(now)
	if len(d.entries) == 0 {
		return -1
	}
	looks, wake := d.plan(now, wake)
	if len(looks) > 0 {
		if at := d.allowed(looks[0], now); at.After(now) {
			wake = earlier(wake, at)
			wake = earlier(wake, now.Add(follow/2)) // the clients' rush may be over by then
		} else {
			d.look(looks, now)
			wake = earlier(wake, now.Add(10*time.Millisecond))
		}
	}
	return wake.Sub(now)
}

// plan takes every entry's decision: pushes and rests are carried out, looks are returned, the most
// urgent first, and wake is when the next decision falls due.
func (d *desk) plan(now, wake time.Time) ([]due, time.Time) {
	r := rules{force: d.p.cfg.Force, alike: d.alike(now)}
	var looks []due
	for _, e := range d.entries {
		if e.busy {
			continue // its call wakes the desk
		}
		if now.Before(e.other) {
			wake = earlier(wake, e.other)
			continue
		}
		st := next(e.s, e.interest(now), r, now)
		if soonest := e.s.LastPolledAt.Add(breath); (st.do == look || st.do == check) && st.at.Before(soonest) {
			st.at = soonest
		}
		switch {
		case st.do == nothing:
		case st.at.After(now):
			wake = earlier(wake, st.at)
			if (st.do == look || st.do == check) && st.at.Before(now.Add(together)) {
				looks = append(looks, due{e, st})
			}
		case st.do == rest:
			d.end(e, now)
		case st.do == push:
			if at := d.mayPush(now); at.After(now) {
				wake = earlier(wake, at)
			} else {
				d.push(e, st.how, now)
			}
		default:
			looks = append(looks, due{e, st})
		}
	}
	slices.SortFunc(looks, func(a, b due) int { return a.e.rank().Compare(b.e.rank()) })
	if !slices.ContainsFunc(looks, func(l due) bool { return !l.at.After(now) }) {
		looks = nil // some are near, none is due
	}
	return looks, wake
}

// look spends one call on what is due: a list when several sessions wait, else one session's own route.
func (d *desk) look(looks []due, now time.Time) {
	waiting := slices.DeleteFunc(slices.Clone(looks), func(l due) bool { return l.e.single || l.e.proof })
	if len(waiting) > 1 && now.After(d.listless) && !d.suspicious(waiting[0].e, now) {
		if d.rolling == nil {
			d.startRoll(now)
		}
		return
	}
	d.lastLone = now
	for _, l := range looks {
		if !l.at.After(now) {
			d.one(l.e, l.do, now)
			return
		}
	}
}

// suspicious reports whether the list has shown nothing for so long that one session should be asked
// for alone: a list is made from a database that may lag (contract 7, quirk 7).
func (d *desk) suspicious(oldest *entry, now time.Time) bool {
	return now.Sub(oldest.rank()) > listTrust && now.Sub(d.lastLone) > loneStep
}

// rank orders those who wait: the oldest connect first.
func (e *entry) rank() time.Time {
	if e.s.ConnectedAt.IsZero() {
		return e.s.AcquiringSince
	}
	return e.s.ConnectedAt
}

func (e *entry) interest(now time.Time) interest {
	asked := e.asked.After(e.s.LastPolledAt) && now.Sub(e.asked) < askedLife
	nudged := e.nudged.After(e.s.LastPolledAt) && now.Sub(e.nudged) < askedLife
	return interest{code: e.holders > 0 || nudged, until: e.ends, state: asked || e.watches > 0, proof: e.proof}
}

// tidy lets go of entries that nobody needs, and returns when the next one may go.
func (d *desk) tidy(now time.Time) time.Time {
	wake := now.Add(farAway)
	for name, e := range d.entries {
		needed := e.busy || e.guests > 0 || !e.s.AcquiringSince.IsZero() && e.s.State == qrgate.Connecting
		stay := lingering
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
	for name, at := range d.fine {
		if now.Sub(at) > 5*time.Minute {
			delete(d.fine, name)
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
