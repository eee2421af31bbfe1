package enginesim

import (
	"fmt"
	"slices"
	"strconv"
)

// Change runs f while no request reads or changes the engine. f may set fields; it must not call methods.
func (e *Engine) Change(f func(*Engine)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f(e)
}

// Link scans the current code of a session, named by its id or sessionId; if accounts share a name, the oldest is meant.
// It fails when there is no such session or it shows no code.
func (e *Engine) Link(id string) error {
	return e.with(id, func(s *simSession) error {
		if _, ok := e.current(s, e.now()); !ok {
			return fmt.Errorf("session %s shows no code", id)
		}
		e.link(s, "5550100"+strconv.FormatInt(s.id, 10))
		return nil
	})
}

// Unlink drops the phone of a session, as a logout or a conflict does. It fails when there is no such session or no
// phone is linked to it.
func (e *Engine) Unlink(id string) error {
	return e.with(id, func(s *simSession) error {
		if s.socket == nil || !s.socket.linked {
			return fmt.Errorf("session %s is not linked", id)
		}
		e.drop(s)
		return nil
	})
}

func (e *Engine) with(name string, f func(*simSession) error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.sessions {
		if s.name == name || strconv.FormatInt(s.id, 10) == name {
			e.settle(s, e.now())
			return f(s)
		}
	}
	return fmt.Errorf("there is no session %s", name)
}

// Restart loses the engine's memory: every socket is gone and every session, linked or not, is disconnected. The
// database keeps the sessions.
func (e *Engine) Restart() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.forget()
}

func (e *Engine) forget() {
	for _, s := range e.sessions {
		e.settle(s, e.now())
		e.drop(s)
	}
}

// Reset forgets sessions, calls, windows and spent faults. Ids start anew; fields stay.
func (e *Engine) Reset() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.forget()
	e.sessions, e.calls, e.lastID = nil, nil, 0
	e.windows, e.faulted, e.died = nil, nil, false
}

func (e *Engine) remove(s *simSession) {
	e.drop(s)
	e.sessions = slices.DeleteFunc(e.sessions, func(other *simSession) bool { return other == s })
}
