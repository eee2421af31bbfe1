package dialect

import (
	"net/http"
	"net/url"
	"strings"

	"qrgate/compat"
)

// Subject is the session that a client's request concerns. A gateway with several engines must know it for every
// request, those that pass through included.
type Subject struct {
	// Name is the session's. EngineID is an id that only the engine that gave it can resolve. A request that names no
	// session has neither.
	Name, EngineID string
	// IsOnly: the request names no session and means the only one there is.
	IsOnly bool
	// Credential is what shows the session at its engine.
	Credential Credential
	// Means is the meaning of the request's route; empty if it has none.
	Means Meaning
}

// ListRoute is where the engine lists its sessions.
type ListRoute struct {
	Path   string
	Member string // of the response, that holds the list; empty: the response is the list
}

// NativePrefix begins the routes that qrgate adds to an engine's own API.
const NativePrefix = "/_qrgate/"

// Subject finds out which session a request concerns. body returns the request's body; nil if that is no JSON object.
func (n *Native) Subject(r *http.Request, body func() compat.Object) Subject {
	path := r.URL.EscapedPath()
	s := Subject{Credential: n.Credential(r)}
	if !strings.HasPrefix(path, "/") { // OPTIONS *
		return s
	}
	isOwn := strings.HasPrefix(path, NativePrefix)
	route, name := n.Match(r.Method, path)
	if route != nil {
		s.Means = route.Means
	}
	switch {
	case n.Session != nil && s.Credential.Key != "":
		s.Name = n.Session(s.Credential)
	case n.Session != nil:
	case isOwn:
		name, _, _ = strings.Cut(strings.TrimPrefix(path, NativePrefix+"sessions/"), "/")
		s.Name, _ = url.PathUnescape(name) // what cannot be unescaped names no session
	case route != nil && route.Name != nil:
		s.Name = route.Name(r, body())
		s.IsOnly = s.Name == "" && s.Means != MeansCreate
	case route != nil:
		s.Name = name
	}
	if !isOwn {
		n.Concerns(r, strings.Split(path, "/"), body, &s)
	}
	return s
}

// IsList reports whether a request reads the list of sessions.
func (n *Native) IsList(r *http.Request) bool {
	return r.Method == http.MethodGet && r.URL.EscapedPath() == n.List.Path && r.ContentLength == 0
}
