package acquire

import (
	"context"
	"strconv"
	"time"

	"qrgate/internal/session"
)

// idCache remembers, per tenant, which session a client means by an id: clients use the engine's integer and their
// own sessionId alike, and a sessionId may be all digits (contract C9). The manager's lock guards it.
type idCache struct {
	limit int
	refs  map[idKey]session.Ref
}

type idKey struct {
	tenant session.Tenant
	id     string
}

// put remembers both ids of a session; false when they were known.
func (c *idCache) put(t session.Tenant, r session.Ref) bool {
	if r.ID == 0 || r.Name == "" {
		return false
	}
	number := idKey{t, strconv.FormatInt(r.ID, 10)}
	if c.refs[number] == r {
		return false
	}
	if c.refs == nil || len(c.refs) >= 2*c.limit {
		c.refs = map[idKey]session.Ref{} // they are learned again from the store or the next list
	}
	c.refs[number] = r
	if _, taken := c.refs[idKey{t, r.Name}]; !taken || !isNumber(r.Name) {
		c.refs[idKey{t, r.Name}] = r
	}
	return true
}

// evict forgets both ids of a session, and returns them as far as they were known.
func (c *idCache) evict(t session.Tenant, r session.Ref) session.Ref {
	if known, ok := c.refs[idKey{t, r.String()}]; ok {
		r = r.Merge(known)
	}
	delete(c.refs, idKey{t, strconv.FormatInt(r.ID, 10)})
	delete(c.refs, idKey{t, r.Name})
	return r
}

func isNumber(text string) bool {
	r, ok := session.ParseRef(text)
	return ok && r.ID > 0
}

func (m *Manager) cachedRef(t session.Tenant, id string) (session.Ref, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.ids.refs[idKey{t, id}]
	return r, ok
}

// Resolve finds the session that a caller means by id: in memory, in the store, and for a sessionId never met in the
// engine's list. A ref without its integer is still good for asking the engine by name.
func (m *Manager) Resolve(ctx context.Context, c session.Caller, id string) session.Ref {
	if r, ok := m.lookupRef(ctx, c, id); ok {
		return r
	}
	r, _ := session.ParseRef(id)
	if r.ID > 0 {
		return r // the integer first; a sessionId of digits is learned from create and list
	}
	release, ok := m.limits.acquireUnauthenticated()
	if !ok {
		return r
	}
	defer release()
	tn, err := m.tenant(c)
	if err != nil {
		return r
	}
	defer tn.release()
	tn.ensureList(ctx)
	if found, ok := m.cachedRef(c.Tenant, id); ok {
		return found
	}
	return r
}

// lookupRef looks id up without asking the engine.
func (m *Manager) lookupRef(ctx context.Context, c session.Caller, id string) (session.Ref, bool) {
	if r, ok := m.cachedRef(c.Tenant, id); ok {
		return r, true
	}
	r, ok := m.store.lookupAlias(ctx, aliasKey(c, id))
	if ok {
		m.mu.Lock()
		m.ids.put(c.Tenant, r)
		m.mu.Unlock()
	}
	return r, ok
}

// learnRef remembers a ref here and in the store.
func (m *Manager) learnRef(ctx context.Context, c session.Caller, r session.Ref, now time.Time) {
	m.mu.Lock()
	isNew := m.ids.put(c.Tenant, r)
	m.mu.Unlock()
	if !isNew {
		return
	}
	_ = m.store.saveAlias(ctx, aliasKey(c, r.Name), r, now) // without it, another replica asks the engine
	_ = m.store.saveAlias(ctx, aliasKey(c, strconv.FormatInt(r.ID, 10)), r, now)
}

// evictRef forgets both ids of a session, here and in the store: it is deleted, and its name may come back for
// another one.
func (m *Manager) evictRef(ctx context.Context, c session.Caller, r session.Ref) {
	m.mu.Lock()
	r = m.ids.evict(c.Tenant, r)
	m.mu.Unlock()
	now := time.Now()
	if r.Name != "" {
		_ = m.store.deleteAlias(ctx, aliasKey(c, r.Name), now) // at worst the engine denies it once more
	}
	if r.ID > 0 {
		_ = m.store.deleteAlias(ctx, aliasKey(c, strconv.FormatInt(r.ID, 10)), now)
	}
}

// retryOnStaleID asks, and asks again if the engine denies an integer that the caller did not say: a client that
// deletes a session and creates another of the same name past qrgate knows the name alone.
func (m *Manager) retryOnStaleID(
	ctx context.Context, c session.Caller, id string, ask func() (*session.Snapshot, error),
) (*session.Snapshot, error) {
	snap, err := ask()
	r := snap.Session.Ref
	if session.KindOf(err) != session.KindSessionNotFound || r.ID == 0 || r.Name != id {
		return snap, err
	}
	if fresh := m.RefreshID(ctx, c, r); fresh.ID == 0 || fresh.ID == r.ID {
		return snap, err
	}
	return ask()
}

// RefreshID finds out anew which session a name means, after the engine denied its integer. Once the name is another
// session's, what is known of the old one is dropped.
func (m *Manager) RefreshID(ctx context.Context, c session.Caller, r session.Ref) session.Ref {
	m.evictRef(ctx, c, r)
	fresh := m.Resolve(ctx, c, r.Name)
	if fresh.ID > 0 && fresh.ID != r.ID {
		_ = m.Invalidate(ctx, c, session.Ref{ID: r.ID}, false)
	}
	return fresh
}
