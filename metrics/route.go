package metrics

import (
	"net/http"
	"slices"

	"qrgate/compat"
)

// Unmatched is the route of every request that is on no documented one.
const Unmatched = "unmatched"

// otherMethod is OpenTelemetry's word for a method that is not told apart.
const otherMethod = "_OTHER"

// methodRoute is a method with the template of its route.
type methodRoute struct{ method, route string }

func (p methodRoute) values() []string { return []string{p.method, p.route} }

// pairs lists the legal pairs. What passes through is told apart by the methods that matter.
func pairs() []methodRoute {
	var all []methodRoute
	for _, r := range compat.Routes() {
		all = append(all, methodRoute{r.Method, r.Path})
	}
	return append(all, methodRoute{http.MethodGet, Unmatched}, methodRoute{http.MethodPost, Unmatched}, methodRoute{otherMethod, Unmatched})
}

// pairOf makes any method and route a legal pair. A documented route with a method that it does not have is Unmatched.
func pairOf(method, route string) methodRoute {
	if route != Unmatched && slices.Contains(compat.Routes(), compat.Route{Method: method, Path: route}) {
		return methodRoute{method, route}
	}
	if method != http.MethodGet && method != http.MethodPost {
		method = otherMethod
	}
	return methodRoute{method, Unmatched}
}
