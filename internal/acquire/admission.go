package acquire

import (
	"context"
	"time"

	"qrgate/internal/session"
)

// Admission of clients' own creates and connects. They use calls of the same windows as qrgate's polls. When many
// sessions start at once, creates and connects would use all calls of a window, and none would be left to poll. So
// connects leave listReserve calls to the list, and creates leave a call to the connect that follows each.

const (
	maxCreateDelay = 5 * time.Second // a create waits this long for its place and is then sent anyway
	refusedTTL     = 2 * time.Minute // for so long, the name of a refused create is known not to exist
	createdTTL     = 20 * time.Second
	maxRefused     = 1000
)

// AdmitCreate waits until a client's create leaves enough calls to the sessions that were created before it, at most
// maxCreateDelay. Then it returns for how long the client must wait: 0 when the create may be sent, and when the calls
// that remain are kept for the list, until the engine's window ends. The caller calls release when the engine has
// responded.
func (m *Manager) AdmitCreate(ctx context.Context, c session.Caller) (release func(), wait time.Duration) {
	tn, err := m.tenant(c)
	if err != nil {
		return func() {}, 0
	}
	deadline := time.NewTimer(maxCreateDelay)
	defer deadline.Stop()
	for isLate := false; ; {
		at, changed := tn.admitCreate(isLate, time.Now())
		switch {
		case changed == nil:
			return tn.endCreate, 0
		case isLate:
			tn.release()
			return func() {}, time.Until(at)
		}
		select {
		case <-changed:
			continue
		case <-deadline.C:
		case <-ctx.Done():
		case <-m.base.Done():
		}
		isLate = true
	}
}

// admitCreate admits a create at now, or returns when it may be sent and the channel that closes when it is worth
// trying again. A create that has waited long enough is late: it leaves only the calls that are kept for the list.
func (tn *tenant) admitCreate(isLate bool, now time.Time) (at time.Time, changed <-chan struct{}) {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	connects := tn.unconnected(now) + tn.creating // that follow
	switch {
	case isLate:
		at = tn.connectAllowedAt(nil, now)
	case !tn.hasAnswered && tn.creating > 0:
		at = now.Add(maxCreateDelay) // the first response tells the engine's limits
	case connects+len(tn.waiting) > 0:
		at = tn.limiter.admits(2+connects, connectReserve, now)
	}
	if at.After(now) {
		return at, tn.changed
	}
	tn.creating++
	tn.consume(now)
	return now, nil
}

// endCreate records that the engine has responded to a create.
func (tn *tenant) endCreate() {
	tn.mu.Lock()
	tn.creating--
	tn.recordAnswer()
	tn.mu.Unlock()
	tn.release()
}

// unconnected is how many sessions were just created and not connected yet; the caller holds tn.mu.
func (tn *tenant) unconnected(now time.Time) int {
	n := 0
	for t := range tn.trackers {
		if snap := t.state.Load(); snap != nil {
			s := &snap.Session
			if s.CreatedHere && s.ConnectedAt.IsZero() && s.Recovery.FailedConnects == 0 && now.Sub(s.Since) < createdTTL {
				n++
			}
		}
	}
	return n
}

// connectAllowedAt is when a client's connect of t may be sent. It leaves connectReserve calls while the QRs of other
// sessions are awaited, or will be: connects in flight and sessions just created count too. The caller holds tn.mu.
func (tn *tenant) connectAllowedAt(t *tracker, now time.Time) time.Time {
	others := len(tn.waiting)
	if _, ok := tn.waiting[t]; ok {
		others--
	}
	others += tn.creating + max(0, tn.unconnected(now)-1) // the session itself is one of them
	keep := 0
	if others > 0 {
		keep = connectReserve
	}
	return tn.limiter.admits(1, keep, now)
}

// AdmitConnect reports whether a client's connect may be sent now: wait is how long it must wait otherwise, because
// the calls that remain are kept for the list. A connect that must wait is given to OnConnectError, which sends it
// later.
func (m *Manager) AdmitConnect(c session.Caller) (wait time.Duration) {
	tn := m.existing(c)
	if tn == nil {
		return 0
	}
	now := time.Now()
	tn.mu.Lock()
	defer tn.mu.Unlock()
	if at := tn.connectAllowedAt(nil, now); at.After(now) {
		return at.Sub(now)
	}
	tn.consume(now)
	return 0
}

// OnCreateRefused records that the engine refused to create a session of this name.
func (m *Manager) OnCreateRefused(c session.Caller, name string) {
	if name == "" {
		return
	}
	tn, err := m.tenant(c)
	if err != nil {
		return
	}
	defer tn.release()
	now := time.Now()
	tn.mu.Lock()
	defer tn.mu.Unlock()
	for other, at := range tn.refused {
		if now.Sub(at) > refusedTTL || len(tn.refused) >= maxRefused {
			delete(tn.refused, other)
		}
	}
	tn.refused[name] = now
}

// WasCreateRefused reports whether a session of this name does not exist because its create was just refused.
func (m *Manager) WasCreateRefused(c session.Caller, name string) bool {
	tn := m.existing(c)
	if tn == nil {
		return false
	}
	tn.mu.Lock()
	defer tn.mu.Unlock()
	at, ok := tn.refused[name]
	return ok && time.Since(at) < refusedTTL && tn.byName[name] == nil
}
