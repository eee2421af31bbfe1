package session

import "time"

// Session is what the gate believes about one session of one tenant. It is a value: With, Began, Wish
// and their like return the next belief, and nothing here reads a clock.
type Session struct {
	Ref   Ref       `json:"ref"`
	State State     `json:"state"`
	Since time.Time `json:"since"` // when State began
	QR    QR        `json:"-"`     // stored apart, with the life of the code as its TTL

	AuthorizedAt    time.Time `json:"accepted"` // the last proof that the engine takes this credential for this session
	CreatedHere     bool      `json:"born"`     // it was created through this gate
	EverPaired      bool      `json:"linked"`   // it was seen linked at some time
	ConnectedAt     time.Time `json:"connect"`  // when the engine last accepted a connect that came through this gate
	AcquiringSince  time.Time `json:"window"`   // when the present wish for a QR began; zero while resting
	LastRequestedAt time.Time `json:"wanted"`   // the last time that somebody asked for the QR

	Sequence         int           `json:"sequence"` // codes seen since Connect
	Polls            int           `json:"looks"`    // looks at the engine since the present wish began
	LastPolledAt     time.Time     `json:"looked"`   // the last look
	StateConfirmedAt time.Time     `json:"checked"`  // the last look that told the state
	StateQueriedAt   time.Time     `json:"asked"`    // the last time that the gate asked for the state alone, whatever came of it
	Pushed           Recovery      `json:"pushed"`
	Trouble          FailureStreak `json:"trouble"`
	Past             History       `json:"past"`
	Reason           string        `json:"reason"` // what the engine says of the last disconnect since Connect
	LostByEngine     bool          `json:"lost"`   // the engine forgot a session that it had begun: it was restarted

	Request Request `json:"by"`      // the request that the present pursuit goes back to
	Journey string  `json:"journey"` // the traceparent of the one that all of it began with: the create, or a later connect
}

// Recovery remembers what the gate did on its own account.
type Recovery struct {
	Again   time.Time `json:"again"`
	Force   time.Time `json:"force"`
	Restart time.Time `json:"restart"`

	Failed int       `json:"failed"` // connects in a row that failed; 0 once one was accepted
	Tried  time.Time `json:"tried"`  // the last of them
}

// FailureStreak is the engine's present kind of failure: one kind, since when, how often in a row.
type FailureStreak struct {
	Kind       ErrorKind     `json:"kind"`
	Op         string        `json:"op"`
	Status     int           `json:"status"`
	Code       string        `json:"code"`
	Text       string        `json:"text"`
	Why        string        `json:"why"`
	Since      time.Time     `json:"since"`
	Last       time.Time     `json:"last"`
	Times      int           `json:"times"`
	RetryAfter time.Duration `json:"retry_after"`
}

