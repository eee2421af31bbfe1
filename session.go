package qrgate

import "time"

// Session is what the gate believes about one session of one tenant. It is a value: With, Began, Wish
// and their like return the next belief, and nothing here reads a clock.
type Session struct {
	Ref   Ref       `json:"ref"`
	State State     `json:"state"`
	Since time.Time `json:"since"` // when State began
	QR    QR        `json:"-"`     // stored apart, with the life of the code as its TTL

	Accepted time.Time `json:"accepted"` // the last proof that the engine takes this credential for this session
	Born     bool      `json:"born"`     // it was created through this gate
	Linked   bool      `json:"linked"`   // it was seen linked at some time
	Connect  time.Time `json:"connect"`  // when the engine last accepted a connect that came through this gate
	Window   time.Time `json:"window"`   // when the present wish for a QR began; zero while resting
	Wanted   time.Time `json:"wanted"`   // the last time that somebody asked for the QR

	Sequence int       `json:"sequence"` // codes seen since Connect
	Looks    int       `json:"looks"`    // looks at the engine since the present wish began
	Looked   time.Time `json:"looked"`   // the last look
	Checked  time.Time `json:"checked"`  // the last look that told the state
	Asked    time.Time `json:"asked"`    // the last time that the gate asked for the state alone, whatever came of it
	Pushed   Pushed    `json:"pushed"`
	Trouble  Trouble   `json:"trouble"`
	Past     Past      `json:"past"`
	Reason   string    `json:"reason"` // what the engine says of the last disconnect since Connect
	Lost     bool      `json:"lost"`   // the engine forgot a session that it had begun: it was restarted

	By      Request `json:"by"`      // the request that the present pursuit goes back to
	Journey string  `json:"journey"` // the traceparent of the one that all of it began with: the create, or a later connect
}

// Pushed remembers what the gate did on its own account.
type Pushed struct {
	Again   time.Time `json:"again"`
	Force   time.Time `json:"force"`
	Restart time.Time `json:"restart"`

	Failed int       `json:"failed"` // connects in a row that failed; 0 once one was accepted
	Tried  time.Time `json:"tried"`  // the last of them
}

