package acquire

import (
	"slices"
	"time"

	"qrgate/internal/session"
)

// pollSchedule is when to poll after a connect: eight polls within five seconds, with gaps of at most 0.69 s. Then
// polls become rare: an engine without a QR for six seconds is slow or broken, and recovery needs its rate limit.
var pollSchedule = []time.Duration{
	250 * time.Millisecond, 870 * time.Millisecond, 1560 * time.Millisecond, 2250 * time.Millisecond,
	2940 * time.Millisecond, 3630 * time.Millisecond, 4320 * time.Millisecond, 5010 * time.Millisecond,
	8700 * time.Millisecond, 11800 * time.Millisecond, 14900 * time.Millisecond, 18 * time.Second,
	21 * time.Second, 24 * time.Second, 27 * time.Second, 30 * time.Second,
}

// sparsePollSchedule has five polls within 8.7 s. It is for engines where a poll may take two calls
// (Config.SparsePolls), and for sessions that were polled before.
var sparsePollSchedule = []time.Duration{
	500 * time.Millisecond, 1700 * time.Millisecond, 3200 * time.Millisecond, 6100 * time.Millisecond,
	8700 * time.Millisecond, 11800 * time.Millisecond, 15 * time.Second,
	18500 * time.Millisecond, 22 * time.Second, 26 * time.Second, 30 * time.Second,
}

// pollLimits bounds the polls of a session without a QR, whatever causes them: the ninth poll is made no earlier than
// pollLimits[0] after the schedule started, and so on. Sixteen fit into the first 30 s.
var pollLimits = []time.Duration{
	5400 * time.Millisecond, 8200 * time.Millisecond, 8600 * time.Millisecond, 11 * time.Second,
	13 * time.Second, 14500 * time.Millisecond, 19 * time.Second, 30 * time.Second,
}

// Intervals and delays of polls.
const (
	densePolls          = 8                      // polls before pollLimits count
	slowPollInterval    = 3 * time.Second        // after the schedule's end
	downPollInterval    = time.Second            // while polls do not reach the engine: they cost nothing
	minPollInterval     = 100 * time.Millisecond // between two polls of one session, whatever is decided
	authCheckInterval   = time.Second            // between polls that prove a credential
	confirmPollInterval = 700 * time.Millisecond // while a client waits for a code's successor
	confirmDelay        = 3 * time.Second        // after a code was first seen, before it is confirmed
	followPollInterval  = 1500 * time.Millisecond
	scanPollInterval    = 3 * time.Second  // for the scan, while a client polls the state
	pairedTTL           = 10 * time.Second // how long a reported pairing counts without another poll of the state
	finalPollMargin     = 300 * time.Millisecond
	finalPollInterval   = 1500 * time.Millisecond // a final poll needs this distance to the last one
	statusCheckDelay    = 5500 * time.Millisecond // without a QR: engines that fail often tell only in their state why
	sparseCheckDelay    = 6200 * time.Millisecond // the same in sparsePollSchedule, after a poll
	outageCheckDelay    = time.Second             // after a call that did not reach the engine
	graceCheckDelay     = 20 * time.Millisecond   // after the connect's grace has ended
)

// actionKind is what a tracker may do for its session.
type actionKind int

const (
	none       actionKind = iota
	pollQR                // ask for the QR
	pollStatus            // ask for the state
	recoverQR             // connect, connect with force, or restart
	giveUp                // end the acquisition
)

// action is a decision: what, how hard, and when.
type action struct {
	kind   actionKind
	mode   session.ConnectMode
	at     time.Time
	verify bool // it confirms the state before a recovery step
}

// demand is who wants to know something of a session now.
type demand struct {
	wantsQR        bool      // a client waits for the QR
	waitEndsAt     time.Time // when the next such wait ends
	wantsState     bool      // a client asked for the state
	follows        bool      // a client follows all changes
	needsAuthCheck bool      // a client waits whose credential was not accepted lately
	requestedAt    time.Time // when a client last requested the QR
	isPushed       bool      // the engine reports changes by itself
	isSparse       bool      // sparsePollSchedule counts
	outageAt       time.Time // when a call for any session last did not reach the engine
	isElsewhere    bool      // no client asks here, and another replica cannot know what is done here
}

// scheduleOf is the schedule of a session. After a recovery step it is sparse, too: the polls before the step count.
func scheduleOf(s session.Session, d demand) []time.Duration {
	if d.isSparse || s.IsRecoveryConnect() {
		return sparsePollSchedule
	}
	return pollSchedule
}

