package acquire

import (
	"time"

	"qrgate/internal/session"
)

// The recovery steps, counted from the start of the acquisition (ADR 0009). Each step is used at most once per
// session in recoveryCooldown.
const (
	reconnectDelay     = 12 * time.Second
	forceDelay         = 20 * time.Second
	restartDelay       = 30 * time.Second
	recoveryCooldown   = 10 * time.Minute
	maxUnpolled        = 4 * time.Second  // without a poll, the QR is polled before a step
	stepInterval       = 8 * time.Second  // between two steps, if the first was late: its code may be on the way
	lastConnectTimeout = 12 * time.Second // how long a connect is polled for its code, however late it was
	reconnectInterval  = 10 * time.Second // between connects of a session whose codes expired, or that the engine lost
	expiredGrace       = 2 * time.Second  // without a code before the codes count as expired: a scan takes them away too
	verifyInterval     = time.Second      // the state is confirmed so shortly before a recovery step
)

// Recovery while many sessions fail.
const (
	outageThreshold  = 3               // sessions that fail for the same cause; then recovery is slowed
	recoveryInterval = 2 * time.Second // between two recovery steps, of all sessions together, while it is slowed
)

// Retries of a connect that failed.
const (
	firstRetryDelay     = 500 * time.Millisecond
	maxRetryDoublings   = 4
	demandRetryInterval = 2 * time.Second // while a client asks
	retryPollDelay      = 250 * time.Millisecond
)

// retryConnect decides while no connect of this acquisition was accepted: retry it 0.5, 1, 2, 4, 8, 8 … seconds
// after it failed, or after the engine's Retry-After. One poll comes between two tries, because an engine that responds
// with an error may have started all the same.
func retryConnect(s session.Session, d demand) action {
	retryAt := retryConnectAt(s, d)
	tried := s.Recovery.LastTriedAt
	if s.LastPolledAt.Before(tried) && retryAt.Sub(tried) < session.ConnectGrace {
		return action{kind: pollQR, at: tried.Add(retryPollDelay)}
	}
	return action{kind: recoverQR, mode: session.Connect, at: retryAt}
}

// retryConnectAt is the earliest time of a connect after one that failed; the zero time if the last one was accepted.
func retryConnectAt(s session.Session, d demand) time.Time {
	r := s.Recovery
	if r.FailedConnects == 0 {
		return time.Time{}
	}
	delay := firstRetryDelay << min(r.FailedConnects-1, maxRetryDoublings)
	if d.requestedAt.After(r.LastTriedAt) {
		delay = min(delay, demandRetryInterval) // a client requested the QR since, and waits only for seconds
	}
	return r.LastTriedAt.Add(max(delay, s.History.ConnectFailure.RetryAfter))
}

// nextRecovery is the next recovery step, if the session may be recovered at all: never one that was ever paired,
// never one whose connect did not pass here.
func nextRecovery(s session.Session, allowForce bool, now time.Time) (action, bool) {
	connectAt := func(at time.Time) action { return action{kind: recoverQR, mode: session.Connect, at: at} }
	switch {
	case s.EverPaired || s.ConnectedAt.IsZero(), s.AwaitsPasskey(), s.QueuePosition > 0: // or it would lose its place
		return action{}, false
	case s.Failure.Err().IsNotReceived(): // a step would not reach the engine, and count as used
		return action{}, false
	case s.Sequence > 0 && !s.LostByEngine:
		return verifyFirst(s, connectAt(expiredReconnectAt(s))), true
	case s.LostByEngine && !s.History.RestartedAt.Before(s.ConnectedAt) && !s.History.RestartedAt.IsZero():
		return connectAt(latest(now, s.Recovery.ReconnectedAt.Add(reconnectInterval))), true
	}
	stepAt := func(delay time.Duration) time.Time {
		return latest(s.AcquiringSince.Add(delay), s.ConnectedAt.Add(stepInterval))
	}
	isUsed := func(at time.Time) bool { return !at.IsZero() && now.Sub(at) < recoveryCooldown }
	switch {
	case !isUsed(s.Recovery.ReconnectedAt) && s.LostByEngine:
		return connectAt(now), true
	case !isUsed(s.Recovery.ReconnectedAt):
		return verifyFirst(s, connectAt(s.AcquiringSince.Add(reconnectDelay))), true
	case allowForce && !isUsed(s.Recovery.ForcedAt):
		return verifyFirst(s, action{kind: recoverQR, mode: session.Force, at: stepAt(forceDelay)}), true
	case !isUsed(s.Recovery.RestartedAt):
		return verifyFirst(s, action{kind: recoverQR, mode: session.Restart, at: stepAt(restartDelay)}), true
	}
	return action{}, false
}

// expiredReconnectAt is when a session whose codes expired is connected again: at once if the engine reports it
// as disconnected, else when the codes have been gone for expiredGrace.
func expiredReconnectAt(s session.Session) time.Time {
	at := s.Since.Add(expiredGrace)
	if reportedAt := s.History.DisconnectedAt; !reportedAt.Before(s.Since) && !reportedAt.IsZero() {
		at = reportedAt
	}
	return latest(at, s.ConnectedAt.Add(reconnectInterval))
}

// verifyFirst puts a poll of the state before a recovery step: a session that was paired meanwhile is left alone. A
// session that was not polled lately, because few calls remained, may have a code, which the step would end.
func verifyFirst(s session.Session, a action) action {
	checkAt := a.at.Add(-verifyInterval)
	if s.LostByEngine || !s.StateConfirmedAt.Before(checkAt) {
		return a
	}
	if unpolledSince := checkAt.Add(-maxUnpolled); latest(s.LastPolledAt, earliestPoll(s)).Before(unpolledSince) {
		return action{kind: pollQR, at: checkAt.Add(-verifyInterval), verify: true}
	}
	if a.mode == session.Connect && !s.StateQueriedAt.Before(checkAt) {
		return a // the engine does not report it; a connect harms no paired session
	}
	return action{kind: pollStatus, at: latest(checkAt, s.StateQueriedAt.Add(verifyInterval)), verify: true}
}
