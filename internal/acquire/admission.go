package acquire

import (
	"context"
	"time"

	"qrgate/internal/session"
)

// Admission of clients' own creates and connects. They spend calls of the same windows as qrgate's polls. When many
// sessions start at once, creates and connects would spend all of a window, and no call would be left to learn the
// codes. So connects leave listReserve calls to the list, and creates leave a call to the connect that follows each.

const (
	maxCreateDelay = 5 * time.Second // a create waits this long for its place and is then sent anyway
	refusedTTL     = 2 * time.Minute // for so long, the name of a refused create is known not to exist
	createdTTL     = 20 * time.Second
	maxRefused     = 1000
)

// AdmitCreate waits until a client's create leaves enough calls to the sessions that were created before it, at most
// maxCreateDelay. Then it returns for how long the client must wait: 0 when the create may be sent, and when the calls
// that remain are kept for the list, until the engine's window ends. The caller calls release when the engine has
// answered.
func (m *Manager) AdmitCreate(ctx context.Context, c session.Caller) (release func(), wait time.Duration) {
	tn, err := m.tenant(c)
	if err != nil {
		return func() {}, 0
	}
	deadline := time.NewTimer(maxCreateDelay)
	defer deadline.Stop()
	for {
		changed, ok := tn.tryCreate(time.Now())
		if ok {
			break
		}
		select {
		case <-changed:
			continue
		case <-deadline.C:
		case <-ctx.Done():
		case <-m.base.Done():
		}
		if wait = tn.forceCreate(time.Now()); wait > 0 {
			tn.release()
			return func() {}, wait
		}
		break
	}
	return func() {
		tn.endCreate()
		tn.release()
	}, 0
}

// tryCreate admits a create at now, or returns the channel that closes when it is worth trying again.
func (tn *tenant) tryCreate(now time.Time) (changed <-chan struct{}, ok bool) {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	if !tn.answered && tn.creating > 0 {
		return tn.changed, false // the first answer tells the engine's limits
	}
	expected := tn.unconnected(now) + tn.creating // connects that follow
	if at := tn.limiter.admits(2+expected, connectReserve, now); at.After(now) && expected+len(tn.waiting) > 0 {
		return tn.changed, false
	}
	tn.creating++
	tn.limiter = tn.limiter.consume(now)
	return nil, true
}

// unconnected is how many sessions were just created and not connected yet; the caller holds tn.mu.
func (tn *tenant) unconnected(now time.Time) int {
	n := 0
	for t := range tn.trackers {
		if p := t.state.Load(); p != nil {
			s := &p.snapshot.Session
			if s.CreatedHere && s.ConnectedAt.IsZero() && s.Recovery.FailedConnects == 0 && now.Sub(s.Since) < createdTTL {
				n++
			}
		}
	}
	return n
}

// forceCreate sends a create that has waited long enough, unless that would spend the calls that are kept.
func (tn *tenant) forceCreate(now time.Time) (wait time.Duration) {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	if at := tn.connectAllowedAt(nil, now); at.After(now) {
		return at.Sub(now)
	}
	tn.creating++
	tn.limiter = tn.limiter.consume(now)
	return 0
}

func (tn *tenant) endCreate() {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	tn.creating--
	tn.answered = true
	close(tn.changed)
	tn.changed = make(chan struct{})
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
// the calls that remain are kept for the list that shows the codes. A connect that must wait is handed to
// OnConnectError, which carries it on.
func (m *Manager) AdmitConnect(c session.Caller) (wait time.Duration) {
	tn := m.existing(c.Tenant)
	if tn == nil {
		return 0
	}
	now := time.Now()
	tn.mu.Lock()
	defer tn.mu.Unlock()
	if at := tn.connectAllowedAt(nil, now); at.After(now) {
		return at.Sub(now)
	}
	tn.limiter = tn.limiter.consume(now)
	return 0
}

// OnCreateRefused takes that the engine refused to create a session of this name.
func (m *Manager) OnCreateRefused(c session.Caller, name string) {
	tn, err := m.tenant(c)
	if err != nil || name == "" {
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
	tn := m.existing(c.Tenant)
	if tn == nil {
		return false
	}
	tn.mu.Lock()
	defer tn.mu.Unlock()
	at, ok := tn.refused[name]
	return ok && time.Since(at) < refusedTTL && tn.byName[name] == nil
}
