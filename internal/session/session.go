// Package session is the domain model that all packages share: Session, QR, Ref, State, Engine, EngineError, Event and
// Snapshot, the pure functions that take a session to its next value, and the rules that diagnose why it has no QR.
//
// It does no I/O, reads no clock and starts no goroutine. docs/ARCHITECTURE.md shows the packages and the path of one
// request through them.
package session

import (
	"cmp"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/secret"
)

// State is what a session is doing. The API has fewer states; package compat translates (contract 3.2).
type State string

// The states of a session.
const (
	Unknown      State = "unknown"
	Created      State = "created"       // it exists at the engine and has not been connected yet
	Connecting   State = "connecting"    // a QR is being obtained
	AwaitingScan State = "awaiting_scan" // a QR is there and waits for a phone
	Connected    State = "connected"     // paired with a phone
	Disconnected State = "disconnected"  // not paired, and no QR is being obtained
	Failed       State = "failed"        // the engine gave up, or qrgate did; the diagnosis has the cause
)

// States lists every state, in the order in which a session usually passes through them.
func States() []State {
	return []State{Unknown, Created, Connecting, AwaitingScan, Connected, Disconnected, Failed}
}

// Acquiring reports whether a QR is wanted and has not been scanned.
func (s State) Acquiring() bool { return s == Connecting || s == AwaitingScan }

// Session is what is known about one session of one tenant. It is a value: its methods return the next one.
type Session struct {
	Ref   Ref       `json:"ref"`
	State State     `json:"state"`
	Since time.Time `json:"since"` // when State began
	QR    QR        `json:"-"`     // stored apart, with its remaining lifetime as TTL

	Phone secret.Secret `json:"-"` // the number of the paired account, if the engine reported it to this process

	AuthorizedAt   time.Time `json:"authorized_at"`    // when the engine last accepted this credential for this session
	CreatedHere    bool      `json:"created_here"`     // it was created through qrgate
	EverPaired     bool      `json:"ever_paired"`      // the engine reported it as paired at some time
	PairedAt       time.Time `json:"paired_at"`        // when it was last reported as paired and had not been before
	ConnectedAt    time.Time `json:"connected_at"`     // the last connect that passed here and was accepted
	FirstConnectAt time.Time `json:"first_connect_at"` // the first one that passed here, accepted or not
	AcquiringSince time.Time `json:"acquiring_since"`  // when the present acquisition began; zero without one

	Sequence         int           `json:"sequence"` // codes seen since ConnectedAt
	Polls            int           `json:"polls"`    // since AcquiringSince
	LastPolledAt     time.Time     `json:"last_polled_at"`
	AnsweredAt       time.Time     `json:"answered_at"`        // the last poll that showed whether there is a code
	StateConfirmedAt time.Time     `json:"state_confirmed_at"` // the last response that contained the state
	StateQueriedAt   time.Time     `json:"state_queried_at"`   // the last poll for the state alone, whatever its result
	CodeReportedAt   time.Time     `json:"code_reported_at"`   // the last response that mentioned a code without its image
	Recovery         Recovery      `json:"recovery"`
	Failure          FailureStreak `json:"failure"`
	History          History       `json:"history"`
	Reason           string        `json:"reason"`         // the engine's last disconnect reason since ConnectedAt
	LostByEngine     bool          `json:"lost_by_engine"` // the engine lost a session that it had begun
	OutageAt         time.Time     `json:"outage_at"`      // when a call for any session last did not reach the engine
	ChangedAt        time.Time     `json:"-"`              // when the engine reported a change that no poll has confirmed
	QueuePosition    int           `json:"queue_position"` // in the engine's own queue, as of the last poll; 0: none

	// Polls are scheduled from the start of the acquisition. They start anew when the engine lost the session, its codes
	// expired, or its connects failed.
	ScheduleStartedAt time.Time `json:"schedule_started_at"`
	ScheduledPolls    int       `json:"scheduled_polls"`

	Request     Request `json:"request"`     // the request that began the acquisition
	Traceparent string  `json:"traceparent"` // of the first request: the create, or a later connect
}

// Recovery records the recovery steps that qrgate took.
type Recovery struct {
	ReconnectedAt time.Time `json:"reconnected_at"`
	ForcedAt      time.Time `json:"forced_at"`
	RestartedAt   time.Time `json:"restarted_at"`

	FailedConnects int       `json:"failed_connects"` // in a row; 0 after an accepted connect
	LastTriedAt    time.Time `json:"last_tried_at"`   // the last connect, accepted or not
}

