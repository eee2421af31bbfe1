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

// idsOf are the ids that a client may write for a session: its name and its integer, as far as they are known.
func idsOf(r session.Ref) (ids []string) {
	if r.Name != "" {
		ids = append(ids, r.Name)
	}
	if r.ID > 0 {
		ids = append(ids, strconv.FormatInt(r.ID, 10))
	}
	return ids
}

// put remembers both ids of a session; false when they were known.
func (c *idCache) put(t session.Tenant, r session.Ref) bool {
	number := idKey{t, strconv.FormatInt(r.ID, 10)}
	if r.ID == 0 || r.Name == "" || c.refs[number] == r {
		return false
	}
	if c.refs == nil || len(c.refs) >= 2*c.limit {
		c.refs = map[idKey]session.Ref{} // they are learned again from the store or the next list
	}
	c.refs[number] = r
	name := idKey{t, r.Name}
	_, isTaken := c.refs[name]
	if parsed, _ := session.ParseRef(r.Name); !isTaken || parsed.ID == 0 {
		c.refs[name] = r
	}
	return true
}

// cachedRef looks id up in memory.
func (m *Manager) cachedRef(c session.Caller, id string) (session.Ref, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.ids.refs[idKey{c.Tenant, id}]
	return r, ok
}

// Resolve finds the session that a caller means by id: in memory, in the store, and for an unknown sessionId in the
// engine's list. A ref without its integer is still good for asking the engine by name.
func (m *Manager) Resolve(ctx context.Context, c session.Caller, id string) session.Ref {
	if r, ok := m.cachedRef(c, id); ok {
		return r
	}
	if r, ok := m.store.lookupAlias(ctx, aliasKey(c, id)); ok {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.ids.put(c.Tenant, r)
		return r
	}
	r, _ := session.ParseRef(id)
	if r.ID > 0 {
		return r // the integer first; a sessionId of digits is learned from create and list
	}
	defer m.unauthenticated.Add(-1)
	if m.unauthenticated.Add(1) > int64(m.cfg.WaiterLimits.Unauthenticated) {
		return r
	}
	tn, err := m.tenant(c)
	if err != nil {
		return r
	}
	defer tn.release()
	tn.ensureList(ctx)
	if found, ok := m.cachedRef(c, id); ok {
		return found
	}
	return r
}

// learnRef remembers a ref here and in the store. now is when the call began that tells it: what a call reports that a
// delete overtook is not stored.
func (m *Manager) learnRef(ctx context.Context, c session.Caller, r session.Ref, now time.Time) {
	m.mu.Lock()
	isNew := m.ids.put(c.Tenant, r)
	m.mu.Unlock()
	if !isNew {
		return
	}
	for _, id := range idsOf(r) {
		_ = m.store.saveAlias(ctx, aliasKey(c, id), r, now) // without it, another replica asks the engine
	}
}

// evictRef forgets both ids of a session, here and in the store: it is deleted, and its name may come back for
// another one.
func (m *Manager) evictRef(ctx context.Context, c session.Caller, r session.Ref) {
	m.mu.Lock()
	r = r.Merge(m.ids.refs[idKey{c.Tenant, r.String()}])
	for _, id := range idsOf(r) {
		delete(m.ids.refs, idKey{c.Tenant, id})
	}
	m.mu.Unlock()
	for _, id := range idsOf(r) {
		_ = m.store.delete(ctx, aliasKey(c, id), kindAlias, tombstoneTTL, time.Now())
	}
}

// RetryOnStaleID calls the engine, or the manager, for the session *ref that a client means by id. If the engine denies
// an integer that the client did not write, *ref is resolved anew and the call repeated once: the session was deleted
// and created again under its name, by another replica or at the engine itself.
func (m *Manager) RetryOnStaleID(
	ctx context.Context, c session.Caller, id string, ref *session.Ref, call func() error,
) error {
	err := call()
	denied := *ref
	if session.KindOf(err) != session.KindSessionNotFound || denied.ID == 0 || denied.Name != id {
		return err
	}
	*ref = m.storedRef(ctx, c, denied)
	if ref.ID == denied.ID {
		m.evictRef(ctx, c, denied)
		*ref = m.Resolve(ctx, c, id)
	}
	if ref.ID == denied.ID {
		return err
	}
	_ = m.Invalidate(ctx, c, session.Ref{ID: denied.ID}, false)
	return call()
}

// storedRef is the session that another replica knows by the name of r, or r itself: a session that was deleted and
// created again has a new integer.
func (m *Manager) storedRef(ctx context.Context, c session.Caller, r session.Ref) session.Ref {
	stored, ok := m.store.lookupAlias(ctx, aliasKey(c, r.Name))
	if r.Name == "" || !ok || stored.Name != r.Name || stored.ID == r.ID {
		return r
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ids.put(c.Tenant, stored)
	return stored
}