// AfterPoll is the belief after a look at the engine that ended at now in o, or in err.
func (s Session) AfterPoll(o SessionReport, err error, now time.Time) Session {
	s.Ref = s.Ref.Merge(o.Ref)
	s.LastPolledAt, s.Polls = now, s.Polls+1
	kind := KindOf(err)
	if kind.Authorized() {
		s.AuthorizedAt = now
	}
	if kind == "" {
		return s.detectRestart(kind).clearFailure().applySuccess(o, now)
	}
	s = s.detectRestart(kind).recordReason(o, now).recordFailure(err, now)
	if op := s.Trouble.Op; (op == OpStatus || op == OpList) && (kind == KindNotReady || kind == KindSessionNotFound) {
		s.StateConfirmedAt = now // a session that the engine denies is not linked
	}
	switch kind {
	case KindKeyRefused:
		return s.stop(now)
	case KindNotReady:
		return s.clearQR(now)
	case KindAlreadyPaired:
		return s.markPaired(now)
	case KindSessionNotFound:
		if s.Trouble.Op == OpStatus {
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
	if s.Trouble.Kind == KindUnreachable && !s.ConnectedAt.IsZero() && (kind == KindNotReady || kind == KindSessionNotFound) {
		s.LostByEngine = true
	}
	return s
}

// stop ends a wish that the engine does not let the caller have.
func (s Session) stop(now time.Time) Session {
	s.QR, s.AcquiringSince, s.AuthorizedAt = QR{}, time.Time{}, time.Time{}
	return s.setState(Unknown, now)
}

// applySuccess takes an answer without a fault.
func (s Session) applySuccess(o SessionReport, now time.Time) Session {
	s.LostByEngine = false
	s = s.recordReason(o, now)
	if o.State != Unknown {
		s.StateConfirmedAt = now
	}
	switch {
	case o.State == Connected:
		return s.markPaired(now)
	case !o.Image.Empty() && o.Expiry.Known && o.Expiry.In <= 0:
		s.Past.Stale = now
	case !o.Image.Empty():
		return s.applyQR(o, now)
	case o.State == Disconnected || o.State == Failed:
		return s.applyDisconnected(o.State, now)
	case o.State == Created && s.State == Unknown, o.State == Connecting && !s.State.Acquiring():
		return s.setState(o.State, now)
	}
	return s
}

// recordReason takes what an answer says of the session's last disconnect. A list says it beside a QR that is missing.
func (s Session) recordReason(o SessionReport, now time.Time) Session {
	if o.Reason != "" {
		s.Reason, s.Past = o.Reason, s.Past.RecordDisconnect(o, now)
	}
	return s
}

// applyQR takes a code: the one we have, confirmed, or a new one.
func (s Session) applyQR(o SessionReport, now time.Time) Session {
	if s.QR.Image.Equal(o.Image) {
		s.QR.Confirmed = now
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
	s.QR = QR{Image: o.Image, Sequence: s.Sequence, Seen: now, Confirmed: now, Expires: now.Add(life)}
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
		return s // no QR is what a linked session has; only a state can take this belief away
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
		s.LostByEngine = s.LostByEngine || now.Sub(s.ConnectedAt) > ConnectGrace
		return s
	}
	s.QR = QR{}
	return s.setState(state, now)
}

// codesExpired is the end of a connect's codes: the wish goes on if it is young, else it is over.
func (s Session) codesExpired(state State, now time.Time) Session {
	if now.Sub(s.AcquiringSince) < AcquireTimeout {
		return s.clearQR(now)
	}
	s.QR, s.AcquiringSince = QR{}, time.Time{}
	return s.setState(state, now)
}

// AcquireTimeout is how long one wish for a QR is pursued before it rests.
const AcquireTimeout = 60 * time.Second

// lostGrace is the age of a connect from which "no such session" means that the engine lost it.
const lostGrace = 5 * time.Second

// ConnectGrace is how long after a connect an engine's "disconnected" still means nothing.
const ConnectGrace = 10 * time.Second

func (s Session) markPaired(now time.Time) Session {
	s.QR, s.EverPaired, s.AcquiringSince, s.Pushed.Failed = QR{}, true, time.Time{}, 0
	s.LostByEngine, s.Reason = false, ""
	return s.setState(Connected, now)
}

// AfterConnect is the belief after the engine accepted a connect or restart at now.
func (s Session) AfterConnect(how ConnectMode, now time.Time) Session {
	s = s.clearFailure()
	s.ConnectedAt, s.AuthorizedAt = now, now
	s.QR, s.Sequence, s.LastPolledAt, s.LostByEngine, s.Reason = QR{}, 0, time.Time{}, false, ""
	s.Pushed.Failed, s.Pushed.Tried = 0, now
	if s.AcquiringSince.IsZero() {
		s.AcquiringSince, s.Polls = now, 0
	}
	return s.setState(Connecting, now)
}

// AfterConnectError is the belief after a connect or restart failed at now.
func (s Session) AfterConnectError(err error, now time.Time) Session {
	s = s.recordFailure(err, now)
	s.Pushed.Failed, s.Pushed.Tried = s.Pushed.Failed+1, now
	switch KindOf(err) {
	case KindAlreadyPaired:
		s.AuthorizedAt = now
		return s.markPaired(now)
	case KindSessionNotFound, KindKeyRefused:
		return s.stop(now) // nothing can be begun there; pushing on would only be a storm
	case KindServerError, KindTimeout, KindUnreachable, KindRateLimited, KindBadResponse:
		if s.AcquiringSince.IsZero() {
			s.AcquiringSince, s.Polls = now, 0
		}
		return s.setState(Connecting, now)
	}
	return s
}

// MarkStateQueried remembers that the gate asked for the state at now.
func (s Session) MarkStateQueried(now time.Time) Session {
	s.StateQueriedAt = now
	return s
}

// MarkRecovery remembers on which rung the gate itself pushed at now.
func (s Session) MarkRecovery(how ConnectMode, now time.Time) Session {
	switch how {
	case Connect:
		s.Pushed.Again = now
	case Force:
		s.Pushed.Force = now
	case Restart:
		s.Pushed.Restart = now
	}
	return s
}

// RequestQR is the belief after somebody asked for the QR at now. A wish after a rest begins a new window.
func (s Session) RequestQR(now time.Time) Session {
	s.LastRequestedAt = now
	switch {
	case s.State == Connected:
		return s
	case s.State == AwaitingScan:
		if now.Sub(s.AcquiringSince) >= AcquireTimeout {
			s.AcquiringSince, s.Polls = now, 0
		}
		return s
	case s.AcquiringSince.IsZero():
		s.AcquiringSince, s.Polls, s.LastPolledAt = now, 0, time.Time{}
		return s.setState(Connecting, now)
	}
	return s
}

// GiveUp ends the wish: the window is over without a QR, or nobody wants one.
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
	s.Trouble = FailureStreak{}
	return s
}
