package metrics

import (
	"net/http"
	"strings"
)

// Unmatched is the route of every request that is on no documented one.
const Unmatched = "unmatched"

// otherMethod is OpenTelemetry's word for a method that is not told apart.
const otherMethod = "_OTHER"

// methodRoute is a method with the template of its route.
type methodRoute struct{ method, route string }

func (p methodRoute) values() []string { return []string{p.method, p.route} }

// documented are the session routes of the documented API (contract 1.1), as proxy serves them.
func documented() []methodRoute {
	const one = "/api/sessions/{id}"
	return []methodRoute{
		{http.MethodPost, "/api/sessions"},
		{http.MethodGet, "/api/sessions"},
		{http.MethodGet, "/api/sessions/stats"}, // before {id}: the literal wins
		{http.MethodGet, one},
		{http.MethodDelete, one},
		{http.MethodGet, one + "/qr"},
		{http.MethodGet, one + "/qr/status"},
		{http.MethodGet, one + "/status"},
		{http.MethodPost, one + "/connect"},
		{http.MethodPost, one + "/disconnect"},
		{http.MethodPost, one + "/restart"},
	}
}

// pairs lists the legal pairs. What passes through is told apart by the methods that matter.
func pairs() []methodRoute {
	return append(documented(), methodRoute{http.MethodGet, Unmatched}, methodRoute{http.MethodPost, Unmatched}, methodRoute{otherMethod, Unmatched})
}

// pairOf makes any method and route a legal pair. Routes come in Gin's notation too ("/:id"). A
// documented route asked with a method that it does not have matches nothing.
func pairOf(method, route string) methodRoute {
	route = strings.Replace(route, ":id", "{id}", 1)
	for _, p := range documented() {
		if p.route == route && p.method == method {
			return p
		}
	}
	if method != http.MethodGet && method != http.MethodPost {
		method = otherMethod
	}
	return methodRoute{method, Unmatched}
}
