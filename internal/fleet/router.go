// Package fleet puts several engines behind one gateway. A new session goes to a healthy engine ([place]); a request
// that names a session goes to the engine that has it, which the [directory] remembers and which is found again by
// asking all engines; the list of sessions is merged. Everything that serves one engine stays as it is with one engine.
package fleet

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"qrgate/compat"
	"qrgate/internal/seal"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/internal/store"
)

// Member is one engine. Its functions are for concurrent use.
type Member struct {
	Name      string
	Identity  string       // in the shared store: replicas agree on it
	Weight    int          // its share of new sessions; 0: none
	Handler   http.Handler // serves the clients of its sessions
	IsUp      func() bool  // it responds
	IsHealthy func() bool  // its probes and its sessions succeed

	// HasLink reports whether a request is made with a link to one of its sessions, which names no session.
	HasLink func(r *http.Request) bool
	// HasName reports whether the engine's list has a session of this name. It costs at most one call.
	HasName func(ctx context.Context, c session.Caller, name string) bool
	// Find asks the engine for a session. An error means that the engine gave no clear response.
	Find func(ctx context.Context, c session.Caller, id string) (bool, error)
}

func (m *Member) condition() condition {
	switch {
	case !m.IsUp():
		return isDown
	case !m.IsHealthy():
		return isUp
	}
	return isHealthy
}

// Router is the handler of all clients.
type Router struct {
	members   []*Member
	ambiguous http.HandlerFunc
	sealer    *seal.Sealer
	directory directory
	log       *slog.Logger
	asking    singleflight.Group

	mu    sync.Mutex
	asked map[askedKey]time.Time
}

// New makes a router. shared returns the store that replicas share, nil while there is none. ambiguous responds to a
// request for a session that several engines have.
func New(
	members []*Member, sealer *seal.Sealer, shared func() store.Store, ambiguous http.HandlerFunc, log *slog.Logger,
) *Router {
	return &Router{
		members: members, ambiguous: ambiguous, sealer: sealer, log: log, asked: map[askedKey]time.Time{},
		directory: directory{members: members, sealer: sealer, store: shared},
	}
}

// ServeHTTP implements [http.Handler].
func (rt *Router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimSuffix(r.URL.EscapedPath(), "/")
	isSessions := strings.EqualFold(path, compat.SessionsPath)
	id := sessionOf(r.Method, path)
	switch {
	case isSessions && r.Method == http.MethodPost:
		rt.create(w, r)
	case isSessions && (r.Method == http.MethodGet || r.Method == http.MethodHead) && r.ContentLength == 0:
		rt.list(w, r)
	case id != "" && r.Method != http.MethodOptions:
		rt.serveSession(w, r, id)
	default:
		rt.withoutSession(r).Handler.ServeHTTP(w, r)
	}
}

// withoutSession is the engine of a request that names no session.
func (rt *Router) withoutSession(r *http.Request) *Member {
	for _, m := range rt.members {
		if m.HasLink(r) {
			return m
		}
	}
	return rt.first()
}

// first is the engine of requests that name no session: the first one that may get sessions and responds.
func (rt *Router) first() *Member {
	for _, m := range rt.members {
		if m.Weight > 0 && m.IsUp() {
			return m
		}
	}
	return rt.members[0]
}

// sessionPaths are what precedes the id of a session (contract 1.1 and 1.3).
var sessionPaths = []string{
	compat.SessionsPath + "/", "/api/messages/", "/api/contacts/", "/api/groups/sessions/", "/api/status/sessions/",
	"/api/media/sessions/",
}

// sessionOf is the session that a request names; "" if it names none.
func sessionOf(method, path string) string {
	for _, before := range sessionPaths {
		rest, ok := strings.CutPrefix(path, before)
		if !ok {
			continue
		}
		id, verb, _ := strings.Cut(rest, "/")
		isMessage := before == "/api/messages/" && (method == http.MethodDelete || verb == "retry")
		isContact := before == "/api/contacts/" && method == http.MethodPut
		isWord := id == "stats" || id == "frappe" || id == "unread"
		if isMessage || isContact || isWord || !session.ValidID(id) {
			return ""
		}
		return id
	}
	return ""
}

