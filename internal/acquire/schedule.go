package acquire

import (
	"time"

	"qrgate/internal/session"
)

// pollSchedule is when to look at the engine after a connect: eight looks reach over five seconds, and no gap is
// longer than 0.69 s, so that a QR is handed out within 0.7 s of being there.
var pollSchedule = []time.Duration{
	250 * time.Millisecond, 870 * time.Millisecond, 1560 * time.Millisecond, 2250 * time.Millisecond,
	2940 * time.Millisecond, 3630 * time.Millisecond, 4320 * time.Millisecond, 5010 * time.Millisecond,
}

// After the comb: every second while a held request can still profit, then every two.
const (
	fastPollEnd = 12 * time.Second
	slowStep    = 2 * time.Second
	fastStep    = time.Second
)

// The recovery ladder, counted from the beginning of the wish (DESIGN 3). Each rung is used at most once
// per session in recoveryCooldown.
const (
	againAfter       = 12 * time.Second
	forceAfter       = 20 * time.Second
	restartAfter     = 30 * time.Second
	recoveryCooldown = 10 * time.Minute
	outageThreshold  = 3 // this many sessions failing alike are the engine's trouble, not the sessions'
)

// statusCheckDelay is how long after a connect, or a wish, a QR may be missing before the state is asked for: the session may have been
// linked again, if its past is not known, and engines that fail often say there alone why.
const statusCheckDelay = 5500 * time.Millisecond

// Pace of the other looks.
const (
	confirmStep         = 700 * time.Millisecond // between looks while somebody waits for a code's successor
	scanPollInterval    = 3 * time.Second        // between looks for the scan, while somebody is interested
	finalPollMargin     = 300 * time.Millisecond // before the end of a hold
	demandRetryInterval = 2 * time.Second        // between tries of a connect, while somebody asks
	reconnect           = time.Minute            // between connects after codes ran out
	expiredGrace        = 2 * time.Second        // without a code before the codes count as run out
)

// actionKind is what the desk may do for a session.
type actionKind int

const (
	none           actionKind = iota
	pollQR                    // ask for the QR
	pollStatus                // ask for the state
	recoverSession            // connect again, with force, or restart
	giveUpSession             // give the wish up
)

// action is a decision: what, how hard, and not before when.
type action struct {
	do  actionKind
	how session.ConnectMode
	at  time.Time
}

// interest is who wants to know something of a session right now.
type interest struct {
	code  bool      // somebody holds a request for the QR
	until time.Time // when the first such hold ends; may be past
	state bool      // somebody asked for the state
	proof bool      // somebody asked whose credential has not been accepted lately
}

// policy are the operator's settings that next depends on, and the climate.
type policy struct {
	force bool // QRGATE_RECOVERY_FORCE
	alike int  // sessions that fail alike
}

// nextAction decides what to do for session s, and when.
func nextAction(s session.Session, i interest, r policy, now time.Time) action {
	switch {
	case i.proof:
		return action{do: authCheck(s), at: s.LastPolledAt.Add(fastStep)}
	case s.State == session.Connecting && !s.AcquiringSince.IsZero():
		return acquire(s, i, r, now)
	case s.State == session.AwaitingScan:
		return awaitScan(s, i, now)
	case s.State == session.Connected && i.state:
		return action{do: pollStatus, at: s.LastPolledAt.Add(scanPollInterval)}
	}
	return action{}
}

// authCheck is the look that proves a credential: the state of a linked session, else the QR.
func authCheck(s session.Session) actionKind {
	if s.State == session.Connected {
		return pollStatus
	}
	return pollQR
}

// acquire is next while a QR is wanted and none is there.
func acquire(s session.Session, i interest, r policy, now time.Time) action {
	end := s.AcquiringSince.Add(session.AcquireTimeout)
	if !now.Before(end) {
		return action{do: giveUpSession, at: now}
	}
	best := action{do: pollQR, at: nextLook(s)}
	if last := i.until.Add(-finalPollMargin); now.Before(i.until) && last.Before(best.at) && last.After(s.LastPolledAt.Add(minPollInterval)) {
		best.at = last // what came since the last look is worth one more before a client is sent away
	}
	if s.Pushed.Failed > 0 && s.ConnectedAt.Before(s.AcquiringSince) {
		best = retryConnect(s)
	} else if p, ok := nextRecovery(s, r, now); ok && p.at.Before(best.at) {
		best = p
	} else if c, ok := statusCheck(s, i); ok && c.at.Before(best.at) {
		best = c
	}
	if end.Before(best.at) {
		return action{do: giveUpSession, at: end}
	}
	return best
}

// statusCheck is a look at the state instead of one for the QR. A session may be linked without the gate's
// knowledge: a connect makes such a session reconnect, and no QR will ever come (contract 7, quirk 16). And
// one that surely is not is asked once per connect, why there is no QR: what the engine said of the last attempt
// may not be true of this one.
func statusCheck(s session.Session, i interest) (action, bool) {
	late := s.AcquiringSince.Add(statusCheckDelay)
	if s.ConnectedAt.After(s.AcquiringSince) {
		late = s.ConnectedAt.Add(statusCheckDelay)
	}
	switch {
	case s.Polls%2 == 1:
		return action{}, false // an engine that does not tell its state is asked in turn with the looks for the QR
	case s.Sequence > 0 && s.StateConfirmedAt.Before(s.Since):
		return action{do: pollStatus, at: s.Since}, true // the code vanished: scanned, or run out?
	case s.CreatedHere && !s.EverPaired && s.StateQueriedAt.Before(late) && s.StateConfirmedAt.Before(late):
		return action{do: pollStatus, at: late}, true
	case s.CreatedHere && !s.EverPaired:
		return action{}, false
	case i.state:
		return action{do: pollStatus, at: s.StateConfirmedAt.Add(scanPollInterval)}, true
	case s.EverPaired && s.StateConfirmedAt.Before(s.ConnectedAt):
		return action{do: pollStatus, at: s.ConnectedAt.Add(pollSchedule[0])}, true
	case s.ConnectedAt.Before(s.AcquiringSince) && s.StateConfirmedAt.Before(s.AcquiringSince):
		return action{do: pollStatus, at: s.AcquiringSince.Add(pollSchedule[1])}, true
	case s.StateConfirmedAt.Before(late):
		return action{do: pollStatus, at: late}, true
	}
	return action{}, false
}

