package session

import (
	"time"

	"qrgate/internal/diagnosis"
)

// History is what the gate remembers of a session for its diagnosis, beyond the present trouble, which the next
// answer replaces.
type History struct {
	Look           FailureStreak `json:"look"`      // the last answer to a request for the QR, if it was an error; a status that succeeds does not end it
	ConnectFailure FailureStreak `json:"refusal"`   // the last connect that failed, and since when they do; counts while Pushed.Failed > 0
	Restarted      time.Time     `json:"restarted"` // when the engine last turned out to have lost the session
	Named          NamedCause    `json:"named"`     // the last cause that the engine named itself
	Ended          time.Time     `json:"ended"`     // when the engine last said that the session had come to an end, and named the cause
	Stale          time.Time     `json:"stale"`     // when the engine last handed out a code whose life was over by its own account
}

// NamedCause is a cause that the engine named.
type NamedCause struct {
	Code diagnosis.Code `json:"code"`
	Last time.Time      `json:"last"` // when it last said so
}

// recordCause remembers the cause that an engine's words name, if they name one.
func (p History) recordCause(words string, now time.Time) History {
	if t, ok := diagnosis.MatchCause(words); ok {
		p.Named = NamedCause{t.Code, now}
	}
	return p
}

// RecordDisconnect remembers what an answer about a session's state says of its end. Whoever takes an answer without a fault
// calls it, before anything forgets the reason in it.
func (p History) RecordDisconnect(o SessionReport, now time.Time) History {
	if o.Reason == "" || !o.Image.Empty() || o.State == AwaitingScan || o.State == Connected {
		return p // what is said beside a code is about an earlier connection
	}
	before := p.Named.Last
	if p = p.recordCause(o.Reason, now); p.Named.Last.After(before) && (o.State == Failed || o.State == Disconnected) {
		p.Ended = now
	}
	return p
}

// codeDead reports whether the engine has ended the connection that the present code belongs to: the code looks
// good, and nobody can scan it any more.
func (s Session) codeDead() bool {
	return s.QR.Present() && s.Past.Ended.After(s.QR.Seen) && s.Past.Ended.After(s.QR.Confirmed)
}

// pollErrorTTL is how long the last look for the QR stands for the present: gaps between looks are shorter.
const pollErrorTTL = 20 * time.Second

// currentFailure is what the engine's last answer about the QR was. Between two of them the gate may have read the
// state, or connected again, and both leave no trouble behind; a client's own connect begins anew.
func (at *input) currentFailure() FailureStreak {
	look := at.Past.Look
	switch {
	case at.State != Connecting, look.Last.Before(at.Since), at.now.Sub(look.Last) > pollErrorTTL:
		return at.Trouble
	case look.Last.Before(at.ConnectedAt) && !at.isRecoveryConnect():
		return at.Trouble
	}
	return look
}

// ownConnectTime bounds how long a connect of the gate's own takes to be accepted.
const ownConnectTime = 10 * time.Second

// isRecoveryConnect reports whether the present connect was the gate's own attempt at recovery.
func (s Session) isRecoveryConnect() bool {
	for _, pushed := range []time.Time{s.Pushed.Again, s.Pushed.Force, s.Pushed.Restart} {
		if took := s.ConnectedAt.Sub(pushed); !pushed.IsZero() && took >= 0 && took < ownConnectTime {
			return true
		}
	}
	return false
}

// recentConnect is the age up to which a connect that came to nothing explains a new wish's silence.
const recentConnect = 10 * time.Minute

// noQRSince is since when a session that is being connected has had no QR. An attempt of the gate's own does
// not begin it anew, and neither does a new wish after a connect that came to nothing: to those who wait
// nothing has changed. After codes that ran out, though, a connect is a fresh start, whoever made it.
func (at *input) noQRSince() time.Time {
	switch {
	case at.State != Connecting:
		return at.ConnectedAt
	case at.ConnectedAt.After(at.Since) && (!at.isRecoveryConnect() || at.Since.After(at.AcquiringSince)):
		return at.ConnectedAt
	case at.ConnectedAt.Before(at.Since) && at.now.Sub(at.ConnectedAt) < recentConnect && at.Polls > 0:
		return at.ConnectedAt
	}
	return at.Since
}
