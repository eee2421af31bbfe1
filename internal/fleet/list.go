package fleet

import (
	"context"
	"net/http"
	"sync"
	"time"

	"qrgate/internal/session"
)

// HeaderMissing names the engines whose sessions are missing in a list, because they did not respond.
const HeaderMissing = "QRGate-Missing-Engines"

// listTimeout is how long an engine's list may take: clients give up after ten seconds (contract 4.3).
const listTimeout = 6 * time.Second

// list is an engine's response to a request for its list.
type list struct {
	*capture
	from *Member
}

// list merges the lists of all engines. Without any engine it is an engine's error.
func (rt *Router) list(w http.ResponseWriter, r *http.Request, q query) {
	var lists []list
	var missing []string
	responses := rt.listAll(r)
	refusal := responses[0]
	for i, m := range rt.members {
		switch status := responses[i].status; {
		case status == http.StatusOK:
			lists = append(lists, list{responses[i], m})
		case status/100 == 4 && status != http.StatusTooManyRequests:
			refusal = responses[i] // the engine works, and does not know the key
		default:
			missing = append(missing, m.Name)
		}
	}
	merged, owners := rt.api.merge(lists, missing)
	if merged == nil {
		refusal.send(w)
		return
	}
	rt.learnList(q.caller, owners)
	merged.send(w)
}

// listAll asks each engine. One that does not respond is asked too: its response may be the client's. A response that
// is compressed, or depends on an earlier one, could not be merged.
func (rt *Router) listAll(r *http.Request) []*capture {
	ctx, cancel := context.WithTimeout(r.Context(), listTimeout)
	defer cancel()
	responses := make([]*capture, len(rt.members))
	var calling sync.WaitGroup
	for i, m := range rt.members {
		calling.Go(func() {
			in := r.Clone(ctx)
			in.Method = http.MethodGet
			for _, name := range []string{"Accept-Encoding", "If-None-Match", "If-Modified-Since", "Range"} {
				in.Header.Del(name)
			}
			responses[i] = serve(m.Handler, in)
		})
	}
	calling.Wait()
	return responses
}

// learnList remembers the sessions of a list, in memory: the store gets those that are used.
func (rt *Router) learnList(c session.Caller, owners map[string]*Member) {
	for id, m := range owners {
		if m != nil {
			rt.directory.put(rt.key(c, id), entry{member: m})
		}
	}
}