// nextAction decides what to do for session s, and when. allowForce is QRGATE_RECOVERY_FORCE.
func nextAction(s session.Session, d demand, allowForce bool, now time.Time) action {
	a := chooseAction(s, d, allowForce, now)
	switch a.kind {
	case pollQR, pollStatus:
		a.at = latest(a.at, s.LastPolledAt.Add(minPollInterval))
	case recoverQR:
		a.at = latest(a.at, s.Recovery.LastTriedAt.Add(firstRetryDelay))
	}
	return a
}

func chooseAction(s session.Session, d demand, allowForce bool, now time.Time) action {
	switch {
	case d.needsAuthCheck && s.State == session.Connected:
		return confirmPairing(s)
	case d.needsAuthCheck:
		return action{kind: pollQR, at: s.LastPolledAt.Add(authCheckInterval)}
	case s.State.Acquiring() && !s.ChangedAt.IsZero():
		return action{kind: pollQR, at: now}
	case s.NeedsPairingCheck():
		return action{kind: pollStatus, at: now, verify: true}
	case s.State == session.Connecting && !s.AcquiringSince.IsZero():
		return acquireQR(s, d, allowForce, now)
	case s.State == session.AwaitingScan:
		return awaitScan(s, d, now)
	case s.State == session.Connected && now.Sub(s.StateConfirmedAt) > pairedTTL &&
		(d.wantsQR || d.requestedAt.After(s.LastPolledAt)): // by a client that does not wait
		return confirmPairing(s)
	case s.State == session.Connected && d.wantsState:
		return action{kind: pollStatus, at: s.LastPolledAt.Add(scanPollInterval)}
	case s.State == session.Unknown && d.follows && s.Polls > 0: // its connect may have passed through another process
		return action{kind: pollQR, at: s.LastPolledAt.Add(followPollInterval << min(s.Polls-1, 5))}
	}
	return action{}
}

// confirmPairing polls the state of a paired session, and in turn with it the QR, if the engine reports no state: a
// code that it shows ends the pairing.
func confirmPairing(s session.Session) action {
	a := action{kind: pollStatus, at: s.LastPolledAt.Add(verifyInterval)}
	if s.StateQueriedAt.After(s.StateConfirmedAt) && !s.AnsweredAt.After(s.StateQueriedAt) {
		a.kind = pollQR
	}
	return a
}

// acquireQR decides while a QR is wanted and none is there.
func acquireQR(s session.Session, d demand, allowForce bool, now time.Time) action {
	end := acquireUntil(s)
	if !now.Before(end) {
		if d.follows && s.Sequence > 0 && now.Sub(s.Since) < session.ConnectGrace {
			return action{kind: pollQR, at: s.LastPolledAt.Add(followPollInterval)} // the next code may be due
		}
		return action{kind: giveUp, at: now}
	}
	if d.isElsewhere {
		return action{kind: giveUp, at: end}
	}
	var best action
	if s.Recovery.FailedConnects > 0 && s.ConnectedAt.Before(s.AcquiringSince) {
		best = retryConnect(s, d)
	} else {
		best = nextPoll(s, d, now)
		r, ok := nextRecovery(s, allowForce, now)
		if r.kind == recoverQR {
			r.at = latest(r.at, retryConnectAt(s, d)) // the last step may have failed
		}
		if ok && (r.at.Before(best.at) || !r.at.After(now)) {
			best = r
		}
	}
	if end.Before(best.at) {
		return action{kind: giveUp, at: end}
	}
	return best
}

// acquireUntil is when the acquisition is given up. A connect that waits for the rate limit is given its time, and so
// is a session in the engine's own queue, and a connect that recovery made late.
func acquireUntil(s session.Session) time.Time {
	from := s.AcquiringSince
	if f := s.History.ConnectFailure; s.Recovery.FailedConnects > 0 && f.Kind == session.KindRateLimited {
		from = latest(from, s.Recovery.LastTriedAt.Add(f.RetryAfter))
	}
	if s.QueuePosition > 0 {
		from = latest(from, s.LastPolledAt)
	}
	return latest(from.Add(session.AcquireTimeout), s.ConnectedAt.Add(lastConnectTimeout))
}

