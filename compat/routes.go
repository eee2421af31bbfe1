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

const (
	statsPath   = SessionsPath + "/stats"
	sessionPath = SessionsPath + "/{id}"
)

// routes never change.
var routes = []Route{
	{http.MethodPost, SessionsPath},
	{http.MethodGet, SessionsPath},
	{http.MethodGet, statsPath},
	{http.MethodGet, sessionPath},
	{http.MethodDelete, sessionPath},
	{http.MethodGet, sessionPath + "/qr"},
	{http.MethodGet, sessionPath + "/qr/status"},
	{http.MethodGet, sessionPath + "/status"},
	{http.MethodPost, sessionPath + "/connect"},
	{http.MethodPost, sessionPath + "/disconnect"},
	{http.MethodPost, sessionPath + "/restart"},
}

// Routes returns the documented session routes, which must not be changed.
func Routes() []Route { return routes }

// paths of the routes of one session, without the path of the session.
var sessionRoutes = [...]string{"", "/qr", "/qr/status", "/status", "/connect", "/disconnect", "/restart"}

// MatchRoute finds the session route that path is on, whatever its method, and the session's id; "" if there is none.
// near reports that path differs from a route only in case or by a slash at its end: engines take that for the route.
func MatchRoute(path string) (template, id string, near bool) {
	head, tail := cutThirdSlash(path)
	if !strings.EqualFold(head, SessionsPath) {
		return "", "", false
	}
	rest := strings.TrimSuffix(tail, "/")
	exact := head == SessionsPath && rest == tail
	switch {
	case rest == "":
		template = SessionsPath
	case strings.EqualFold(rest, "/stats"):
		template, exact = statsPath, exact && rest == "/stats"
	default:
		template, id, exact = matchSession(rest[1:], exact)
	}
	if template == "" || !exact {
		return "", "", template != ""
	}
	return template, id, false
}

// cutThirdSlash cuts path before its third slash. Letters that fold to ASCII have other lengths, so SessionsPath's own
// length is no place to cut.
func cutThirdSlash(path string) (head, tail string) {
	slashes := 0
	for i := range len(path) {
		if path[i] == '/' {
			if slashes++; slashes == 3 {
				return path[:i], path[i:]
			}
		}
	}
	return path, ""
}

// matchSession matches what follows SessionsPath and a slash.
func matchSession(path string, exact bool) (template, id string, isExact bool) {
	end := strings.IndexByte(path, '/')
	if end < 0 {
		end = len(path)
	}
	for _, route := range sessionRoutes {
		if end > 0 && strings.EqualFold(path[end:], route) {
			return sessionPath + route, path[:end], exact && path[end:] == route
		}
	}
	return "", "", exact
}