const (
	// AcquireTimeout is how long one acquisition lasts before it is given up.
	AcquireTimeout = 60 * time.Second
	// ConnectGrace is how long after a connect the state "disconnected" proves nothing.
	ConnectGrace = 10 * time.Second
	// lostGrace is the age of a connect from which "no such session" means that the engine lost it.
	lostGrace = 5 * time.Second
	// minRestartDelay is how long after a connect the state "disconnected" proves nothing, even after an outage.
	minRestartDelay = time.Second
	// dropDelay is how long an engine must report a session as disconnected that it reported as connecting before.
	dropDelay = 2 * time.Second
)

// AfterPoll returns the session after a poll of the engine that ended at now with r, or with err.
func (s Session) AfterPoll(r SessionReport, err error, now time.Time) Session {
	s.Ref = s.Ref.Merge(r.Ref)
	s.LastPolledAt, s.Polls, s.ScheduledPolls, s.QueuePosition = now, s.Polls+1, s.ScheduledPolls+1, r.QueuePosition
	if KindOf(err).Authorized() {
		s.AuthorizedAt = now
	}
	failure := AsEngineError(err)
	if failure == nil {
		s = s.applySuccess(r, now)
		if !r.Image.Empty() {
			s.AnsweredAt = now
		}
		return s
	}
	if failure.Kind == KindNotReady && failure.Op == OpQR { // a list may hide the code
		s.AnsweredAt = now
	}
	isLost := s.isLost(failure, now)
	s = s.recordReason(r, now).recordFailure(failure, now)
	if isLost {
		s.LostByEngine, s.History.RestartedAt, s.AnsweredAt = true, now, now
	}
	kind, isDenied := failure.Kind, failure.Kind == KindNotReady || failure.Kind == KindSessionNotFound
	if isDenied && (failure.Op == OpStatus || failure.Op == OpList) && s.State != Connected {
		s.StateConfirmedAt = now // a session that the engine denies is not paired
	}
	switch {
	case r.IsUnpaired && s.State == Connected:
		return s.setState(Disconnected, now)
	case kind == KindUnreachable:
		return s.SuspectQR(now)
	case kind == KindNotReady:
		return s.clearQR(now).recordConnecting(r.State, now).recordDisconnected(r.State, now)
	case kind == KindAlreadyPaired:
		return s.applyPairedError(now)
	case kind == KindSessionNotFound && failure.Op == OpStatus:
		return s // engines deny there what they serve elsewhere (contract C18)
	case kind == KindKeyRefused, kind == KindSessionNotFound && s.ConnectedAt.IsZero() && !s.CreatedHere:
		return s.stop(now)
	case kind == KindSessionNotFound, failure.Op == OpQR && kind.hasResponse() && s.QR.TTL(now) <= 0:
		return s.clearQR(now) // the engine responds, and has no other code in place of one that ended
	}
	return s
}

// isLost reports whether a failed poll shows that the engine lost a session that it had begun: the engine was
// unreachable and has no code now, or it denies twice in a row a session whose connect it accepted a while ago. One of
// several engines behind one address denies it at times.
func (s *Session) isLost(failure *EngineError, now time.Time) bool {
	isDenied := failure.Kind == KindSessionNotFound
	switch {
	case s.ConnectedAt.IsZero():
		return false
	case s.Failure.Kind == KindUnreachable:
		return isDenied || failure.Kind == KindNotReady
	}
	isRepeated := s.Failure.Kind == KindSessionNotFound && !s.History.Reappearances.isPresent(minReappearances, now)
	return isDenied && isRepeated && failure.Op != OpStatus && (s.Sequence > 0 || now.Sub(s.ConnectedAt) > lostGrace)
}

// stop ends an acquisition that the engine does not allow the caller.
func (s Session) stop(now time.Time) Session {
	s.QR, s.AcquiringSince, s.AuthorizedAt = QR{}, time.Time{}, time.Time{}
	return s.setState(Unknown, now)
}

