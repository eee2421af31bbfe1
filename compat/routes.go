package compat

import (
	"net/http"
	"strings"
)

// Route is one documented session route (contract 1.1, S1-S10 and S18).
type Route struct {
	Method string
	Path   string // with "{id}" for the session's id
}

// SessionsPath begins every session route.
const SessionsPath = "/api/sessions"

const sessionPath = SessionsPath + "/{id}"

// routes never change.
var routes = []Route{
	{http.MethodPost, SessionsPath},
	{http.MethodGet, SessionsPath},
	{http.MethodGet, SessionsPath + "/stats"},
	{http.MethodGet, sessionPath},
	{http.MethodDelete, sessionPath},
	{http.MethodGet, sessionPath + "/qr"},
	{http.MethodGet, sessionPath + "/qr.png"},
	{http.MethodGet, sessionPath + "/qr/status"},
	{http.MethodPost, sessionPath + "/qr/link"},
	{http.MethodDelete, sessionPath + "/qr/link"},
	{http.MethodGet, sessionPath + "/status"},
	{http.MethodPost, sessionPath + "/connect"},
	{http.MethodPost, sessionPath + "/disconnect"},
	{http.MethodPost, sessionPath + "/restart"},
	{http.MethodPost, sessionPath + "/pairing-code"},
}

// PairPath is the page of a link that needs no key.
const PairPath = "/pair/{token}"

// PairRoutes returns the routes of a link that needs no key, which must not be changed. With an engine's own API they
// are below another prefix, and are named as these.
func PairRoutes() []Route { return pairRoutes }

var pairRoutes = []Route{
	{http.MethodGet, PairPath},
	{http.MethodGet, PairPath + "/events"},
	{http.MethodPost, PairPath + "/connect"},
	{http.MethodPost, PairPath + "/code"},
}

// Routes returns the documented session routes, which must not be changed.
func Routes() []Route { return routes }

// MatchRoute finds the session route that path is on, whatever its method, and the session's id; "" if there is none.
// isNear reports that path differs from the route in case or by a slash at its end: engines take that for the route.
func MatchRoute(path string) (template, id string, isNear bool) {
	trimmed := strings.TrimSuffix(path, "/")
	for _, route := range routes {
		if id, isMatch, isExact := matchTemplate(route.Path, trimmed); isMatch {
			return route.Path, id, !isExact || trimmed != path
		}
	}
	return "", "", false
}

// matchTemplate compares a path with a template, segment by segment.
func matchTemplate(template, path string) (id string, isMatch, isExact bool) {
	isExact = true
	for more := true; more; {
		var want, got string
		var moreGot bool
		want, template, more = strings.Cut(template, "/")
		got, path, moreGot = strings.Cut(path, "/")
		switch {
		case more != moreGot:
			return "", false, false
		case want == "{id}" && got != "":
			id = got
		case !strings.EqualFold(want, got):
			return "", false, false
		default:
			isExact = isExact && want == got
		}
	}
	return id, true, isExact
}
