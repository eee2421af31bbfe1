package session

import "time"

// Session is what is known about one session of one tenant. It is a value: AfterPoll, AfterConnect and the other
// methods return the next one, and nothing here reads a clock.
type Session struct {
	Ref   Ref       `json:"ref"`
	State State     `json:"state"`
	Since time.Time `json:"since"` // when State began
	QR    QR        `json:"-"`     // stored apart, with its remaining life as TTL

	AuthorizedAt   time.Time `json:"authorized_at"`   // when the engine last accepted this credential for this session
	CreatedHere    bool      `json:"created_here"`    // it was created through qrgate
	EverPaired     bool      `json:"ever_paired"`     // it was seen paired at some time
	ConnectedAt    time.Time `json:"connected_at"`    // when the engine last accepted a connect that passed here
	AcquiringSince time.Time `json:"acquiring_since"` // when the present acquisition began; zero without one

	Sequence         int           `json:"sequence"` // codes seen since ConnectedAt
	Polls            int           `json:"polls"`    // since AcquiringSince
	LastPolledAt     time.Time     `json:"last_polled_at"`
	StateConfirmedAt time.Time     `json:"state_confirmed_at"` // the last answer that told the state
	StateQueriedAt   time.Time     `json:"state_queried_at"`   // the last poll for the state alone, whatever came of it
	CodeReportedAt   time.Time     `json:"code_reported_at"`   // the last answer that told of a code and did not show it
	Recovery         Recovery      `json:"recovery"`
	Failure          FailureStreak `json:"failure"`
	History          History       `json:"history"`
	Reason           string        `json:"reason"`         // what the engine says of the last disconnect since ConnectedAt
	LostByEngine     bool          `json:"lost_by_engine"` // the engine lost a session that it had begun

	// Polls are scheduled from the start of the acquisition, or anew when nothing before counts any more: the engine
	// lost the session, its codes expired, or its connects failed.
	ScheduleStartedAt time.Time `json:"schedule_started_at"`
	ScheduledPolls    int       `json:"scheduled_polls"`

	Request     Request `json:"request"`     // the request that the acquisition goes back to
	Traceparent string  `json:"traceparent"` // of the request that everything began with: the create, or a later connect
}

// Recovery records the recovery steps that qrgate took.
type Recovery struct {
	ReconnectedAt time.Time `json:"reconnected_at"`
	ForcedAt      time.Time `json:"forced_at"`
	RestartedAt   time.Time `json:"restarted_at"`

	FailedConnects int       `json:"failed_connects"` // in a row; 0 once one was accepted
	LastTriedAt    time.Time `json:"last_tried_at"`   // the last of them
}

// FailureStreak is the engine's present kind of failure: one kind, since when, how often in a row.
type FailureStreak struct {
	Kind       ErrorKind     `json:"kind"`
	Op         string        `json:"op"`
	Status     int           `json:"status"`
	Code       string        `json:"code"`
	Text       string        `json:"text"`
	Reason     string        `json:"reason"` // why no answer came
	Since      time.Time     `json:"since"`
	LastAt     time.Time     `json:"last_at"`
	Times      int           `json:"times"`
	RetryAfter time.Duration `json:"retry_after"`
}

// AfterPoll is the session after a poll of the engine that ended at now in o, or in err.
func (s Session) AfterPoll(o SessionReport, err error, now time.Time) Session {
	s.Ref = s.Ref.Merge(o.Ref)
	s.LastPolledAt, s.Polls, s.ScheduledPolls = now, s.Polls+1, s.ScheduledPolls+1
	kind := KindOf(err)
	if kind == KindUnreachable && s.QR.Present() {
		s.QR.SuspectSince = now
	}
	if kind.Authorized() {
		s.AuthorizedAt = now
	}
	if kind == "" {
		return s.detectRestart(kind).clearFailure().applySuccess(o, now)
	}
	s = s.detectRestart(kind).recordReason(o, now).recordFailure(err, now)
	if op := s.Failure.Op; (op == OpStatus || op == OpList) && (kind == KindNotReady || kind == KindSessionNotFound) {
		s.StateConfirmedAt = now // a session that the engine denies is not linked
	}
	switch kind {
	case KindKeyRefused:
		return s.stop(now)
	case KindNotReady:
		return s.clearQR(now).noteConnecting(o.State, now).noteDisconnected(o.State, now)
	case KindAlreadyPaired:
		return s.markPaired(now)
	case KindSessionNotFound:
		if s.Failure.Op == OpStatus {
			return s // engines deny there what they serve elsewhere (contract C18)
		}
		if s.ConnectedAt.IsZero() && !s.CreatedHere {
			return s.stop(now)
		}
		s.LostByEngine = s.LostByEngine || !s.ConnectedAt.IsZero() && (s.Sequence > 0 || now.Sub(s.ConnectedAt) > lostGrace)
		return s.clearQR(now)
	}
	return s
}

