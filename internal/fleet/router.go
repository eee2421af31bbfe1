// Package fleet puts several engines behind one gateway. A new session goes to a healthy engine ([place]); a request
// that names a session goes to the engine that has it, which the [directory] remembers and which is found again by
// asking all engines; the list of sessions is merged. Everything that serves one engine stays as it is with one engine.
package fleet

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"qrgate/compat/dialect"
	"qrgate/internal/seal"
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
	// HasName reports whether the engine has a session of this name. It costs at most one call.
	HasName func(ctx context.Context, c session.Caller, name string) bool
	// Find asks the engine for a session. An error means that the engine gave no clear response.
	Find func(ctx context.Context, c session.Caller, id string) (Presence, error)
}

// Presence is what an engine reports of a session.
type Presence int

// The presences. An engine that refuses the caller may have the session.
const (
	Absent Presence = iota
	Refused
	Present
)

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
	api       api
	members   []*Member
	ambiguous http.HandlerFunc
	sealer    *seal.Sealer
	directory directory
	readsList bool // HasName reads the list of all sessions
	log       *slog.Logger
	asking    singleflight.Group

	mu    sync.Mutex
	asked map[askedKey]time.Time
}

// Config configures a Router.
type Config struct {
	Members   []*Member
	Native    *dialect.Dialect // whose own API clients speak; nil: they speak the documented one
	Sealer    *seal.Sealer
	Shared    func() store.Store // the store that replicas share; nil while there is none
	Ambiguous http.HandlerFunc   // responds to a request for a session that several engines have
	Logger    *slog.Logger
}

// New makes a Router.
func New(c Config) *Router {
	rt := &Router{
		api: documented{}, members: c.Members, ambiguous: c.Ambiguous, sealer: c.Sealer, log: c.Logger,
		directory: directory{members: c.Members, sealer: c.Sealer, store: c.Shared}, asked: map[askedKey]time.Time{},
		readsList: c.Native == nil,
	}
	if c.Native != nil {
		rt.api = native{c.Native}
	}
	return rt
}

// ServeHTTP implements [http.Handler].
func (rt *Router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := &requestBody{w: w, r: r}
	switch q := rt.api.read(r, body); {
	case r.Method == http.MethodOptions:
		rt.withoutSession(r).Handler.ServeHTTP(w, r)
	case q.means == meansCreate:
		rt.create(w, r, q, body)
	case q.means == meansList:
		rt.list(w, r, q)
	case q.id != "":
		rt.serveSession(w, r, q)
	default:
		rt.withoutSession(r).Handler.ServeHTTP(w, r)
	}
}

// meaning is what a request does, as far as the choice of an engine depends on it.
type meaning int

const (
	meansOther meaning = iota // nothing, or something with the session that it names
	meansBegin                // begins a pairing, of a session that it may create
	meansCreate
	meansList
)

// query is a client's request.
type query struct {
	means  meaning
	id     string         // of the session that it concerns; "" if it concerns none
	caller session.Caller // who may see that session
	// isForSession: a 404 means that the engine does not have the session.
	isForSession bool
}

// api is the API that clients speak.
type api interface {
	read(r *http.Request, body *requestBody) query
	// created reads a response to a create: the session's ids, and who may see it. isTaken: the create was refused,
	// because the session exists.
	created(q query, response *capture) (c session.Caller, ids []string, isTaken bool)
	// merge makes one list of the lists of engines, and notes those engines whose sessions are missing. owners are the
	// sessions by id; nil if several engines have one.
	merge(lists []list, missing []string) (merged *capture, owners map[string]*Member)
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

func (rt *Router) key(c session.Caller, id string) entryKey {
	return entryKey{rt.sealer.Tenant(c.Credential()), id}
}

// serveSession forwards a request to the engine that has the session.
func (rt *Router) serveSession(w http.ResponseWriter, r *http.Request, q query) {
	ctx, c := r.Context(), q.caller
	k := rt.key(c, q.id)
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
	isDone := status.status/100 == 2
	switch {
	case q.isForSession && (status.status == http.StatusNotFound || isDone && r.Method == http.MethodDelete):
		rt.directory.forget(ctx, k)
		rt.directory.delete(rt.key(c, onlySession))
	case q.means == meansBegin && isDone: // the session is there now, if it was not
		rt.directory.remember(ctx, c, k, member)
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
	found, errs := make([]Presence, len(rt.members)), make([]bool, len(rt.members))
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
	if k.id == onlySession {
		return rt.locateOnly(k, found, errs)
	}
	var l located
	for i, m := range rt.members {
		switch {
		case found[i] == Present && l.member != nil:
			rt.log.Warn("several engines have a session", "session", k.id, "engines", l.member.Name+", "+m.Name)
			return located{isAmbiguous: true}
		case found[i] == Present:
			l.member = m
		}
	}
	if l.member != nil {
		rt.directory.remember(ctx, c, k, l.member)
		return l
	}
	if failed := slices.Index(errs, true); failed >= 0 {
		return located{member: rt.members[failed]}
	}
	if refused := slices.Index(found, Refused); refused >= 0 {
		l.member = rt.members[refused]
	} else {
		l.member = rt.place(string(k.tenant) + "/" + k.id)[0]
	}
	rt.directory.put(k, entry{member: l.member, absentUntil: time.Now().Add(absentTTL)})
	return l
}

// locateOnly finds the engine of a request that means the only session. An engine that could not be asked may have
// another one: then it is the engine that had the only session before. Other engines may soon have one, too.
func (rt *Router) locateOnly(k entryKey, found []Presence, errs []bool) located {
	l := located{member: rt.first()}
	if failed := slices.Index(errs, true); failed >= 0 {
		before, _ := rt.directory.recall(k)
		return located{member: cmp.Or(before.member, rt.members[failed])}
	}
	if has := slices.Index(found, Present); has >= 0 {
		l = located{rt.members[has], slices.Contains(found[has+1:], Present)}
	}
	if !l.isAmbiguous {
		rt.directory.put(k, entry{member: l.member, absentUntil: time.Now().Add(onlyTTL)})
	}
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
