package notify

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"qrgate/internal/diagnosis"
)

// Limits of the messages.
const (
	reminderDelay = time.Hour
	maxPerHour    = 6 // messages
	// reservedForOthers is the part of them that an alert which already sent some may not use.
	reservedForOthers = 2
	// settleTime is how long after its start a replica ends no alert: it has not seen enough to know.
	settleTime = 5 * time.Minute
)

// record is the state of one alert.
type record struct {
	PendingSince time.Time `json:"pendingSince,omitzero"` // the condition holds since
	ActiveAt     time.Time `json:"activeAt,omitzero"`     // the condition last held
	FiringSince  time.Time `json:"firingSince,omitzero"`
	BegunAt      time.Time `json:"begunAt,omitzero"` // the first message was sent
	IsReminded   bool      `json:"isReminded,omitzero"`
}

// sent is one sent message.
type sent struct {
	Alert string    `json:"alert"`
	At    time.Time `json:"at"`
}

// state is what the leader stores. It contains no secret.
type state struct {
	SavedAt time.Time         `json:"savedAt"`
	Alerts  map[string]record `json:"alerts"`
	Sent    []sent            `json:"sent"` // in the last hour
}

// Kind is the kind of a message.
type Kind string

// The kinds of messages.
const (
	KindBegin    Kind = "begin"
	KindReminder Kind = "reminder"
	KindEnd      Kind = "end"
)

// Message is one notification.
type Message struct {
	Kind        Kind
	Alert       string
	Title, Text string
}

// decide computes the next state and the messages that are due. It is pure. mayEnd is false until the replica has seen
// enough to end an alert.
func decide(s state, findings map[string]finding, mayEnd bool, now time.Time) (state, []Message) {
	next := state{SavedAt: now, Alerts: map[string]record{}}
	for _, m := range s.Sent {
		if isWithin(m.At, now, time.Hour) {
			next.Sent = append(next.Sent, m)
		}
	}
	var messages []Message
	for _, a := range alerts() {
		f, active := findings[a.name]
		r := s.Alerts[a.name].advance(a, active, mayEnd, now)
		isInhibited := slices.ContainsFunc(a.inhibitedBy, func(name string) bool {
			return !next.Alerts[name].FiringSince.IsZero()
		})
		kind := r.due(isInhibited, now)
		if kind != "" && next.maySend(a.name) {
			messages = append(messages, newMessage(a, r, kind, f, now))
			next.Sent = append(next.Sent, sent{a.name, now})
			r = r.after(kind, now)
		}
		if r != (record{}) {
			next.Alerts[a.name] = r
		}
	}
	return next, messages
}

// advance applies one judgment. An alert that ended without a message leaves nothing behind.
func (r record) advance(a alert, active, mayEnd bool, now time.Time) record {
	if active {
		r.ActiveAt = now
		if r.PendingSince.IsZero() {
			r.PendingSince = now
		}
		if r.FiringSince.IsZero() && now.Sub(r.PendingSince) >= a.delay {
			r.FiringSince = r.PendingSince
		}
		return r
	}
	r.PendingSince = time.Time{}
	if mayEnd && now.Sub(r.ActiveAt) >= a.keep {
		r.FiringSince = time.Time{}
	}
	if r.FiringSince.IsZero() && r.BegunAt.IsZero() {
		return record{}
	}
	return r
}

// due returns the kind of message that the alert needs; "" for none.
func (r record) due(isInhibited bool, now time.Time) Kind {
	isFiring := !r.FiringSince.IsZero()
	switch {
	case isFiring && r.BegunAt.IsZero() && !isInhibited:
		return KindBegin
	case !isFiring && !r.BegunAt.IsZero():
		return KindEnd
	case isFiring && !r.BegunAt.IsZero() && !r.IsReminded && now.Sub(r.BegunAt) >= reminderDelay:
		return KindReminder
	}
	return ""
}

// after returns the record after a message was sent.
func (r record) after(kind Kind, now time.Time) record {
	switch kind {
	case KindBegin:
		r.BegunAt = now
	case KindReminder:
		r.IsReminded = true
	case KindEnd:
		return record{PendingSince: r.PendingSince, ActiveAt: r.ActiveAt}
	}
	return r
}

// maySend applies the limit of messages.
func (s *state) maySend(name string) bool {
	limit := maxPerHour
	if slices.ContainsFunc(s.Sent, func(m sent) bool { return m.Alert == name }) {
		limit -= reservedForOthers
	}
	return len(s.Sent) < limit
}

func newMessage(a alert, r record, kind Kind, f finding, now time.Time) Message {
	m := Message{Kind: kind, Alert: a.name, Title: "qrgate: " + a.summary}
	var lines []string
	since := r.FiringSince
	switch kind {
	case KindEnd:
		m.Title = "qrgate: over: " + a.summary
		lines = append(lines, "The condition has not held since "+r.ActiveAt.UTC().Format(time.DateTime)+" UTC.")
	case KindReminder:
		m.Title = "qrgate: still: " + a.summary
		fallthrough
	default:
		lines = append(lines, a.description)
		if d := diagnosis.New(f.cause); f.cause != "" && f.cause != diagnosis.None {
			lines = append(lines, fmt.Sprintf("Cause: %s (%s).", d.Title, d.Code),
				fmt.Sprintf("What to do (%s): %s", d.Who, d.Help))
		}
		lines = append(lines, fmt.Sprintf("Since: %s UTC, %s. Affected: %s.",
			since.UTC().Format(time.DateTime), now.Sub(since).Round(time.Second), f.affected))
	}
	m.Text = strings.Join(append(lines, "Alert: "+a.name), "\n")
	return m
}