func (s Session) applySuccess(r SessionReport, now time.Time) Session {
	s.Failure, s.LostByEngine = FailureStreak{}, false
	s = s.recordReason(r, now).recordConnecting(r.State, now)
	if r.State != Unknown || r.IsUnpaired {
		s.StateConfirmedAt = now
	}
	switch {
	case r.State == Connected:
		s.Phone = r.Phone
		return s.markPaired(now)
	case !r.Image.Empty() && r.Expiry.Known && r.Expiry.In <= 0:
		s.History.StaleQRAt = now
		if r.Expiry.In < -expiredGrace {
			return s.clearQR(now)
		}
	case !r.Image.Empty():
		return s.applyQR(r, now)
	case r.State == Disconnected || r.State == Failed:
		return s.applyDisconnected(r.State, now)
	case r.State == AwaitingScan:
		s.CodeReportedAt = now
		if s.State == Connected {
			return s.setState(Connecting, now) // no longer paired
		}
	case r.State == Unknown && r.IsUnpaired && s.State == Connected:
		return s.setState(Disconnected, now)
	case r.State == Created && s.State == Unknown, r.State == Connecting && !s.State.Acquiring():
		return s.setState(r.State, now)
	}
	return s
}

// recordReason records the disconnect reason of a response. A list contains it beside a missing QR.
func (s Session) recordReason(r SessionReport, now time.Time) Session {
	if r.Reason != "" {
		s.Reason, s.History = r.Reason, s.History.RecordDisconnect(r, now)
	}
	return s
}

// applyQR confirms the present code, or takes a new one. A code lives no longer than WhatsApp's own do, whatever the
// engine states, unless its dialect states another bound. A code that is returned for longer is dropped.
func (s Session) applyQR(r SessionReport, now time.Time) Session {
	madeAfter := s.AnsweredAt
	if s.CreatedHere && s.FirstConnectAt.After(madeAfter) {
		madeAfter = s.FirstConnectAt
	}
	isScanned := s.State == Connected && s.History.Codes.isLast(r.Image)
	isReplaced := s.History.Codes.IsReplaced(r.Image) || isScanned
	s.History.Codes = s.History.Codes.add(r.Image, max(FirstQRTTL, r.Expiry.Limit), s.ConnectedAt, now)
	switch {
	case isReplaced:
		return s
	case s.History.Codes.isOverdue():
		return s.clearQR(now)
	case s.QR.Image.Equal(r.Image):
		s.QR.ConfirmedAt = now
		return s.setState(AwaitingScan, now) // a connect that failed may have left it
	}
	s.Sequence++
	ttl := RefreshQRTTL
	if s.Sequence == 1 {
		ttl = FirstQRTTL
	}
	ttl = cmp.Or(r.Expiry.Limit, ttl)
	expiresAt := s.History.Codes.SeenAt.Add(ttl) // earlier than now, if a connect has not changed the code
	if stated := now.Add(r.Expiry.In); r.Expiry.Known && stated.Before(expiresAt) {
		expiresAt = stated
	}
	s.QR = QR{
		Image: r.Image, Sequence: s.Sequence, SeenAt: now, MadeAfter: madeAfter, ConfirmedAt: now, ExpiresAt: expiresAt,
	}
	return s.setState(AwaitingScan, now)
}

// clearQR drops a code that the engine no longer has. A paired session stays paired until the engine reports a state.
func (s Session) clearQR(now time.Time) Session {
	if s.QR.Present() {
		s.History.CodeEndsAt = s.QR.ExpiresAt
	}
	s.QR = QR{}
	if s.State == AwaitingScan {
		return s.setState(Connecting, now)
	}
	return s
}

// applyDisconnected applies the states disconnected and error. During an acquisition they prove nothing for a while:
// engines report a new session so until its socket is open (contract 7, quirks 5 and 7).
func (s Session) applyDisconnected(state State, now time.Time) Session {
	isAcquiring := s.State.Acquiring() && !s.AcquiringSince.IsZero()
	switch {
	case isAcquiring && s.State == Connecting:
		return s.recordDisconnected(state, now)
	case isAcquiring && s.QR.TTL(now) > 0:
		return s
	case isAcquiring && now.Sub(s.AcquiringSince) < AcquireTimeout:
		return s.clearQR(now) // the codes expired
	case isAcquiring:
		s.AcquiringSince = time.Time{}
	}
	s.QR = QR{}
	return s.setState(state, now)
}

// recordDisconnected records that the engine reports a session without a code as disconnected. Later than ConnectGrace
// after the connect, and not between two codes, the engine has lost the session.
func (s Session) recordDisconnected(state State, now time.Time) Session {
	if state != Disconnected && state != Failed || s.State != Connecting {
		return s
	}
	if s.History.DisconnectedSince.IsZero() {
		s.History.DisconnectedSince = now
	}
	s.History.DisconnectedAt = now
	isLate := now.Sub(s.ConnectedAt) > ConnectGrace
	isDropped := s.History.ConnectingAt.After(s.ConnectedAt) && now.Sub(s.History.DisconnectedSince) >= dropDelay
	isRestarted := s.OutageAt.After(s.ConnectedAt) && now.Sub(s.ConnectedAt) >= minRestartDelay
	if !s.ConnectedAt.IsZero() && s.Sequence == 0 && (isLate || isDropped || isRestarted) {
		s.LostByEngine, s.AnsweredAt = true, now
	}
	return s
}