// retryConnect is next while no connect of this wish has been accepted: try it again 0.5, 1, 2, 4, 8, 8 …
// seconds after it failed, or when the engine wishes. One look comes between, because an engine that
// answers an error may have begun all the same.
func retryConnect(s session.Session) action {
	if s.LastPolledAt.Before(s.Pushed.Tried) {
		return action{do: pollQR, at: s.Pushed.Tried.Add(250 * time.Millisecond)}
	}
	wait := 500 * time.Millisecond << min(s.Pushed.Failed-1, 4)
	if s.LastRequestedAt.After(s.Pushed.Tried) {
		wait = min(wait, demandRetryInterval) // somebody asked since, and will not wait for long
	}
	return action{do: recoverSession, how: session.Connect, at: s.Pushed.Tried.Add(max(wait, s.Trouble.RetryAfter))}
}

// nextLook is the first tooth of the comb after the last look. Teeth are counted from the connect, or
// from the wish when no connect of this wish came through the gate, or from when the last code vanished.
func nextLook(s session.Session) time.Time {
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
	return base.Add(nextPollAfter(s.LastPolledAt.Sub(base)))
}

// nextPollAfter is the first look time later than after, relative to the comb's base.
func nextPollAfter(after time.Duration) time.Duration {
	for _, t := range pollSchedule {
		if t > after {
			return t
		}
	}
	if after < fastPollEnd {
		return after + fastStep
	}
	return after + slowStep
}

// nextRecovery is the next rung, if the session may be pushed at all: never one that was seen linked, never one
// whose connect did not come through this gate, never while several sessions fail alike.
func nextRecovery(s session.Session, r policy, now time.Time) (action, bool) {
	if s.EverPaired || s.ConnectedAt.IsZero() || r.alike >= outageThreshold {
		return action{}, false
	}
	if s.Sequence > 0 && !s.LostByEngine { // the codes ran out; a wish is enough to connect again
		at := s.Since.Add(expiredGrace)
		if soonest := s.ConnectedAt.Add(reconnect); soonest.After(at) {
			at = soonest
		}
		return verifyFirst(s, action{do: recoverSession, how: session.Connect, at: at}), true
	}
	rungs := []struct {
		how  session.ConnectMode
		used time.Time
		at   time.Time
		may  bool
	}{
		{session.Connect, s.Pushed.Again, s.AcquiringSince.Add(againAfter), true},
		{session.Force, s.Pushed.Force, s.AcquiringSince.Add(forceAfter), r.force},
		{session.Restart, s.Pushed.Restart, s.AcquiringSince.Add(restartAfter), true},
	}
	for _, rung := range rungs {
		if !rung.may || !rung.used.IsZero() && now.Sub(rung.used) < recoveryCooldown {
			continue
		}
		if s.LostByEngine {
			rung.at = now
		}
		return verifyFirst(s, action{do: recoverSession, how: rung.how, at: rung.at}), true
	}
	return action{}, false
}

// verifyFirst puts a look at the state before a push: a session that was linked in the meantime is left alone.
func verifyFirst(s session.Session, p action) action {
	first := p.at.Add(-fastStep)
	if s.LostByEngine || !s.StateConfirmedAt.Before(first) {
		return p
	}
	if again := s.LastPolledAt.Add(fastStep); again.After(first) {
		first = again
	}
	return action{do: pollStatus, at: first}
}

// awaitScan is next while a code is there.
func awaitScan(s session.Session, i interest, now time.Time) action {
	switch {
	case i.code && !s.QR.Fresh(now):
		return action{do: pollQR, at: s.LastPolledAt.Add(confirmStep)}
	case i.state && s.Trouble.Op == session.OpStatus && s.Trouble.Kind == session.KindSessionNotFound:
		return action{do: pollQR, at: s.LastPolledAt.Add(scanPollInterval)} // engines deny there what they serve here (contract C18), or it is gone
	case i.state:
		return action{do: pollStatus, at: s.LastPolledAt.Add(scanPollInterval)}
	case i.code && !s.QR.Present():
		return action{do: pollQR, at: now}
	}
	return action{}
}

// waitFor is how long a request for the QR may be held (contract 4.4): as asked, at most a minute, else by
// the age of the connect, because the clients that ask early are those that ask once.
func waitFor(s session.Session, asked session.WaitPreference, c WaitTimes, now time.Time) time.Duration {
	if asked.Set {
		return min(max(asked.For, 0), session.MaxWait)
	}
	connect := s.ConnectedAt
	if s.Pushed.Failed > 0 && s.Pushed.Tried.After(connect) {
		connect = s.Pushed.Tried // it is being tried again
	}
	if now.Sub(connect) < youngConnect {
		return c.Initial
	}
	return c.Default
}

// youngConnect is the age up to which a connect's requests are held longest.
const youngConnect = 5 * time.Second
