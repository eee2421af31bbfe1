package embedded

import (
	"slices"
	"strconv"
)

// registry finds sessions. The zero value is empty.
type registry struct {
	order  []*engineSession                     // by id, ascending
	byName map[string]map[string]*engineSession // :: account → sessionId → session
}

func (f *registry) put(s *engineSession) {
	account := s.row.account
	if f.byName == nil {
		f.byName = map[string]map[string]*engineSession{}
	}
	if f.byName[account] == nil {
		f.byName[account] = map[string]*engineSession{}
	}
	f.byName[account][s.row.sessionID] = s
	at, _ := slices.BinarySearchFunc(f.order, s.row.id, byID)
	f.order = slices.Insert(f.order, at, s)
}

func (f *registry) remove(s *engineSession) {
	delete(f.byName[s.row.account], s.row.sessionID)
	if at, found := slices.BinarySearchFunc(f.order, s.row.id, byID); found {
		f.order = slices.Delete(f.order, at, at+1)
	}
}

// find takes either kind of id: the integer first, then the name, which may be digits alone (contract C9).
func (f *registry) find(account, id string) *engineSession {
	if n, err := strconv.ParseInt(id, 10, 64); err == nil {
		if at, found := slices.BinarySearchFunc(f.order, n, byID); found && f.order[at].row.account == account {
			return f.order[at]
		}
	}
	return f.byName[account][id]
}

func (f *registry) all() []*engineSession { return slices.Clone(f.order) }

// of is the sessions of an account, the newest first.
func (f *registry) of(account string) []*engineSession {
	var out []*engineSession
	for _, s := range slices.Backward(f.order) {
		if s.row.account == account {
			out = append(out, s)
		}
	}
	return out
}

// byID compares; the id of a session never changes, so that it needs no lock.
func byID(s *engineSession, id int64) int {
	switch {
	case s.row.id < id:
		return -1
	case s.row.id > id:
		return 1
	}
	return 0
}