// detectRestart notices an engine that comes back after it could not be reached: it was restarted, and what
// it had begun is gone.
func (s Session) detectRestart(kind ErrorKind) Session {
	if s.Failure.Kind == KindUnreachable && !s.ConnectedAt.IsZero() && (kind == KindNotReady || kind == KindSessionNotFound) {
		s.LostByEngine = true
	}
	return s
}

// stop ends an acquisition that the engine does not allow the caller.
func (s Session) stop(now time.Time) Session {
	s.QR, s.AcquiringSince, s.AuthorizedAt = QR{}, time.Time{}, time.Time{}
	return s.setState(Unknown, now)
}

// applySuccess takes an answer without a fault.
func (s Session) applySuccess(o SessionReport, now time.Time) Session {
	s.LostByEngine = false
	s = s.recordReason(o, now).noteConnecting(o.State, now)
	if o.State != Unknown {
		s.StateConfirmedAt = now
	}
	switch {
	case o.State == Connected:
		return s.markPaired(now)
	case !o.Image.Empty() && o.Expiry.Known && o.Expiry.In <= 0:
		s.History.StaleQRAt = now
	case !o.Image.Empty():
		return s.applyQR(o, now)
	case o.State == Disconnected || o.State == Failed:
		return s.applyDisconnected(o.State, now)
	case o.State == AwaitingScan:
		s.CodeReportedAt = now
		return s
	case o.State == Created && s.State == Unknown, o.State == Connecting && !s.State.Acquiring():
		return s.setState(o.State, now)
	}
	return s
}

// recordReason takes what an answer says of the session's last disconnect. A list says it beside a QR that is missing.
func (s Session) recordReason(o SessionReport, now time.Time) Session {
	if o.Reason != "" {
		s.Reason, s.History = o.Reason, s.History.RecordDisconnect(o, now)
	}
	return s
}

// applyQR takes a code: the one we have, confirmed, or a new one.
func (s Session) applyQR(o SessionReport, now time.Time) Session {
	if s.QR.Image.Equal(o.Image) {
		s.QR.ConfirmedAt = now
		return s
	}
	s.Sequence++
	life := RefreshQRTTL
	if s.Sequence == 1 {
		life = FirstQRTTL
	}
	if o.Expiry.Known {
		life = min(o.Expiry.In, maxCodeLife)
	}
	s.QR = QR{Image: o.Image, Sequence: s.Sequence, SeenAt: now, ConfirmedAt: now, ExpiresAt: now.Add(life)}
	return s.setState(AwaitingScan, now)
}

// maxCodeLife bounds what an engine may claim: the documents' own examples say five minutes.
const maxCodeLife = 10 * time.Minute

// clearQR drops a code that the engine no longer has.
func (s Session) clearQR(now time.Time) Session {
	s.QR = QR{}
	switch {
	case s.State == AwaitingScan:
		return s.setState(Connecting, now)
	case s.State == Connected:
		return s // a paired session has no QR; only a state shows that it is no longer paired
	}
	return s
}

// applyDisconnected takes "disconnected" or "error". While a QR is being obtained that is no news for a while:
// engines show a fresh session so until its socket is up (contract 7, quirks 5 and 7).
func (s Session) applyDisconnected(state State, now time.Time) Session {
	if s.State.Acquiring() && !s.AcquiringSince.IsZero() {
		if s.State == AwaitingScan && s.QR.TTL(now) > 0 {
			return s
		}
		if s.State == AwaitingScan {
			return s.codesExpired(state, now)
		}
		return s.noteDisconnected(state, now)
	}
	s.QR = QR{}
	return s.setState(state, now)
}

// noteDisconnected takes the engine's word that a session without a code is disconnected. Later than ConnectGrace after
// the connect, and not between two codes, it means that the engine has lost the session.
func (s Session) noteDisconnected(state State, now time.Time) Session {
	if state != Disconnected && state != Failed || s.State != Connecting {
		return s
	}
	if s.History.DisconnectedSince.IsZero() {
		s.History.DisconnectedSince = now
	}
	s.History.DisconnectedAt = now
	late := now.Sub(s.ConnectedAt) > ConnectGrace
	dropped := s.History.ConnectingAt.After(s.ConnectedAt) && now.Sub(s.History.DisconnectedSince) >= dropDelay
	if !s.ConnectedAt.IsZero() && s.Sequence == 0 && (late || dropped) {
		s.LostByEngine = true
	}
	return s
}

// noteConnecting takes the engine's word that it is connecting a session.
func (s Session) noteConnecting(state State, now time.Time) Session {
	if state == Connecting {
		s.History.ConnectingAt, s.History.DisconnectedSince = now, time.Time{}
	}
	return s
}

// dropDelay is how long an engine must call a session disconnected that it was connecting before.
const dropDelay = 2 * time.Second

// codesExpired is the end of a connect's codes: the acquisition continues if it is young, else it ends.
func (s Session) codesExpired(state State, now time.Time) Session {
	if now.Sub(s.AcquiringSince) < AcquireTimeout {
		return s.clearQR(now)
	}
	s.QR, s.AcquiringSince = QR{}, time.Time{}
	return s.setState(state, now)
}