// nextPoll is the next poll for a QR or for the state that explains its absence.
func nextPoll(s session.Session, d demand, now time.Time) action {
	f := s.History.PollFailure
	timedOut := f.Kind == session.KindTimeout && f.Times <= slowPollAfter && f.LastAt.Equal(s.LastPolledAt)
	best := action{kind: pollQR, at: scheduledPoll(s, scheduleOf(s, d))}
	switch {
	case timedOut, !s.CodeReportedAt.IsZero() && s.CodeReportedAt.Equal(s.LastPolledAt):
		best.at = now // the state reports a code; or the engine responds when the code is there, and needs more time
		return best
	case s.Failure.Err().IsNotReceived():
		best.at = earliest(best.at, s.LastPolledAt.Add(downPollInterval))
		return best
	case d.isPushed && (s.Failure.Kind == "" || s.Failure.Kind == session.KindNotReady):
		best.at = latest(best.at, s.LastPolledAt.Add(pushedPollInterval))
		return best
	}
	finalAt := d.waitEndsAt.Add(-finalPollMargin) // the QR may have come since the last poll
	if now.Before(d.waitEndsAt) && finalAt.After(s.LastPolledAt.Add(finalPollInterval)) {
		best.at = earliest(best.at, finalAt)
	}
	best.at = latest(best.at, earliestPoll(s))
	if at, ok := graceCheck(s); ok && at.Before(best.at) {
		best = action{kind: pollStatus, at: at}
	}
	if at, ok := statusCheck(s, d); ok && at.Before(best.at) {
		if d.wantsState {
			at = latest(at, earliestPoll(s))
		}
		return action{kind: pollStatus, at: at}
	}
	return best
}

// graceCheck is the poll right after the connect's grace when the engine called the session disconnected meanwhile:
// if it still does, it has lost the session.
func graceCheck(s session.Session) (time.Time, bool) {
	at := s.ConnectedAt.Add(session.ConnectGrace + graceCheckDelay)
	isDisconnected := s.History.DisconnectedAt.After(s.ConnectedAt)
	return at, isDisconnected && s.Sequence == 0 && !s.LostByEngine && s.LastPolledAt.Before(at)
}

// earliestPoll is the time before which pollLimits allows no further poll.
func earliestPoll(s session.Session) time.Time {
	n := s.ScheduledPolls - densePolls
	if n < 0 {
		return time.Time{}
	}
	return s.ScheduleStartedAt.Add(pollLimits[min(n, len(pollLimits)-1)])
}

// statusCheck is when to poll the state instead of the QR. A session may have been paired without qrgate's knowledge: a
// connect makes such a session reconnect, and no QR will ever come. And an unpaired one is polled once per connect for
// the reason why there is no QR.
func statusCheck(s session.Session, d demand) (time.Time, bool) {
	lateAt := latest(s.AcquiringSince, s.ConnectedAt).Add(statusCheckDelay)
	if d.isSparse {
		lateAt = lateAt.Add(sparseCheckDelay - statusCheckDelay)
	}
	isKnown := s.CreatedHere && !s.EverPaired
	outageAt := latest(d.outageAt, s.OutageAt)
	switch {
	case s.Sequence == 0 && outageAt.After(s.ConnectedAt) && !s.ConnectedAt.IsZero() &&
		s.StateQueriedAt.Before(outageAt) && s.StateConfirmedAt.Before(outageAt):
		return outageAt.Add(outageCheckDelay), true // the engine may have restarted, and lost the session
	case s.Sequence > 0 && s.StateConfirmedAt.Before(s.Since) && s.StateQueriedAt.Before(s.Since):
		return s.Since, true // the code vanished: scanned, or expired?
	case isKnown && s.StateQueriedAt.Before(lateAt) && s.StateConfirmedAt.Before(lateAt):
		return lateAt, true
	case s.Polls%2 == 1:
		return time.Time{}, false // an engine that does not report its state is asked in turn with the polls for the QR
	case s.Sequence > 0 && s.StateConfirmedAt.Before(s.Since):
		return s.Since, true
	case isKnown:
		return time.Time{}, false
	case d.wantsState:
		return s.StateConfirmedAt.Add(scanPollInterval), true
	case s.EverPaired && s.StateConfirmedAt.Before(s.ConnectedAt):
		return s.ConnectedAt.Add(pollSchedule[0]), true
	case s.ConnectedAt.Before(s.AcquiringSince) && s.StateConfirmedAt.Before(s.AcquiringSince):
		return s.AcquiringSince.Add(pollSchedule[1]), true
	}
	return lateAt, s.StateConfirmedAt.Before(lateAt)
}

