package fleet

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"

	"qrgate/compat"
	"qrgate/compat/dialect"
	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// native is an engine's own API. Its sessions are named as package dialect encodes their names.
type native struct{ dialect *dialect.Dialect }

// onlySession is the id of what a request means that names no session; byEngineID begins an id that an engine gave. No
// encoded name has these characters.
const (
	onlySession = "*"
	byEngineID  = "#"
)

// InList reports whether an id is found in an engine's list only, and which of the sessions there it means.
func InList(id string) (isWanted func(dialect.Session) bool, ok bool) {
	engineID, isByID := strings.CutPrefix(id, byEngineID)
	switch {
	case id == onlySession:
		return func(dialect.Session) bool { return true }, true
	case isByID:
		return func(s dialect.Session) bool { return s.EngineID == engineID }, true
	}
	return nil, false
}

func (n native) read(r *http.Request, body *requestBody) query {
	if n.dialect.Native.IsList(r) {
		subject := n.dialect.Native.Subject(r, noBody)
		return query{means: meansList, caller: nativeCaller(subject.Credential)}
	}
	subject := n.dialect.Native.Subject(r, func() compat.Object { return body.object(nativeLimits) })
	q := query{caller: nativeCaller(subject.Credential), isForSession: subject.Means != ""}
	switch {
	case subject.EngineID != "":
		q.id = byEngineID + subject.EngineID
	case subject.Name != "":
		q.id = dialect.EncodeName(subject.Name)
	case subject.IsOnly:
		q.id, q.isForSession = onlySession, false
	}
	switch subject.Means {
	case dialect.MeansCreate:
		q.means = meansCreate
	case dialect.MeansBegin, dialect.MeansBeginQR:
		if q.id != onlySession {
			q.means = meansBegin
		}
	}
	return q
}

func noBody() compat.Object { return nil }

func nativeCaller(c dialect.Credential) session.Caller {
	return session.Caller{
		Key: secret.NewSecret(c.Key), Bearer: secret.NewSecret(c.Authorization), Traffic: session.UserTraffic,
	}
}

func (n native) created(q query, response *capture) (c session.Caller, ids []string, isTaken bool) {
	o := n.dialect.Outcome(dialect.Create, compat.Response{
		Status: response.status, Header: response.header, Body: response.body.Bytes(),
	})
	c, id := q.caller, q.id
	switch own := n.dialect.Native.Session; {
	case id != "": // the client chose it
	case own != nil && o.Session.Token != "":
		token := dialect.Credential{Key: o.Session.Token}
		c, id = nativeCaller(token), own(token)
	case own == nil && o.Session.Name != "":
		id = dialect.EncodeName(o.Session.Name)
	}
	if id != "" {
		ids = []string{id}
	}
	return c, ids, o.IsTaken
}

// merge writes the sessions of all engines into the first one's response.
func (n native) merge(lists []list, missing []string) (*capture, map[string]*Member) {
	var merged *capture
	var rows []json.RawMessage
	owners := map[string]*Member{}
	member := n.dialect.Native.List.Member
	for _, l := range lists {
		own, isList := rowsOf(l.body.Bytes(), member)
		if !isList {
			missing = append(missing, l.from.Name)
			continue
		}
		if merged == nil {
			merged = l.capture
		}
		rows = append(rows, own...)
		n.learn(owners, l)
	}
	if merged == nil {
		return nil, nil
	}
	all, _ := json.Marshal(rows) // was decoded from JSON
	if rows == nil {
		all = []byte("[]")
	}
	if member != "" {
		all = dialect.SpliceMember(bytes.Clone(merged.body.Bytes()), member, all)
	}
	merged.body.Reset()
	merged.body.Write(all)
	merged.header.Del("Etag") // of another body
	if len(missing) > 0 {
		merged.header.Set(HeaderMissing, strings.Join(missing, ", "))
	}
	return merged, owners
}

// rowsOf are the sessions in a list as the engine wrote them. An engine without sessions may write null.
func rowsOf(body []byte, member string) (rows []json.RawMessage, isList bool) {
	if member != "" {
		var object map[string]json.RawMessage
		if json.Unmarshal(body, &object) != nil || object[member] == nil {
			return nil, false
		}
		body = object[member]
	}
	return rows, json.Unmarshal(body, &rows) == nil
}

// learn adds the sessions of a list to their owners.
func (n native) learn(owners map[string]*Member, l list) {
	for _, s := range n.dialect.ReadList(l.body.Bytes()) {
		id := dialect.EncodeName(s.Name)
		if n.dialect.Native.Session != nil {
			id = byEngineID + s.EngineID // clients name it by a token
		}
		if _, isKnown := owners[id]; isKnown {
			owners[id] = nil
		} else {
			owners[id] = l.from
		}
	}
}
