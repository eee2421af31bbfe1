package fleet

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"qrgate/compat"
	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// documented is the documented API.
type documented struct{}

func (documented) read(r *http.Request, body *requestBody) query {
	path := strings.TrimSuffix(r.URL.EscapedPath(), "/")
	template, id, _ := compat.MatchRoute(r.URL.Path)
	q := query{id: cmp.Or(id, sessionOf(r.Method, path)), caller: callerOf(r), isForSession: template != ""}
	isSessions := strings.EqualFold(path, compat.SessionsPath)
	switch {
	case isSessions && r.Method == http.MethodPost:
		q.means, q.id = meansCreate, compat.StringOf(body.object(createLimits)["sessionId"])
	case isSessions && (r.Method == http.MethodGet || r.Method == http.MethodHead) && r.ContentLength == 0:
		q.means = meansList
	}
	return q
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

func (documented) created(q query, response *capture) (c session.Caller, ids []string, isTaken bool) {
	body, _ := compat.Parse(response.body.Bytes())
	ref := compat.RefOf(compat.SessionOf(body)).Merge(session.Ref{Name: q.id})
	return q.caller, idsOf(ref), response.status == http.StatusConflict
}

// idsOf are the ids by which clients name a session.
func idsOf(ref session.Ref) (ids []string) {
	if session.ValidID(ref.Name) {
		ids = append(ids, ref.Name)
	}
	if ref.ID > 0 {
		ids = append(ids, strconv.FormatInt(ref.ID, 10))
	}
	return ids
}

// merge makes a page that has that page of each engine.
func (documented) merge(lists []list, missing []string) (*capture, map[string]*Member) {
	var merged page
	for _, l := range lists {
		if body, err := compat.Parse(l.body.Bytes()); err == nil {
			merged.add(l.capture, body, l.from)
		} else {
			missing = append(missing, l.from.Name)
		}
	}
	if merged.first == nil {
		return nil, nil
	}
	merged.first.body.Reset()
	if len(missing) > 0 {
		merged.body["missingEngines"] = missing
		merged.first.header.Set(HeaderMissing, strings.Join(missing, ", "))
	}
	_ = json.NewEncoder(&merged.first.body).Encode(merged.body) // was decoded from JSON
	return merged.first, merged.owners
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
