package session

import (
	"strings"
	"time"

	"qrgate/internal/diagnosis"
)

// History is what the diagnosis needs beyond the present failure, which the next response replaces.
type History struct {
	PollFailure    FailureStreak `json:"poll_failure"`    // of the last poll for the QR; other calls do not clear it
	ConnectFailure FailureStreak `json:"connect_failure"` // valid while Recovery.FailedConnects > 0, or from RefusedAt on
	RefusedAt      time.Time     `json:"refused_at"`      // when the engine last refused a client's connect for good
	RestartedAt    time.Time     `json:"restarted_at"`    // when qrgate last found that the engine had lost the session
	Named          NamedCause    `json:"named"`           // the last cause that the engine named
	EndedAt        time.Time     `json:"ended_at"`        // when the engine last reported a disconnect with its cause
	StaleQRAt      time.Time     `json:"stale_qr_at"`     // when the engine last returned an expired code
	CodeEndsAt     time.Time     `json:"code_ends_at"`    // until when the last code that disappeared was valid
	PairedErrorAt  time.Time     `json:"paired_error_at"` // when an error last said "already paired"
	DeniedAt       time.Time     `json:"denied_at"`       // when a poll for the QR last found no such session
	Codes          CodeHistory   `json:"codes"`
	Outages        Recurrence    `json:"outages"`       // times that the engine was unreachable
	Reappearances  Recurrence    `json:"reappearances"` // times that it knew a denied session again without a connect

	ConnectingAt      time.Time `json:"connecting_at"`      // when the engine last reported the state connecting
	DisconnectedSince time.Time `json:"disconnected_since"` // since when it reports disconnected; zero if it does not
	DisconnectedAt    time.Time `json:"disconnected_at"`    // when it last did so during an acquisition
}

// Recurrence counts events of one kind that follow each other within recurrenceGap.
type Recurrence struct {
	Times  int       `json:"times"`
	LastAt time.Time `json:"last_at"`
}

const (
	// recurrenceGap is the longest time between two events of one recurrence.
	recurrenceGap = time.Minute
	// minOutages and minReappearances are how many events are no coincidence.
	minOutages, minReappearances = 3, 2
)

func (r Recurrence) add(now time.Time) Recurrence {
	if now.Sub(r.LastAt) > recurrenceGap {
		r.Times = 0
	}
	return Recurrence{r.Times + 1, now}
}

// isPresent reports whether at least min events followed each other, the last one lately.
func (r Recurrence) isPresent(min int, now time.Time) bool {
	return r.Times >= min && now.Sub(r.LastAt) < recurrenceGap
}

// recordDenial records whether the engine knows the session, as a poll for the QR found.
func (h History) recordDenial(isDenied bool, connectedAt, now time.Time) History {
	switch {
	case isDenied:
		h.DeniedAt = now
		return h
	case h.DeniedAt.After(connectedAt):
		h.Reappearances = h.Reappearances.add(now)
	}
	h.DeniedAt = time.Time{}
	return h
}

// NamedCause is a cause that the engine named.
type NamedCause struct {
	Code   diagnosis.Code `json:"code"`
	Words  string         `json:"words"` // of its pattern
	LastAt time.Time      `json:"last_at"`
}

// recordCause records the cause that a text of the engine names.
func (h History) recordCause(p diagnosis.Pattern, now time.Time) History {
	h.Named = NamedCause{p.Code, strings.Join(p.Words, ", "), now}
	return h
}

// RecordDisconnect records the disconnect reason of a report. Call it for every successful response.
func (h History) RecordDisconnect(r SessionReport, now time.Time) History {
	if r.Reason == "" || !r.Image.Empty() || r.State == AwaitingScan || r.State == Connected {
		return h // a reason beside a code belongs to an earlier connection
	}
	p, ok := diagnosis.MatchCause(r.Reason)
	if !ok {
		return h
	}
	h = h.recordCause(p, now)
	if r.State == Failed || r.State == Disconnected {
		h.EndedAt = now
	}
	return h
}

// codeDead reports whether the engine has ended the connection of the present code: a scan of it has no effect.
func (s *Session) codeDead() bool {
	return s.QR.Present() && s.History.EndedAt.After(s.QR.SeenAt) && s.History.EndedAt.After(s.QR.ConfirmedAt)
}

// pollErrorTTL is how long the last poll's error counts as the present one; gaps between polls are shorter.
const pollErrorTTL = 20 * time.Second

// currentFailure is the failure of the last poll for the QR. Status calls and qrgate's own reconnects between two polls
// clear Failure but not PollFailure; a client's connect clears both.
func (in *input) currentFailure() FailureStreak {
	poll := in.History.PollFailure
	switch {
	case in.State != Connecting, poll.LastAt.Before(in.Since), in.passed(poll.LastAt.Add(pollErrorTTL)):
		return in.Failure
	case poll.LastAt.Before(in.ConnectedAt) && !in.IsRecoveryConnect():
		return in.Failure
	}
	return poll
}

// recoveryConnectTimeout is the longest time from a recovery step to its accepted connect.
const recoveryConnectTimeout = 10 * time.Second

// IsRecoveryConnect reports whether the last connect was a recovery step.
func (s *Session) IsRecoveryConnect() bool {
	for _, stepAt := range []time.Time{s.Recovery.ReconnectedAt, s.Recovery.ForcedAt, s.Recovery.RestartedAt} {
		if took := s.ConnectedAt.Sub(stepAt); !stepAt.IsZero() && took >= 0 && took < recoveryConnectTimeout {
			return true
		}
	}
	return false
}

// recentConnect is the age up to which a failed connect explains the missing QR of a new acquisition.
const recentConnect = 10 * time.Minute

// noQRSince is since when a connecting session has had no QR. Neither a recovery step nor a new acquisition after a
// failed connect starts it again: for the waiting clients nothing has changed. Any connect after expired codes does.
func (in *input) noQRSince() time.Time {
	switch {
	case in.State != Connecting:
		return in.ConnectedAt
	case in.ConnectedAt.After(in.Since) && (!in.IsRecoveryConnect() || in.Since.After(in.AcquiringSince)):
		return in.ConnectedAt
	case in.ConnectedAt.Before(in.Since) && !in.passed(in.ConnectedAt.Add(recentConnect)) &&
		(in.Polls > 0 || in.History.PollFailure.LastAt.After(in.ConnectedAt)):
		return in.ConnectedAt
	}
	return in.Since
}
