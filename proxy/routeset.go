package proxy

import (
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
)

// routeSet holds the templates of the session routes, as Gin writes them: "/api/sessions/:id/qr".
type routeSet []string

// newRouteSet collects the templates of a router, each once.
func newRouteSet(routes gin.RoutesInfo) routeSet {
	var set routeSet
	for _, r := range routes {
		if !slices.Contains(set, r.Path) {
			set = append(set, r.Path)
		}
	}
	return set
}

// find names the route that path is on, or Unmatched. It reports near if path differs from a route only
// in case or by a slash at its end: engines take that for the route itself, so it must not pass through.
func (s routeSet) find(path string) (route string, near bool) {
	route, best := Unmatched, -1
	trimmed := path
	if len(path) > 1 {
		trimmed = strings.TrimSuffix(path, "/")
	}
	for _, template := range s {
		literals, exact, folded := matchTemplate(template, trimmed)
		if folded && (!exact || trimmed != path) {
			return Unmatched, true
		}
		if exact && literals > best {
			route, best = template, literals
		}
	}
	return route, false
}

// matchTemplate compares segment by segment. It returns how many segments are literal, so that a literal
// route wins over a parameter, as it does in Gin.
func matchTemplate(template, path string) (literals int, exact, folded bool) {
	exact = true
	for {
		want, wantRest, wantMore := strings.Cut(template, "/")
		have, haveRest, haveMore := strings.Cut(path, "/")
		switch {
		case strings.HasPrefix(want, ":"):
			if have == "" {
				return 0, false, false
			}
		case !strings.EqualFold(want, have):
			return 0, false, false
		default:
			literals++
			exact = exact && want == have
		}
		if !wantMore || !haveMore {
			same := wantMore == haveMore
			return literals, exact && same, same
		}
		template, path = wantRest, haveRest
	}
}
