package proxy

import (
	"strconv"
	"time"

	"qrgate"
	"qrgate/compat"
)

// list answers GET /api/sessions: the engine's page, every item made whole, and those that are on their way
// to a QR shown as what they are.
func (s *session) list() {
	query, page, limit := clamped(s.c.Request.URL.RawQuery)
	a, err := s.ask("list", target{path: sessionsPrefix, query: query}, askTime)
	if err != nil {
		s.fails(a, err)
		return
	}
	body, _ := compat.Parse(a.Body)
	items := compat.SessionsOf(body)
	s.give(a.Status, compat.WholeList(body, s.learned(items, a), page, limit), a.Header)
}

// learned tells the gate's heart what a page of sessions says, and makes its items whole.
func (s *session) learned(items []compat.Object, a compat.Answer) []compat.Object {
	seen := make([]qrgate.Observation, len(items))
	refs := make([]qrgate.Ref, len(items))
	for i, item := range items {
		seen[i], _ = compat.Observe(item, compat.EngineClock(a.Header, a.At), a.At)
		refs[i] = seen[i].Ref
	}
	s.config.Pairing.Learn(s.c.Request.Context(), s.caller, seen, false)
	views := s.config.Pairing.Beliefs(s.caller, refs)
	out := make([]compat.Object, len(items))
	for i, item := range items {
		out[i] = compat.Whole(item, views[i], a.At)
	}
	return out
}

// one answers GET /api/sessions/{id}: nested, with flat copies beside it.
func (s *session) one() {
	s.resolve()
	a, err := s.ask("get", s.at(""), askTime)
	if err != nil {
		s.fails(a, err)
		return
	}
	body, _ := compat.Parse(a.Body)
	item := compat.SessionOf(body)
	if _, ok := item["id"]; !ok && s.ref.ID > 0 {
		item["id"] = s.ref.ID
	}
	s.give(a.Status, compat.WholeOne(body, s.learned([]compat.Object{item}, a)[0]), a.Header)
}

// status answers GET …/status. While the gate is obtaining a QR it knows better than the engine, and
// answers itself; otherwise the engine is the truth.
func (s *session) status() {
	v, err := s.config.Pairing.Status(s.c.Request.Context(), s.caller, s.id)
	if gone(s.c.Request.Context()) {
		return
	}
	if err == nil && v.Known && v.Session.State.Acquiring() && !v.Session.Window.IsZero() {
		s.give(200, compat.Status(believed(v, s.id)), nil)
		return
	}
	s.resolve()
	a, err := s.ask("status", s.at("status"), askTime)
	if err != nil {
		s.statusDenied(a, err, v)
		return
	}
	body, _ := compat.Parse(a.Body)
	item := compat.SessionOf(body)
	if _, ok := item["id"]; !ok && s.ref.ID > 0 {
		item["id"] = s.ref.ID
	}
	s.give(a.Status, compat.WholeStatus(body, s.learned([]compat.Object{item}, a)[0]), a.Header)
}

// statusDenied answers when the engine denies the state of a session. A 404 there stops clients for good,
// so a session that the list has, or that the gate knows, is not denied (contract C18).
func (s *session) statusDenied(a compat.Answer, err error, v qrgate.View) {
	if qrgate.KindOf(err) != qrgate.UnknownSession {
		s.fails(a, err)
		return
	}
	wanted := s.ref
	if wanted.Name == "" {
		wanted.Name = s.id
	}
	if item, list, ok := s.listed(wanted); ok {
		s.give(200, compat.WholeStatus(nil, s.learned([]compat.Object{item}, list)[0]), list.Header)
		return
	}
	if v.Known && v.Session.Born {
		s.give(200, compat.Status(believed(v, s.id)), nil)
		return
	}
	s.fails(a, err)
}

// listed finds a session in the engine's list, by either of its ids.
func (s *session) listed(wanted qrgate.Ref) (compat.Object, compat.Answer, bool) {
	a, err := s.look(qrgate.OpList, target{path: sessionsPrefix, query: "limit=100"})
	if err != nil {
		return nil, a, false
	}
	body, _ := compat.Parse(a.Body)
	for _, item := range compat.SessionsOf(body) {
		r := compat.RefOf(item)
		if r.ID > 0 && r.ID == wanted.ID || r.Name != "" && r.Name == wanted.Name {
			return item, a, true
		}
	}
	return nil, a, false
}

// believed is a session as the gate can show it without asking the engine.
func believed(v qrgate.View, id string) compat.Session {
	b := v.Session
	name := b.Ref.Name
	if name == "" {
		name = id
	}
	at := b.Looked
	if at.IsZero() {
		at = b.Since
	}
	if at.IsZero() {
		at = v.At
	}
	return compat.Session{
		ID: b.Ref.ID, SessionID: name, Status: compat.Wire(b.State), LastActivity: compat.Millis(at),
		IsConnected: b.State == qrgate.Connected, HasQR: b.State == qrgate.AwaitingScan,
	}
}

// number is text as a whole number above zero, else other.
func number(text string, other int) int {
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		return other
	}
	return n
}

// sinceNow is the whole seconds from now until at, never less than zero.
func sinceNow(at, now time.Time) int { return max(int(at.Sub(now)/time.Second), 0) }