func (s Session) recordConnecting(state State, now time.Time) Session {
	if state == Connecting {
		s.History.ConnectingAt, s.History.DisconnectedSince = now, time.Time{}
	}
	return s
}

func (s Session) markPaired(now time.Time) Session {
	if s.State != Connected {
		s.PairedAt = now
	}
	s.QR, s.EverPaired, s.AcquiringSince, s.Recovery.FailedConnects = QR{}, true, time.Time{}, 0
	s.LostByEngine, s.Reason = false, ""
	return s.setState(Connected, now)
}

// pairedErrorTTL is how long an error that says "already paired" waits for a state, and a state overrules such errors.
const pairedErrorTTL = 10 * time.Second

// applyPairedError applies an error that says that the session is paired. Some engines say so until a code is there:
// the error counts once a poll of the state has failed to tell.
func (s Session) applyPairedError(now time.Time) Session {
	reportedAt := s.History.PairedErrorAt
	isUnresolved := !s.StateQueriedAt.Before(reportedAt) && s.StateConfirmedAt.Before(reportedAt)
	switch isRecent := now.Sub(reportedAt) < pairedErrorTTL; {
	case s.State == Connected, isRecent && isUnresolved:
		return s.markPaired(now)
	case !isRecent:
		s.History.PairedErrorAt = now
	}
	return s
}

// NeedsPairingCheck reports whether a poll of the state must show whether the session is paired.
func (s *Session) NeedsPairingCheck() bool {
	at := s.History.PairedErrorAt
	return s.State != Connected && !at.IsZero() && s.StateQueriedAt.Before(at) && s.StateConfirmedAt.Before(at)
}

// IsStateDenied reports whether the engine's last error only denies the state of a session: engines do so for sessions
// that they serve elsewhere (contract C18).
func (s *Session) IsStateDenied() bool {
	return s.Failure.Op == OpStatus && s.Failure.Kind == KindSessionNotFound
}

// AfterConnect returns the session after the engine accepted a connect or restart at now.
func (s Session) AfterConnect(now time.Time) Session {
	if s.LostByEngine || s.Sequence > 0 || s.Recovery.FailedConnects > 0 {
		s.ScheduleStartedAt, s.ScheduledPolls = now, 0
	}
	isLongRefused := s.Recovery.FailedConnects > 0 && now.Sub(s.AcquiringSince) > ConnectGrace
	if s.AcquiringSince.IsZero() || isLongRefused {
		s = s.StartAcquiring(now)
	}
	s = s.markConnect(now)
	s.ConnectedAt, s.AuthorizedAt, s.Failure = now, now, FailureStreak{}
	s.QR, s.Sequence, s.LastPolledAt, s.LostByEngine, s.Reason = QR{}, 0, time.Time{}, false, ""
	s.Recovery.FailedConnects, s.Recovery.LastTriedAt = 0, now
	s.History.DisconnectedSince = time.Time{}
	return s.setState(Connecting, now)
}

// markConnect records the first connect, which may have worked although it failed.
func (s Session) markConnect(now time.Time) Session {
	if s.FirstConnectAt.IsZero() {
		s.FirstConnectAt = now
	}
	return s
}

// StartAcquiring returns the session when a new acquisition begins at now.
func (s Session) StartAcquiring(now time.Time) Session {
	s.AcquiringSince, s.Polls = now, 0
	s.ScheduleStartedAt, s.ScheduledPolls = now, 0
	return s
}

// AfterConnectError returns the session after a connect or restart failed at now.
func (s Session) AfterConnectError(err error, now time.Time) Session {
	isFirstDenial := KindOf(err) == KindSessionNotFound && s.Failure.Kind != KindSessionNotFound
	s = s.recordFailure(AsEngineError(err), now).markConnect(now)
	s.Recovery.FailedConnects, s.Recovery.LastTriedAt = s.Recovery.FailedConnects+1, now
	switch kind := KindOf(err); {
	case isFirstDenial: // by one of several engines, perhaps: polls know the session
		return s
	case kind == KindAlreadyPaired:
		s.AuthorizedAt = now
		return s.applyPairedError(now)
	case kind == KindSessionNotFound, kind == KindKeyRefused:
		return s.stop(now) // a retry cannot succeed and would only use calls
	case kind == KindServerError, kind == KindTimeout, kind == KindUnreachable, kind == KindRateLimited,
		kind == KindBadResponse:
		if s.AcquiringSince.IsZero() {
			s = s.StartAcquiring(now)
		}
		return s.setState(Connecting, now)
	}
	return s
}

