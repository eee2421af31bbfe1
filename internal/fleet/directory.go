package fleet

import (
	"context"
	"sync"
	"time"

	"qrgate/internal/seal"
	"qrgate/internal/session"
	"qrgate/internal/store"
)

const (
	entryTTL   = 24 * time.Hour   // in the store; afterwards the engines are asked
	absentTTL  = 15 * time.Second // how long no engine is asked again for a session that none has
	onlyTTL    = 2 * time.Second  // how long no engine is asked again which one has the only session
	maxEntries = 50_000           // in memory
)

// entryKey is a session as a caller names it: by its name or its integer.
type entryKey struct {
	tenant session.Tenant
	id     string
}

// entry is where a session is.
type entry struct {
	member *Member
	// isTentative: a create was sent, and its outcome is not known.
	isTentative bool
	// absentUntil is set if no engine has the session: the member's response is the client's until then.
	absentUntil time.Time
}

// isAbsent reports that no engine has the session.
func (e entry) isAbsent() bool { return !e.absentUntil.IsZero() }

// directory remembers the engine of each session, in memory and in the store that replicas share.
type directory struct {
	members []*Member
	sealer  *seal.Sealer
	store   func() store.Store // nil: no shared store is available

	mu      sync.Mutex
	entries map[entryKey]entry
}

// recall looks a session up in memory.
func (d *directory) recall(k entryKey) (entry, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e, ok := d.entries[k]
	return e, ok && (!e.isAbsent() || time.Now().Before(e.absentUntil))
}

// find looks a session up in memory, then in the store.
func (d *directory) find(ctx context.Context, c session.Caller, k entryKey) (entry, bool) {
	if e, ok := d.recall(k); ok {
		return e, true
	}
	shared := d.store()
	if shared == nil {
		return entry{}, false
	}
	records, err := shared.Get(ctx, d.storeKey(k))
	if err != nil || len(records[0].Value) == 0 {
		return entry{}, false
	}
	identity, err := d.sealer.Open(c.Credential(), d.storeKey(k), records[0].Value)
	if err != nil {
		return entry{}, false
	}
	for _, m := range d.members {
		if m.Identity == string(identity) {
			d.put(k, entry{member: m})
			return entry{member: m}, true
		}
	}
	return entry{}, false // an engine that this gateway does not have any more
}

// storeKey hides the session's name, as the keys of its other records do.
func (d *directory) storeKey(k entryKey) string {
	return "{" + string(k.tenant) + "." + d.sealer.Digest(k.tenant, k.id) + "}:en"
}

// put remembers a session in memory, and reports whether that is new.
func (d *directory) put(k entryKey, e entry) (isNew bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if known, ok := d.entries[k]; ok && known == e {
		return false
	}
	if d.entries == nil || len(d.entries) >= maxEntries {
		d.entries = map[entryKey]entry{} // they are found again in the store, or by asking
	}
	d.entries[k] = e
	return true
}

// remember stores that a session is at an engine.
func (d *directory) remember(ctx context.Context, c session.Caller, k entryKey, m *Member) {
	if !d.put(k, entry{member: m}) {
		return
	}
	sealed, err := d.sealer.Seal(c.Credential(), d.storeKey(k), []byte(m.Identity))
	if err == nil {
		d.write(ctx, k, store.Record{Value: sealed, TTL: entryTTL})
	}
}

// drop removes the entry of a create that had no effect.
func (d *directory) drop(k entryKey) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.entries[k].isTentative {
		delete(d.entries, k)
	}
}

// forget removes a session that was there.
func (d *directory) forget(ctx context.Context, k entryKey) {
	if e, ok := d.recall(k); ok && e.isAbsent() {
		return
	}
	d.delete(k)
	d.write(ctx, k, store.Record{TTL: time.Second})
}

func (d *directory) delete(k entryKey) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.entries, k)
}

// write writes to the store. Without the record another replica asks the engines.
func (d *directory) write(ctx context.Context, k entryKey, r store.Record) {
	if shared := d.store(); shared != nil {
		r.Version = time.Now().UnixMilli()
		_ = shared.Put(context.WithoutCancel(ctx), d.storeKey(k), r.Version-1, r)
	}
}
