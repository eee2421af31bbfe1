package fleet

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"io"
	"net/http"
	"sync"
	"time"

	"qrgate/internal/session"
)

// listTTL is how long an engine's list counts as read: what was created meanwhile is in the directory.
const listTTL = 10 * time.Second

// askedKey is whose list was read at which engine.
type askedKey struct {
	tenant session.Tenant
	id     string // of one session; "" for all
	member *Member
}

// create sends a create to the engine that has the name, else to the best engine for it. A create that did not leave,
// because no connection could be opened, goes to the next engine; no other is sent twice.
func (rt *Router) create(w http.ResponseWriter, r *http.Request, q query, body *requestBody) {
	if !body.isComplete {
		rt.first().Handler.ServeHTTP(w, r)
		return
	}
	ctx, k := r.Context(), rt.key(q.caller, q.id)
	var order []*Member
	if hasName := session.ValidID(k.id); hasName {
		order = rt.engineOf(ctx, q.caller, k)
	}
	if order == nil {
		order = rt.place(string(k.tenant) + "/" + cmp.Or(k.id, rand.Text()))
	}
	for i, m := range order {
		response, isUnsent := rt.tryCreate(r, body.text, q, k, m)
		if !isUnsent || i == len(order)-1 {
			response.send(w)
			return
		}
		rt.log.Warn("engine unavailable, the create goes to another one", "engine", m.Name, "next", order[i+1].Name)
	}
}

// engineOf is the one engine that a name belongs to; nil if it may go to any. An engine whose earlier create had an
// unknown outcome gets the next one too, and decides, as long as it responds.
func (rt *Router) engineOf(ctx context.Context, c session.Caller, k entryKey) []*Member {
	if e, ok := rt.directory.find(ctx, c, k); ok && !e.isAbsent() && (!e.isTentative || e.member.IsUp()) {
		return []*Member{e.member}
	}
	has := make([]bool, len(rt.members))
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var asking sync.WaitGroup
	for i, m := range rt.members {
		asked := askedKey{k.tenant, k.id, m}
		if rt.readsList {
			asked.id = ""
		}
		if m.IsUp() && rt.shouldAsk(asked, time.Now()) {
			asking.Go(func() { has[i] = m.HasName(ctx, c, k.id) })
		}
	}
	asking.Wait()
	for i, m := range rt.members {
		if has[i] {
			rt.directory.remember(ctx, c, k, m)
			return []*Member{m}
		}
	}
	return nil
}

// shouldAsk reports whether a list must be read, and records that it is.
func (rt *Router) shouldAsk(k askedKey, now time.Time) bool {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if now.Sub(rt.asked[k]) < listTTL {
		return false
	}
	if len(rt.asked) >= maxEntries {
		clear(rt.asked)
	}
	rt.asked[k] = now
	return true
}

// tryCreate sends a create to one engine. isUnsent reports that no byte of it left.
func (rt *Router) tryCreate(
	r *http.Request, text []byte, q query, k entryKey, m *Member,
) (response *capture, isUnsent bool) {
	if known, ok := rt.directory.recall(k); k.id != "" && (!ok || known.isAbsent()) {
		rt.directory.put(k, entry{member: m, isTentative: true})
	}
	var a attempt
	out := r.WithContext(context.WithValue(r.Context(), attemptKey{}, &a))
	out.Body = io.NopCloser(bytes.NewReader(text))
	response = serve(m.Handler, out)
	ctx := context.WithoutCancel(r.Context())
	c, ids, isTaken := rt.api.created(q, response)
	switch status := response.status; {
	case status/100 == 2:
		rt.directory.delete(rt.key(c, onlySession))
		for _, id := range ids {
			rt.directory.remember(ctx, c, rt.key(c, id), m)
		}
	case isTaken && k.id != "":
		rt.directory.remember(ctx, c, k, m)
	case a.hasNoEffect(), status/100 == 4:
		rt.directory.drop(k)
	}
	return response, a.hasNoEffect()
}
