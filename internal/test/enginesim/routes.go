package enginesim

import (
	"net/http"
	"net/url"
	"strings"
)

// Route is the name of a route. Every response carries it in the X-Route header, so that a test notices when a gateway
// and the engine read one path differently.
type Route string

// The routes. Families whose content does not matter here share [RouteEcho].
const (
	RouteCreate          Route = "create"
	RouteList            Route = "list"
	RouteStats           Route = "stats"
	RouteGet             Route = "get"
	RouteQR              Route = "qr"
	RouteStatus          Route = "status"
	RouteConnect         Route = "connect"
	RouteDisconnect      Route = "disconnect"
	RouteRestart         Route = "restart"
	RouteDelete          Route = "delete"
	RouteContacts        Route = "contacts"
	RouteSync            Route = "sync"
	RouteRepair          Route = "repair-conversations"
	RouteFrappeConfigure Route = "frappe-configure"
	RouteFrappeStatus    Route = "frappe-status"
	RouteFrappeSessions  Route = "frappe-sessions"
	RouteWebhook         Route = "webhook"
	RouteUpload          Route = "media-upload"
	RouteDownload        Route = "media-download"
	RouteEcho            Route = "echo"
	RouteHealth          Route = "health"
	RouteRoot            Route = "root"
	RouteSocket          Route = "websocket"
	RoutePreflight       Route = "preflight"
	RouteUnknown         Route = "unknown"

	// AnyRoute stands for every route that has no entry of its own, in [Engine.Faults] and [Engine.CountSince].
	AnyRoute Route = "*"
)

// access is the credential that a route requires.
type access int

const (
	public     access = iota
	needKey           // X-API-Key
	needBearer        // Authorization: Bearer
)

// rule is one row of the routing table. In a pattern ":x" stands for one segment and "*" for all that follow.
type rule struct {
	method  string // "" for any
	pattern string
	route   Route
	access  access
}

// compiledRule is a rule with its pattern split.
type compiledRule struct {
	rule
	segments []string // of the pattern
}

// rules are tried from the top, as Express does; static segments stand before parameters (1.1).
func rules() []rule {
	const s = "/api/sessions"
	return []rule{
		{"GET", "/", RouteRoot, public},
		{"GET", "/health", RouteHealth, public},
		{"GET", "/ws/echo", RouteSocket, public},
		{"POST", s, RouteCreate, needKey},
		{"GET", s, RouteList, needKey},
		{"GET", s + "/stats", RouteStats, needKey},
		{"GET", s + "/frappe/sessions", RouteFrappeSessions, needKey},
		{"GET", s + "/:id", RouteGet, needKey},
		{"DELETE", s + "/:id", RouteDelete, needKey},
		{"GET", s + "/:id/qr", RouteQR, needKey},
		{"GET", s + "/:id/status", RouteStatus, needKey},
		{"POST", s + "/:id/connect", RouteConnect, needKey},
		{"POST", s + "/:id/disconnect", RouteDisconnect, needKey},
		{"POST", s + "/:id/restart", RouteRestart, needKey},
		{"GET", s + "/:id/contacts", RouteContacts, needKey},
		{"POST", s + "/:id/sync", RouteSync, needKey},
		{"POST", s + "/:id/repair-conversations", RouteRepair, needKey},
		{"POST", s + "/:id/frappe/configure", RouteFrappeConfigure, needKey},
		{"GET", s + "/:id/frappe/status", RouteFrappeStatus, needKey},
		{"PUT", s + "/:id/webhook", RouteWebhook, needKey},
		{"POST", "/api/media/sessions/:id/upload", RouteUpload, needKey},
		{"GET", "/api/media/:id/download", RouteDownload, needKey},
		{"", "/api/messages/*", RouteEcho, needKey},
		{"", "/api/contacts/*", RouteEcho, needKey},
		{"", "/api/groups/*", RouteEcho, needKey},
		{"", "/api/status/*", RouteEcho, needKey},
		{"", "/api/media/*", RouteEcho, needKey},
		{"", "/api/webhooks/test/*", RouteEcho, public},
		{"", "/api/webhooks/*", RouteEcho, needBearer},
		{"", "/api/templates/*", RouteEcho, needBearer},
		{"", "/api/organizations/*", RouteEcho, needBearer},
		{"", "/api/audit/*", RouteEcho, needBearer},
		{"", "/api/auth/*", RouteEcho, public},
		{"GET", "/api/docs", RouteEcho, public},
	}
}

// table returns the routing table with its patterns split; the first request makes it.
func (e *Engine) table() []compiledRule {
	if e.routes == nil {
		for _, r := range rules() {
			e.routes = append(e.routes, compiledRule{r, split(r.pattern)})
		}
	}
	return e.routes
}

// limited reports whether the rate limit of session calls counts the route.
func (r Route) limited() bool {
	switch r {
	case RouteUpload, RouteDownload, RouteEcho, RouteHealth, RouteRoot, RouteSocket, RoutePreflight, RouteUnknown:
		return false
	}
	return true
}

// match finds the rule for a request the way Express 4 does: static segments in any case, one trailing slash
// ignored, the path taken as it was sent and only the parameter unescaped. So a parameter may
// contain a slash, and %71r is not qr.
func match(table []compiledRule, method, rawPath string) (rule, string) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	segments := split(rawPath)
	for _, r := range table {
		if r.method != "" && r.method != method {
			continue
		}
		if raw, ok := matchSegments(r.segments, segments); ok {
			id, err := url.PathUnescape(raw)
			if err == nil {
				return r.rule, id
			}
		}
	}
	return rule{route: RouteUnknown}, ""
}

func split(path string) []string {
	path = strings.TrimPrefix(path, "/")
	if path == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(path, "/"), "/")
}

// matchSegments compares segment by segment and returns the parameter, still escaped.
func matchSegments(pattern, segments []string) (parameter string, ok bool) {
	for i, want := range pattern {
		if want == "*" {
			return parameter, true
		}
		if i >= len(segments) {
			return "", false
		}
		if strings.HasPrefix(want, ":") && segments[i] != "" {
			parameter = segments[i]
			continue
		}
		if !strings.EqualFold(want, segments[i]) {
			return "", false
		}
	}
	return parameter, len(segments) == len(pattern)
}

// rawPath is the path as it was sent, before Go cleaned or decoded anything.
func rawPath(r *http.Request) string {
	if !strings.HasPrefix(r.RequestURI, "/") { // in-process callers leave it empty, proxies send a whole URL
		return r.URL.EscapedPath()
	}
	path, _, _ := strings.Cut(r.RequestURI, "?")
	return path
}
