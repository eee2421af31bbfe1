package acquire

import (
	"context"
	"strconv"
	"sync"
	"time"

	"qrgate/internal/session"
)

// idCache remembers, per tenant, which session a client means by an id: clients use the engine's integer
// and their own sessionId alike, and a sessionId may be all digits (contract C9).
type idCache struct {
	mu    sync.Mutex
	most  int
	byAny map[nameKey]session.Ref
}

type nameKey struct {
	tenant session.Tenant
	id     string
}

func newNames(most int) *idCache { return &idCache{most: most, byAny: map[nameKey]session.Ref{}} }

// put remembers both names of a session; false when they were known.
func (n *idCache) put(t session.Tenant, r session.Ref) bool {
	if r.ID == 0 || r.Name == "" {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.byAny[nameKey{t, strconv.FormatInt(r.ID, 10)}] == r {
		return false
	}
	if len(n.byAny) >= 2*n.most {
		clear(n.byAny) // they are learned again from the store or the next list
	}
	n.byAny[nameKey{t, strconv.FormatInt(r.ID, 10)}] = r
	if _, taken := n.byAny[nameKey{t, r.Name}]; !taken || !digits(r.Name) {
		n.byAny[nameKey{t, r.Name}] = r
	}
	return true
}

func (n *idCache) forget(t session.Tenant, r session.Ref) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.byAny, nameKey{t, strconv.FormatInt(r.ID, 10)})
	delete(n.byAny, nameKey{t, r.Name})
}

func (n *idCache) find(t session.Tenant, id string) (session.Ref, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r, ok := n.byAny[nameKey{t, id}]
	return r, ok
}

func digits(text string) bool {
	r, ok := session.ParseRef(text)
	return ok && r.ID > 0
}

// Resolve finds out which session a caller means by id: from memory, from the store, and for a sessionId
// never met from the engine's list. A ref without its integer is still good for asking the engine by name.
func (p *Pairing) Resolve(ctx context.Context, c session.Caller, id string) session.Ref {
	if r, ok := p.known(ctx, c, id); ok {
		return r
	}
	r, _ := session.ParseRef(id)
	if r.ID > 0 {
		return r // the integer first; a sessionId of digits is learned from create and list
	}
	release, ok := p.slots.unproven(c.Tenant)
	if !ok {
		return r
	}
	defer release()
	d, err := p.desk(c)
	if err != nil {
		return r
	}
	defer d.release()
	d.ensureList(ctx, id)
	if found, ok := p.names.find(c.Tenant, id); ok {
		return found
	}
	return r
}

// known looks id up without asking the engine.
func (p *Pairing) known(ctx context.Context, c session.Caller, id string) (session.Ref, bool) {
	if r, ok := p.names.find(c.Tenant, id); ok {
		return r, true
	}
	r, ok := p.book.lookupAlias(ctx, recordKey{c, "alias:" + id})
	if ok {
		p.names.put(c.Tenant, r)
	}
	return r, ok
}

// evict forgets both names of a session, here and in the store: it is gone, and its name may come back
// for another one.
func (p *Pairing) evict(ctx context.Context, c session.Caller, r session.Ref) {
	if known, ok := p.names.find(c.Tenant, strconv.FormatInt(r.ID, 10)); ok {
		r = r.Merge(known)
	}
	p.names.forget(c.Tenant, r)
	now := time.Now()
	if r.Name != "" {
		_ = p.book.deleteAlias(ctx, recordKey{c, "alias:" + r.Name}, now) // at worst the engine denies it once more
	}
	if r.ID > 0 {
		_ = p.book.deleteAlias(ctx, recordKey{c, "alias:" + strconv.FormatInt(r.ID, 10)}, now)
	}
}

// retryOnStaleID asks, and once more if the engine denies an integer that the caller did not say: who deletes a session and
// makes another of its name, past this gate, knows the name alone.
func (p *Pairing) retryOnStaleID(ctx context.Context, c session.Caller, id string, ask func() (*session.Snapshot, error)) (*session.Snapshot, error) {
	view, err := ask()
	r := view.Session.Ref
	if session.KindOf(err) != session.KindSessionNotFound || r.ID == 0 || r.Name != id {
		return view, err
	}
	if now := p.RefreshID(ctx, c, r); now.ID == 0 || now.ID == r.ID {
		return view, err
	}
	return ask()
}

// RefreshID finds out anew which session a name means, after the engine denied the integer that it had. Once the name is
// another one's, what is known of the old session is dropped.
func (p *Pairing) RefreshID(ctx context.Context, c session.Caller, r session.Ref) session.Ref {
	p.evict(ctx, c, r)
	now := p.Resolve(ctx, c, r.Name)
	if now.ID > 0 && now.ID != r.ID {
		_ = p.Invalidate(ctx, c, session.Ref{ID: r.ID}, false)
	}
	return now
}

// learn remembers a ref here and in the store.
func (p *Pairing) learn(ctx context.Context, c session.Caller, r session.Ref, now time.Time) {
	if !p.names.put(c.Tenant, r) {
		return
	}
	_ = p.book.alias(ctx, recordKey{c, "alias:" + r.Name}, r, now) // another replica asks the engine instead
	_ = p.book.alias(ctx, recordKey{c, "alias:" + strconv.FormatInt(r.ID, 10)}, r, now)
}
