package session

import (
	"time"

	"qrgate/internal/diagnosis"
)

// History is what is remembered of a session for its diagnosis, beyond the present failure, which the next answer
// replaces.
type History struct {
	PollFailure    FailureStreak `json:"poll_failure"`    // the last answer to a poll for the QR, if it was an error; a status that succeeds does not end it
	ConnectFailure FailureStreak `json:"connect_failure"` // the last connect that failed; counts while Recovery.FailedConnects > 0
	RestartedAt    time.Time     `json:"restarted_at"`    // when the engine last turned out to have lost the session
	Named          NamedCause    `json:"named"`           // the last cause that the engine named itself
	EndedAt        time.Time     `json:"ended_at"`        // when the engine last said that the session had ended, and named the cause
	StaleQRAt      time.Time     `json:"stale_qr_at"`     // when the engine last handed out a code that had expired by its own account

	ConnectingAt      time.Time `json:"connecting_at"`      // when the engine last called the session connecting
	DisconnectedSince time.Time `json:"disconnected_since"` // since when it calls it disconnected; zero if it does not
	DisconnectedAt    time.Time `json:"disconnected_at"`    // when it last did so while a QR was wanted
}

// NamedCause is a cause that the engine named.
type NamedCause struct {
	Code   diagnosis.Code `json:"code"`
	LastAt time.Time      `json:"last_at"` // when it last said so
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
	before := p.Named.LastAt
	if p = p.recordCause(o.Reason, now); p.Named.LastAt.After(before) && (o.State == Failed || o.State == Disconnected) {
		p.EndedAt = now
	}
	return p
}

// codeDead reports whether the engine has ended the connection that the present code belongs to: the code looks
// good, and nobody can scan it any more.
func (s *Session) codeDead() bool {
	return s.QR.Present() && s.History.EndedAt.After(s.QR.SeenAt) && s.History.EndedAt.After(s.QR.ConfirmedAt)
}

// pollErrorTTL is how long the last look for the QR stands for the present: gaps between looks are shorter.
const pollErrorTTL = 20 * time.Second

// currentFailure is what the engine's last answer about the QR was. Between two of them the gate may have read the
// state, or connected again, and both leave no trouble behind; a client's own connect begins anew.
func (at *input) currentFailure() FailureStreak {
	look := at.History.PollFailure
	switch {
	case at.State != Connecting, look.LastAt.Before(at.Since), at.passed(look.LastAt.Add(pollErrorTTL)):
		return at.Failure
	case look.LastAt.Before(at.ConnectedAt) && !at.isRecoveryConnect():
		return at.Failure
	}
	return look
}

// ownConnectTime bounds how long a connect of the gate's own takes to be accepted.
const ownConnectTime = 10 * time.Second

// isRecoveryConnect reports whether the present connect was the gate's own attempt at recovery.
func (s *Session) isRecoveryConnect() bool {
	for _, pushed := range []time.Time{s.Recovery.ReconnectedAt, s.Recovery.ForcedAt, s.Recovery.RestartedAt} {
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
	case at.ConnectedAt.Before(at.Since) && !at.passed(at.ConnectedAt.Add(recentConnect)) && (at.Polls > 0 || at.History.PollFailure.LastAt.After(at.ConnectedAt)):
		return at.ConnectedAt
	}
	return at.Since
}