// Trouble is the engine's present kind of failure: one kind, since when, how often in a row.
type Trouble struct {
	Kind       Kind          `json:"kind"`
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

// With is the belief after a look at the engine that ended at now in o, or in err.
func (s Session) With(o Observation, err error, now time.Time) Session {
	s.Ref = s.Ref.Merge(o.Ref)
	s.Looked, s.Looks = now, s.Looks+1
	kind := KindOf(err)
	if kind.Accepted() {
		s.Accepted = now
	}
	if kind == "" {
		return s.recovered(kind).calm().told(o, now)
	}
	s = s.recovered(kind).hears(o, now).troubled(err, now)
	if op := s.Trouble.Op; (op == OpStatus || op == OpList) && (kind == NotReady || kind == UnknownSession) {
		s.Checked = now // a session that the engine denies is not linked
	}
	switch kind {
	case KeyRefused:
		return s.abandoned(now)
	case NotReady:
		return s.withoutCode(now)
	case AlreadyLinked:
		return s.linked(now)
	case UnknownSession:
		if s.Trouble.Op == OpStatus {
			return s // engines deny there what they serve elsewhere (contract C18)
		}
		if s.Connect.IsZero() && !s.Born {
			return s.abandoned(now)
		}
		s.Lost = s.Lost || !s.Connect.IsZero() && (s.Sequence > 0 || now.Sub(s.Connect) > forgetTime)
		return s.withoutCode(now)
	}
	return s
}

// recovered notices an engine that comes back after it could not be reached: it was restarted, and what
// it had begun is gone.
func (s Session) recovered(kind Kind) Session {
	if s.Trouble.Kind == Unreachable && !s.Connect.IsZero() && (kind == NotReady || kind == UnknownSession) {
		s.Lost = true
	}
	return s
}

// abandoned ends a wish that the engine does not let the caller have.
func (s Session) abandoned(now time.Time) Session {
	s.QR, s.Window, s.Accepted = QR{}, time.Time{}, time.Time{}
	return s.becomes(Unknown, now)
}

// told takes an answer without a fault.
func (s Session) told(o Observation, now time.Time) Session {
	s.Lost = false
	s = s.hears(o, now)
	if o.State != Unknown {
		s.Checked = now
	}
	switch {
	case o.State == Connected:
		return s.linked(now)
	case !o.Image.Empty() && o.Expiry.Known && o.Expiry.In <= 0:
		s.Past.Stale = now
	case !o.Image.Empty():
		return s.withCode(o, now)
	case o.State == Disconnected || o.State == Failed:
		return s.denied(o.State, now)
	case o.State == Created && s.State == Unknown, o.State == Connecting && !s.State.Acquiring():
		return s.becomes(o.State, now)
	}
	return s
}

// hears takes what an answer says of the session's last disconnect. A list says it beside a QR that is missing.
func (s Session) hears(o Observation, now time.Time) Session {
	if o.Reason != "" {
		s.Reason, s.Past = o.Reason, s.Past.Told(o, now)
	}
	return s
}

// withCode takes a code: the one we have, confirmed, or a new one.
func (s Session) withCode(o Observation, now time.Time) Session {
	if s.QR.Image.Equal(o.Image) {
		s.QR.Confirmed = now
		return s
	}
	s.Sequence++
	life := LaterCodeLife
	if s.Sequence == 1 {
		life = FirstCodeLife
	}
	if o.Expiry.Known {
		life = min(o.Expiry.In, maxCodeLife)
	}
	s.QR = QR{Image: o.Image, Sequence: s.Sequence, Seen: now, Confirmed: now, Expires: now.Add(life)}
	return s.becomes(AwaitingScan, now)
}

// maxCodeLife bounds what an engine may claim: the documents' own examples say five minutes.
const maxCodeLife = 10 * time.Minute

// withoutCode drops a code that the engine no longer has.
func (s Session) withoutCode(now time.Time) Session {
	s.QR = QR{}
	switch {
	case s.State == AwaitingScan:
		return s.becomes(Connecting, now)
	case s.State == Connected:
		return s // no QR is what a linked session has; only a state can take this belief away
	}
	return s
}

// denied takes "disconnected" or "error". While a QR is being obtained that is no news for a while:
// engines show a fresh session so until its socket is up (contract 7, quirks 5 and 7).
func (s Session) denied(state State, now time.Time) Session {
	if s.State.Acquiring() && !s.Window.IsZero() {
		if s.State == AwaitingScan && s.QR.Left(now) > 0 {
			return s
		}
		if s.State == AwaitingScan {
			return s.ranOut(state, now)
		}
		s.Lost = s.Lost || now.Sub(s.Connect) > SettleTime
		return s
	}
	s.QR = QR{}
	return s.becomes(state, now)
}

// ranOut is the end of a connect's codes: the wish goes on if it is young, else it is over.
func (s Session) ranOut(state State, now time.Time) Session {
	if now.Sub(s.Window) < WishLength {
		return s.withoutCode(now)
	}
	s.QR, s.Window = QR{}, time.Time{}
	return s.becomes(state, now)
}

// WishLength is how long one wish for a QR is pursued before it rests.
const WishLength = 60 * time.Second

// forgetTime is the age of a connect from which "no such session" means that the engine lost it.
const forgetTime = 5 * time.Second

// SettleTime is how long after a connect an engine's "disconnected" still means nothing.
const SettleTime = 10 * time.Second

func (s Session) linked(now time.Time) Session {
	s.QR, s.Linked, s.Window, s.Pushed.Failed = QR{}, true, time.Time{}, 0
	s.Lost, s.Reason = false, ""
	return s.becomes(Connected, now)
}

// Began is the belief after the engine accepted a connect or restart at now.
func (s Session) Began(how Push, now time.Time) Session {
	s = s.calm()
	s.Connect, s.Accepted = now, now
	s.QR, s.Sequence, s.Looked, s.Lost, s.Reason = QR{}, 0, time.Time{}, false, ""
	s.Pushed.Failed, s.Pushed.Tried = 0, now
	if s.Window.IsZero() {
		s.Window, s.Looks = now, 0
	}
	return s.becomes(Connecting, now)
}

// Refused is the belief after a connect or restart failed at now.
func (s Session) Refused(err error, now time.Time) Session {
	s = s.troubled(err, now)
	s.Pushed.Failed, s.Pushed.Tried = s.Pushed.Failed+1, now
	switch KindOf(err) {
	case AlreadyLinked:
		s.Accepted = now
		return s.linked(now)
	case UnknownSession, KeyRefused:
		return s.abandoned(now) // nothing can be begun there; pushing on would only be a storm
	case EngineError, TimedOut, Unreachable, RateLimited, BadAnswer:
		if s.Window.IsZero() {
			s.Window, s.Looks = now, 0
		}
		return s.becomes(Connecting, now)
	}
	return s
}

// Doubted remembers that the gate asked for the state at now.
func (s Session) Doubted(now time.Time) Session {
	s.Asked = now
	return s
}

// Noted remembers on which rung the gate itself pushed at now.
func (s Session) Noted(how Push, now time.Time) Session {
	switch how {
	case Again:
		s.Pushed.Again = now
	case Force:
		s.Pushed.Force = now
	case Restart:
		s.Pushed.Restart = now
	}
	return s
}

// Wish is the belief after somebody asked for the QR at now. A wish after a rest begins a new window.
func (s Session) Wish(now time.Time) Session {
	s.Wanted = now
	switch {
	case s.State == Connected:
		return s
	case s.State == AwaitingScan:
		if now.Sub(s.Window) >= WishLength {
			s.Window, s.Looks = now, 0
		}
		return s
	case s.Window.IsZero():
		s.Window, s.Looks, s.Looked = now, 0, time.Time{}
		return s.becomes(Connecting, now)
	}
	return s
}

// Rested ends the wish: the window is over without a QR, or nobody wants one.
func (s Session) Rested(now time.Time) Session {
	s.Window = time.Time{}
	switch {
	case s.State != Connecting:
		return s
	case s.Sequence > 0:
		return s.becomes(Disconnected, now) // its codes ran out, which is no failure
	}
	return s.becomes(Failed, now)
}

func (s Session) becomes(state State, now time.Time) Session {
	if s.State != state {
		s.State, s.Since = state, now
	}
	return s
}

func (s Session) calm() Session {
	s.Trouble = Trouble{}
	return s
}