// AfterConnectRefused returns the session after the engine refused a client's connect at now, for a reason that a retry
// does not change.
func (s Session) AfterConnectRefused(err error, now time.Time) Session {
	s.History.ConnectFailure, s.History.RefusedAt = newStreak(AsEngineError(err), now), now
	return s
}

// RateLimited reports whether the last connect failed because of the engine's rate limit.
func (s *Session) RateLimited() bool {
	return s.Recovery.FailedConnects > 0 && s.History.ConnectFailure.Kind == KindRateLimited
}

// MarkRecovery returns the session after a recovery step at now.
func (s Session) MarkRecovery(mode ConnectMode, now time.Time) Session {
	switch mode {
	case Connect:
		s.Recovery.ReconnectedAt = now
	case Force:
		s.Recovery.ForcedAt = now
	case Restart:
		s.Recovery.RestartedAt = now
	}
	return s
}

// RequestQR returns the session after a client requested the QR at now. Without an acquisition it begins one.
func (s Session) RequestQR(now time.Time) Session {
	if !s.RequestStartsAcquisition(now) {
		return s
	}
	s = s.StartAcquiring(now)
	if s.State == AwaitingScan {
		return s
	}
	s.LastPolledAt = time.Time{}
	return s.setState(Connecting, now)
}

// RequestStartsAcquisition reports whether a request for the QR at now starts a new acquisition. Any other joins one,
// or finds the session paired, and changes nothing.
func (s *Session) RequestStartsAcquisition(now time.Time) bool {
	switch s.State {
	case Connected:
		return false
	case AwaitingScan:
		return now.Sub(s.AcquiringSince) >= AcquireTimeout
	}
	return s.AcquiringSince.IsZero()
}

// MarkChanged returns the session after its engine reported a change at the given time: it needs one more poll.
func (s Session) MarkChanged(at time.Time) Session {
	s = s.SuspectQR(at)
	s.ChangedAt = at
	return s
}

// AwaitsPasskey reports whether WhatsApp requires a passkey: another connect would begin another pairing.
func (s *Session) AwaitsPasskey() bool {
	named := s.History.Named
	return named.Code == diagnosis.PasskeyRequired && !named.LastAt.Before(s.ConnectedAt)
}

// SuspectQR returns the session after the engine was unreachable at the given time: its code needs one more poll.
func (s Session) SuspectQR(at time.Time) Session {
	if s.QR.Present() && at.After(s.QR.SuspectSince) {
		s.QR.SuspectSince = at
	}
	return s
}

// QRUsable reports whether there is a code that a phone can still scan, as far as is known.
func (s *Session) QRUsable(now time.Time) bool {
	return s.QR.Usable(now) && !s.codeDead() && !s.History.Codes.isUnstable(now)
}

// QRLive reports whether the code can still be scanned, even if its end is too near to hand it out: a client that
// follows the session may show it until then.
func (s *Session) QRLive(now time.Time) bool {
	q := s.QR
	return q.Present() && q.TTL(now) > 0 && !q.SuspectSince.After(q.ConfirmedAt) &&
		!s.codeDead() && !s.History.Codes.isUnstable(now)
}

// minScanMargin is how long before its end a code must vanish to count as scanned.
const minScanMargin = 2 * time.Second

// WasScanned reports whether the code vanished before its end, and nothing but a scan explains that.
func (s *Session) WasScanned(now time.Time) bool {
	isEarly := s.History.CodeEndsAt.Sub(s.Since) > minScanMargin && now.Before(s.History.CodeEndsAt)
	return s.State == Connecting && s.Sequence > 0 && isEarly && s.Reason == "" && !s.LostByEngine &&
		(s.Failure.Kind == "" || s.Failure.Kind == KindNotReady)
}

// GiveUp ends the acquisition: its time is over without a QR, or no client waits for one. Expired codes are no failure.
func (s Session) GiveUp(now time.Time) Session {
	s.AcquiringSince = time.Time{}
	switch {
	case s.State != Connecting:
		return s
	case s.Sequence > 0:
		return s.setState(Disconnected, now)
	}
	return s.setState(Failed, now)
}

func (s Session) setState(state State, now time.Time) Session {
	if s.State != state {
		s.State, s.Since = state, now
	}
	return s
}
