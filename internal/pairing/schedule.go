package pairing

import (
	"time"

	"qrgate"
)

// comb is when to look at the engine after a connect: eight looks reach over five seconds, and no gap is
// longer than 0.69 s, so that a QR is handed out within 0.7 s of being there.
var comb = []time.Duration{
	250 * time.Millisecond, 870 * time.Millisecond, 1560 * time.Millisecond, 2250 * time.Millisecond,
	2940 * time.Millisecond, 3630 * time.Millisecond, 4320 * time.Millisecond, 5010 * time.Millisecond,
}

// After the comb: every second while a held request can still profit, then every two.
const (
	combEnd  = 12 * time.Second
	slowStep = 2 * time.Second
	fastStep = time.Second
)

// The recovery ladder, counted from the beginning of the wish (DESIGN 3). Each rung is used at most once
// per session in rungRest.
const (
	againAfter   = 12 * time.Second
	forceAfter   = 20 * time.Second
	restartAfter = 30 * time.Second
	rungRest     = 10 * time.Minute
	alikeLimit   = 3 // this many sessions failing alike are the engine's trouble, not the sessions'
)

// unsure is how long after a connect, or a wish, a QR may be missing before the state is asked for: the session may have been
// linked again, if its past is not known, and engines that fail often say there alone why.
const unsure = 5500 * time.Millisecond

// Pace of the other looks.
const (
	confirmStep = 700 * time.Millisecond // between looks while somebody waits for a code's successor
	scanStep    = 3 * time.Second        // between looks for the scan, while somebody is interested
	lastLook    = 300 * time.Millisecond // before the end of a hold
	demandStep  = 2 * time.Second        // between tries of a connect, while somebody asks
	reconnect   = time.Minute            // between connects after codes ran out
	ranOut      = 2 * time.Second        // without a code before the codes count as run out
)

// doing is what the desk may do for a session.
type doing int

const (
	nothing doing = iota
	look          // ask for the QR
	check         // ask for the state
	push          // connect again, with force, or restart
	rest          // give the wish up
)

// step is a decision: what, how hard, and not before when.
type step struct {
	do  doing
	how qrgate.ConnectMode
	at  time.Time
}

// interest is who wants to know something of a session right now.
type interest struct {
	code  bool      // somebody holds a request for the QR
	until time.Time // when the first such hold ends; may be past
	state bool      // somebody asked for the state
	proof bool      // somebody asked whose credential has not been accepted lately
}

// rules are the operator's settings that next depends on, and the climate.
type rules struct {
	force bool // QRGATE_RECOVERY_FORCE
	alike int  // sessions that fail alike
}

// next decides what to do for session s, and when.
func next(s qrgate.Session, i interest, r rules, now time.Time) step {
	switch {
	case i.proof:
		return step{do: proofOf(s), at: s.LastPolledAt.Add(fastStep)}
	case s.State == qrgate.Connecting && !s.AcquiringSince.IsZero():
		return acquire(s, i, r, now)
	case s.State == qrgate.AwaitingScan:
		return attend(s, i, now)
	case s.State == qrgate.Connected && i.state:
		return step{do: check, at: s.LastPolledAt.Add(scanStep)}
	}
	return step{}
}

// proofOf is the look that proves a credential: the state of a linked session, else the QR.
func proofOf(s qrgate.Session) doing {
	if s.State == qrgate.Connected {
		return check
	}
	return look
}

// acquire is next while a QR is wanted and none is there.
func acquire(s qrgate.Session, i interest, r rules, now time.Time) step {
	end := s.AcquiringSince.Add(qrgate.AcquireTimeout)
	if !now.Before(end) {
		return step{do: rest, at: now}
	}
	best := step{do: look, at: nextLook(s)}
	if last := i.until.Add(-lastLook); now.Before(i.until) && last.Before(best.at) && last.After(s.LastPolledAt.Add(breath)) {
		best.at = last // what came since the last look is worth one more before a client is sent away
	}
	if s.Pushed.Failed > 0 && s.ConnectedAt.Before(s.AcquiringSince) {
		best = insist(s)
	} else if p, ok := ladder(s, r, now); ok && p.at.Before(best.at) {
		best = p
	} else if c, ok := doubt(s, i); ok && c.at.Before(best.at) {
		best = c
	}
	if end.Before(best.at) {
		return step{do: rest, at: end}
	}
	return best
}

// doubt is a look at the state instead of one for the QR. A session may be linked without the gate's
// knowledge: a connect makes such a session reconnect, and no QR will ever come (contract 7, quirk 16). And
// one that surely is not is asked once per connect, why there is no QR: what the engine said of the last attempt
// may not be true of this one.
func doubt(s qrgate.Session, i interest) (step, bool) {
	late := s.AcquiringSince.Add(unsure)
	if s.ConnectedAt.After(s.AcquiringSince) {
		late = s.ConnectedAt.Add(unsure)
	}
	switch {
	case s.Polls%2 == 1:
		return step{}, false // an engine that does not tell its state is asked in turn with the looks for the QR
	case s.Sequence > 0 && s.StateConfirmedAt.Before(s.Since):
		return step{do: check, at: s.Since}, true // the code vanished: scanned, or run out?
	case s.CreatedHere && !s.EverPaired && s.StateQueriedAt.Before(late) && s.StateConfirmedAt.Before(late):
		return step{do: check, at: late}, true
	case s.CreatedHere && !s.EverPaired:
		return step{}, false
	case i.state:
		return step{do: check, at: s.StateConfirmedAt.Add(scanStep)}, true
	case s.EverPaired && s.StateConfirmedAt.Before(s.ConnectedAt):
		return step{do: check, at: s.ConnectedAt.Add(comb[0])}, true
	case s.ConnectedAt.Before(s.AcquiringSince) && s.StateConfirmedAt.Before(s.AcquiringSince):
		return step{do: check, at: s.AcquiringSince.Add(comb[1])}, true
	case s.StateConfirmedAt.Before(late):
		return step{do: check, at: late}, true
	}
	return step{}, false
}