// scheduledPoll is the first time of the schedule after the last poll. The schedule counts from the connect, or from
// the request when no connect of this acquisition passed here, or from when the last code vanished.
func scheduledPoll(s session.Session, schedule []time.Duration) time.Time {
	base := latest(s.ConnectedAt, s.AcquiringSince)
	isRequest := s.ConnectedAt.Before(s.AcquiringSince)
	if s.Sequence > 0 && s.Since.After(base) {
		base, isRequest = s.Since, false
	}
	if isRequest && s.LastPolledAt.Before(base) {
		return base
	}
	return base.Add(nextPollAfter(s.LastPolledAt.Sub(base), schedule))
}

// nextPollAfter is the first time of the schedule later than after.
func nextPollAfter(after time.Duration, schedule []time.Duration) time.Duration {
	i := slices.IndexFunc(schedule, func(at time.Duration) bool { return at > after })
	if i < 0 {
		return after + slowPollInterval
	}
	return schedule[i]
}

// awaitScan decides while a code is there.
func awaitScan(s session.Session, d demand, now time.Time) action {
	next := s.LastPolledAt.Add(scanPollInterval)
	expiredAt := s.QR.ExpiresAt.Add(expiredGrace)
	isAsked := d.wantsQR || d.requestedAt.After(s.LastPolledAt) // by a client that does not wait
	switch {
	case d.isPushed && now.Before(expiredAt) && !d.wantsQR && !d.follows && !d.wantsState:
		return action{}
	case d.isPushed && now.Before(expiredAt):
		return action{kind: pollQR, at: expiredAt} // the engine reports the next code before
	case isAsked && (now.Sub(s.QR.ExpiresAt) > expiredGrace || s.QR.Fresh(now) && !s.QRUsable(now)):
		return action{kind: pollQR, at: s.LastPolledAt.Add(followPollInterval)} // the engine keeps a code that is dead
	case isAsked && !s.QR.Fresh(now):
		return action{kind: pollQR, at: s.LastPolledAt.Add(confirmPollInterval)}
	case needsConfirmation(&s, d.requestedAt):
		return action{kind: pollQR, at: s.LastPolledAt.Add(followPollInterval)}
	case d.follows && s.QR.TTL(now) <= 0:
		return action{kind: pollQR, at: s.LastPolledAt.Add(followPollInterval)}
	case d.follows && s.QR.ExpiresAt.Before(next):
		return action{kind: pollQR, at: s.QR.ExpiresAt}
	case !d.wantsState && !d.follows:
		return action{}
	case s.IsStateDenied():
		return action{kind: pollQR, at: next} // or it is deleted
	}
	if d.follows && next.Sub(s.QR.SeenAt) > session.RevalidateAfter && !s.QR.ConfirmedAt.After(s.StateQueriedAt) {
		return action{kind: pollQR, at: next} // in turn with the state: the code may have been replaced
	}
	return action{kind: pollStatus, at: next}
}

// needsConfirmation reports whether a code that a client requests again was never confirmed: an engine that makes a new
// code for every poll would else be noticed by the phone only.
func needsConfirmation(s *session.Session, requestedAt time.Time) bool {
	isUnconfirmed := s.QR.ConfirmedAt.Equal(s.QR.SeenAt) && requestedAt.Sub(s.QR.SeenAt) > confirmDelay
	return s.QR.Present() && requestedAt.After(s.LastPolledAt) && (isUnconfirmed || s.History.Codes.Early > 0)
}

// waitFor is how long a request for the QR may wait (contract 4.4): as the client prefers, at most a minute, else by
// the age of the connect, because clients that request the QR right after a connect often do so once.
func waitFor(s *session.Session, preferred session.WaitPreference, w WaitTimes, now time.Time) time.Duration {
	if preferred.Set {
		return min(max(preferred.For, 0), session.MaxWait)
	}
	isRetried := s.Recovery.FailedConnects > 0 && now.Sub(s.Recovery.LastTriedAt) < freshConnect
	if isRetried || now.Sub(s.ConnectedAt) < freshConnect {
		return w.Initial
	}
	return w.Default
}

// freshConnect is the age up to which requests after a connect wait longest.
const freshConnect = 5 * time.Second

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
