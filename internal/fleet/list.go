package fleet

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"qrgate/compat"
	"qrgate/internal/session"
)

// HeaderMissing names the engines whose sessions are missing in a list, because they did not respond.
const HeaderMissing = "QRGate-Missing-Engines"

// listTimeout is how long an engine's list may take: clients give up after ten seconds (contract 4.3).
const listTimeout = 6 * time.Second

// list merges the lists of all engines: a page holds that page of each. Without any engine it is an engine's error.
func (rt *Router) list(w http.ResponseWriter, r *http.Request) {
	responses := rt.listAll(r)
	var merged page
	var missing []string
	refusal := responses[0]
	for i, m := range rt.members {
		body, err := compat.Parse(responses[i].body.Bytes())
		switch status := responses[i].status; {
		case status == http.StatusOK && err == nil:
			merged.add(responses[i], body, m)
		case status/100 == 4 && status != http.StatusTooManyRequests:
			refusal = responses[i] // the engine works, and does not know the key
		default:
			missing = append(missing, m.Name)
		}
	}
	if merged.first == nil {
		refusal.send(w)
		return
	}
	rt.learnList(callerOf(r), merged.owners)
	merged.first.body.Reset()
	if len(missing) > 0 {
		merged.body["missingEngines"] = missing
		merged.first.header.Set(HeaderMissing, strings.Join(missing, ", "))
	}
	_ = json.NewEncoder(&merged.first.body).Encode(merged.body) // was decoded from JSON
	merged.first.send(w)
}

// listAll asks each engine. One that does not respond is asked too: its response may be the client's.
func (rt *Router) listAll(r *http.Request) []*capture {
	ctx, cancel := context.WithTimeout(r.Context(), listTimeout)
	defer cancel()
	responses := make([]*capture, len(rt.members))
	var calling sync.WaitGroup
	for i, m := range rt.members {
		calling.Go(func() {
			in := r.Clone(ctx)
			in.Method = http.MethodGet
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

// page is the lists of several engines as one.
type page struct {
	first  *capture
	body   compat.Object      // of first, with the sessions of all
	owners map[string]*Member // by id; nil if several engines have it
}

func (p *page) add(response *capture, body compat.Object, m *Member) {
	if p.first == nil {
		p.owners = map[string]*Member{}
	}
	for _, item := range compat.SessionsOf(body) {
		for _, id := range idsOf(compat.RefOf(item)) {
			if _, isKnown := p.owners[id]; isKnown {
				p.owners[id] = nil
			} else {
				p.owners[id] = m
			}
		}
	}
	if p.first == nil {
		p.first, p.body = response, body
		return
	}
	data, other := compat.Data(p.body), compat.Data(body)
	sessions, _ := data["sessions"].([]any)
	more, _ := other["sessions"].([]any)
	data["sessions"] = append(sessions, more...)
	pages, _ := data["pagination"].(compat.Object)
	otherPages, _ := other["pagination"].(compat.Object)
	if pages == nil || otherPages == nil {
		return // handlers of package proxy write both
	}
	total := number(compat.Int(pages["total"]) + compat.Int(otherPages["total"]))
	pages["total"], data["total"] = total, total
	pages["pages"] = number(max(compat.Int(pages["pages"]), compat.Int(otherPages["pages"])))
}

func number(n int64) json.Number { return json.Number(strconv.FormatInt(n, 10)) }