// insist is next while no connect of this wish has been accepted: try it again 0.5, 1, 2, 4, 8, 8 …
// seconds after it failed, or when the engine wishes. One look comes between, because an engine that
// answers an error may have begun all the same.
func insist(s qrgate.Session) step {
	if s.LastPolledAt.Before(s.Pushed.Tried) {
		return step{do: look, at: s.Pushed.Tried.Add(250 * time.Millisecond)}
	}
	wait := 500 * time.Millisecond << min(s.Pushed.Failed-1, 4)
	if s.LastRequestedAt.After(s.Pushed.Tried) {
		wait = min(wait, demandStep) // somebody asked since, and will not wait for long
	}
	return step{do: push, how: qrgate.Connect, at: s.Pushed.Tried.Add(max(wait, s.Trouble.RetryAfter))}
}

// nextLook is the first tooth of the comb after the last look. Teeth are counted from the connect, or
// from the wish when no connect of this wish came through the gate, or from when the last code vanished.
func nextLook(s qrgate.Session) time.Time {
	base, first := s.ConnectedAt, false
	if base.Before(s.AcquiringSince) {
		base, first = s.AcquiringSince, true
	}
	if s.Sequence > 0 && s.Since.After(base) {
		base, first = s.Since, false
	}
	if first && s.LastPolledAt.Before(base) {
		return base
	}
	return base.Add(tooth(s.LastPolledAt.Sub(base)))
}

// tooth is the first look time later than after, relative to the comb's base.
func tooth(after time.Duration) time.Duration {
	for _, t := range comb {
		if t > after {
			return t
		}
	}
	if after < combEnd {
		return after + fastStep
	}
	return after + slowStep
}

// ladder is the next rung, if the session may be pushed at all: never one that was seen linked, never one
// whose connect did not come through this gate, never while several sessions fail alike.
func ladder(s qrgate.Session, r rules, now time.Time) (step, bool) {
	if s.EverPaired || s.ConnectedAt.IsZero() || r.alike >= alikeLimit {
		return step{}, false
	}
	if s.Sequence > 0 && !s.LostByEngine { // the codes ran out; a wish is enough to connect again
		at := s.Since.Add(ranOut)
		if soonest := s.ConnectedAt.Add(reconnect); soonest.After(at) {
			at = soonest
		}
		return sure(s, step{do: push, how: qrgate.Connect, at: at}), true
	}
	rungs := []struct {
		how  qrgate.ConnectMode
		used time.Time
		at   time.Time
		may  bool
	}{
		{qrgate.Connect, s.Pushed.Again, s.AcquiringSince.Add(againAfter), true},
		{qrgate.Force, s.Pushed.Force, s.AcquiringSince.Add(forceAfter), r.force},
		{qrgate.Restart, s.Pushed.Restart, s.AcquiringSince.Add(restartAfter), true},
	}
	for _, rung := range rungs {
		if !rung.may || !rung.used.IsZero() && now.Sub(rung.used) < rungRest {
			continue
		}
		if s.LostByEngine {
			rung.at = now
		}
		return sure(s, step{do: push, how: rung.how, at: rung.at}), true
	}
	return step{}, false
}

// sure puts a look at the state before a push: a session that was linked in the meantime is left alone.
func sure(s qrgate.Session, p step) step {
	first := p.at.Add(-fastStep)
	if s.LostByEngine || !s.StateConfirmedAt.Before(first) {
		return p
	}
	if again := s.LastPolledAt.Add(fastStep); again.After(first) {
		first = again
	}
	return step{do: check, at: first}
}

// attend is next while a code is there.
func attend(s qrgate.Session, i interest, now time.Time) step {
	switch {
	case i.code && !s.QR.Fresh(now):
		return step{do: look, at: s.LastPolledAt.Add(confirmStep)}
	case i.state && s.Trouble.Op == qrgate.OpStatus && s.Trouble.Kind == qrgate.KindSessionNotFound:
		return step{do: look, at: s.LastPolledAt.Add(scanStep)} // engines deny there what they serve here (contract C18), or it is gone
	case i.state:
		return step{do: check, at: s.LastPolledAt.Add(scanStep)}
	case i.code && !s.QR.Present():
		return step{do: look, at: now}
	}
	return step{}
}

// holdFor is how long a request for the QR may be held (contract 4.4): as asked, at most a minute, else by
// the age of the connect, because the clients that ask early are those that ask once.
func holdFor(s qrgate.Session, asked qrgate.WaitPreference, c Holds, now time.Time) time.Duration {
	if asked.Set {
		return min(max(asked.For, 0), qrgate.MaxWait)
	}
	connect := s.ConnectedAt
	if s.Pushed.Failed > 0 && s.Pushed.Tried.After(connect) {
		connect = s.Pushed.Tried // it is being tried again
	}
	if now.Sub(connect) < youngConnect {
		return c.Young
	}
	return c.Later
}

// youngConnect is the age up to which a connect's requests are held longest.
const youngConnect = 5 * time.Second