// AcquireTimeout is how long one acquisition lasts before it is given up.
const AcquireTimeout = 60 * time.Second

// lostGrace is the age of a connect from which "no such session" means that the engine lost it.
const lostGrace = 5 * time.Second

// ConnectGrace is how long after a connect an engine's "disconnected" still means nothing.
const ConnectGrace = 10 * time.Second

func (s Session) markPaired(now time.Time) Session {
	s.QR, s.EverPaired, s.AcquiringSince, s.Recovery.FailedConnects = QR{}, true, time.Time{}, 0
	s.LostByEngine, s.Reason = false, ""
	return s.setState(Connected, now)
}

// AfterConnect is the session after the engine accepted a connect or restart at now.
func (s Session) AfterConnect(how ConnectMode, now time.Time) Session {
	s = s.clearFailure()
	if s.LostByEngine || s.Sequence > 0 || s.Recovery.FailedConnects > 0 {
		s.ScheduleStartedAt, s.ScheduledPolls = now, 0
	}
	if s.Recovery.FailedConnects > 0 && now.Sub(s.AcquiringSince) > ConnectGrace {
		s = s.StartAcquiring(now) // the time until now was spent on getting a connect accepted
	}
	s.ConnectedAt, s.AuthorizedAt = now, now
	s.QR, s.Sequence, s.LastPolledAt, s.LostByEngine, s.Reason = QR{}, 0, time.Time{}, false, ""
	s.Recovery.FailedConnects, s.Recovery.LastTriedAt = 0, now
	s.History.DisconnectedSince = time.Time{}
	if s.AcquiringSince.IsZero() {
		s = s.StartAcquiring(now)
	}
	return s.setState(Connecting, now)
}

// StartAcquiring is the session when a new acquisition begins at now.
func (s Session) StartAcquiring(now time.Time) Session {
	s.AcquiringSince, s.Polls = now, 0
	s.ScheduleStartedAt, s.ScheduledPolls = now, 0
	return s
}

// AfterConnectError is the session after a connect or restart failed at now.
func (s Session) AfterConnectError(err error, now time.Time) Session {
	s = s.recordFailure(err, now)
	s.Recovery.FailedConnects, s.Recovery.LastTriedAt = s.Recovery.FailedConnects+1, now
	switch KindOf(err) {
	case KindAlreadyPaired:
		s.AuthorizedAt = now
		return s.markPaired(now)
	case KindSessionNotFound, KindKeyRefused:
		return s.stop(now) // nothing can be connected there; retries would only cost calls
	case KindServerError, KindTimeout, KindUnreachable, KindRateLimited, KindBadResponse:
		if s.AcquiringSince.IsZero() {
			s = s.StartAcquiring(now)
		}
		return s.setState(Connecting, now)
	}
	return s
}

// RateLimited reports whether the last connect failed because of the engine's rate limit.
func (s *Session) RateLimited() bool {
	return s.Recovery.FailedConnects > 0 && s.History.ConnectFailure.Kind == KindRateLimited
}

// MarkStateQueried remembers that qrgate asked for the state at now.
func (s Session) MarkStateQueried(now time.Time) Session {
	s.StateQueriedAt = now
	return s
}

// MarkRecovery remembers which recovery step was made at now.
func (s Session) MarkRecovery(how ConnectMode, now time.Time) Session {
	switch how {
	case Connect:
		s.Recovery.ReconnectedAt = now
	case Force:
		s.Recovery.ForcedAt = now
	case Restart:
		s.Recovery.RestartedAt = now
	}
	return s
}

// RequestQR is the session after a client requested the QR at now.
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

// RequestStartsAcquisition reports whether a request for the QR at now starts a new acquisition. Any other joins one, or
// finds the session paired, and changes nothing.
func (s *Session) RequestStartsAcquisition(now time.Time) bool {
	switch s.State {
	case Connected:
		return false
	case AwaitingScan:
		return now.Sub(s.AcquiringSince) >= AcquireTimeout
	}
	return s.AcquiringSince.IsZero()
}

// SuspectQR is the session after the engine was unreachable at the given time: its code needs one more poll.
func (s Session) SuspectQR(at time.Time) Session {
	if s.QR.Present() && at.After(s.QR.SuspectSince) {
		s.QR.SuspectSince = at
	}
	return s
}

// QRUsable reports whether a code is there that a phone can still scan, as far as is known.
func (s *Session) QRUsable(now time.Time) bool { return s.QR.Usable(now) && !s.codeDead() }

// GiveUp ends the acquisition: its time is over without a QR, or nobody wants one.
func (s Session) GiveUp(now time.Time) Session {
	s.AcquiringSince = time.Time{}
	switch {
	case s.State != Connecting:
		return s
	case s.Sequence > 0:
		return s.setState(Disconnected, now) // its codes ran out, which is no failure
	}
	return s.setState(Failed, now)
}

func (s Session) setState(state State, now time.Time) Session {
	if s.State != state {
		s.State, s.Since = state, now
	}
	return s
}

func (s Session) clearFailure() Session {
	s.Failure = FailureStreak{}
	return s
}