// callerOf identifies the caller by its credential alone. The engine's own tenant is the member's matter.
func callerOf(r *http.Request) session.Caller {
	return session.Caller{
		Key:     secret.NewSecret(r.Header.Get("X-Api-Key")),
		Bearer:  secret.NewSecret(r.Header.Get("Authorization")),
		Traffic: session.UserTraffic,
	}
}

func (rt *Router) key(c session.Caller, id string) entryKey {
	return entryKey{rt.sealer.Tenant(c.Credential()), id}
}

// serveSession forwards a request to the engine that has the session.
func (rt *Router) serveSession(w http.ResponseWriter, r *http.Request, id string) {
	ctx, c := r.Context(), callerOf(r)
	k := rt.key(c, id)
	found, isKnown := rt.directory.find(ctx, c, k)
	member := found.member
	if !isKnown {
		if member = rt.locate(ctx, c, k); member == nil {
			rt.ambiguous(w, r)
			return
		}
	}
	status := &statusWriter{ResponseWriter: w}
	member.Handler.ServeHTTP(status, r)
	template, _, _ := compat.MatchRoute(r.URL.Path)
	isDeleted := r.Method == http.MethodDelete && status.status/100 == 2
	if template != "" && (status.status == http.StatusNotFound || isDeleted) {
		rt.directory.forget(ctx, k)
	}
}

// askTimeout is how long an engine may take to report whether it has a session.
const askTimeout = 4 * time.Second

// located is what asking all engines showed.
type located struct {
	member      *Member // that has the session, or whose response is the client's
	isAmbiguous bool
}

// locate asks all engines for a session that the directory does not have; nil if several have it. If none has it, the
// client gets the response of an engine that could not be asked, which is no 404, else of the one that would get it.
func (rt *Router) locate(ctx context.Context, c session.Caller, k entryKey) *Member {
	result, _, _ := rt.asking.Do(string(k.tenant)+"/"+k.id, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
		defer cancel()
		return rt.askAll(ctx, c, k), nil
	})
	if l := result.(located); !l.isAmbiguous {
		return l.member
	}
	return nil
}

func (rt *Router) askAll(ctx context.Context, c session.Caller, k entryKey) located {
	found, errs := make([]bool, len(rt.members)), make([]bool, len(rt.members))
	var asking sync.WaitGroup
	for i, m := range rt.members {
		if errs[i] = !m.IsUp(); errs[i] {
			continue
		}
		asking.Go(func() {
			var err error
			found[i], err = m.Find(ctx, c, k.id)
			errs[i] = err != nil
		})
	}
	asking.Wait()
	var l located
	for i, m := range rt.members {
		switch {
		case found[i] && l.member != nil:
			rt.log.Warn("several engines have a session", "session", k.id, "engines", l.member.Name+", "+m.Name)
			return located{isAmbiguous: true}
		case found[i]:
			l.member = m
		}
	}
	if l.member != nil {
		rt.directory.remember(ctx, c, k, l.member)
		return l
	}
	for i, m := range rt.members {
		if errs[i] {
			return located{member: m}
		}
	}
	l.member = rt.place(string(k.tenant) + "/" + k.id)[0]
	rt.directory.put(k, entry{member: l.member, absentUntil: time.Now().Add(absentTTL)})
	return l
}

// place orders the engines for a new session. At least one has a weight.
func (rt *Router) place(key string) []*Member {
	candidates := make([]candidate, len(rt.members))
	for i, m := range rt.members {
		candidates[i] = candidate{m.Name, m.Weight, m.condition()}
	}
	var order []*Member
	for _, i := range place(candidates, key) {
		order = append(order, rt.members[i])
	}
	return order
}
