package proxy

import (
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/gin-gonic/gin"

	"qrgate/compat"
)

// releaseGin is done once per process; see New.
var releaseGin sync.Once

// newRouter builds Gin's router with every convenience off that would answer in the engine's place or
// read a path twice (reliability 3.5).
func (f *Handler) newRouter() *gin.Engine {
	releaseGin.Do(func() { gin.SetMode(gin.ReleaseMode) })
	g := gin.New()
	g.UseEscapedPath = true
	g.UnescapePathValues = false
	g.RedirectTrailingSlash = false
	g.RedirectFixedPath = false
	g.RemoveExtraSlash = false
	g.HandleMethodNotAllowed = true
	g.ForwardedByClientIP = false
	_ = g.SetTrustedProxies(nil) // cannot fail without a proxy to parse
	g.NoRoute(f.pass)
	g.NoMethod(f.otherMethod)
	f.routes(g.Group("/", f.bufferBody))
	return g
}

// otherMethod answers a method that a session route does not have. OPTIONS is the engine's: browsers ask
// before every call with an X-API-Key (contract 5.3).
func (f *Handler) otherMethod(c *gin.Context) {
	if c.Request.Method == http.MethodOptions {
		f.pass(c)
		return
	}
	f.writeError(c.Writer, c.Request, apiError{http.StatusMethodNotAllowed, compat.CodeMethodNotAllowed, textMethod})
}

// routes are the documented session routes (contract 1.1, S1-S10 and S18). Without a Pairing there is
// nothing to make them whole with, and they pass through. What can be read can be asked for its head too.
func (f *Handler) routes(r gin.IRouter) {
	on := f.handle
	if f.config.QRService == nil {
		on = func(func(*sessionRequest)) gin.HandlerFunc { return f.pass }
	}
	read := func(path string, h gin.HandlerFunc) { r.Match([]string{http.MethodGet, http.MethodHead}, path, h) }
	r.POST("/api/sessions", on((*sessionRequest).create))
	read("/api/sessions", on((*sessionRequest).list))
	read("/api/sessions/stats", f.pass)
	read("/api/sessions/:id", on((*sessionRequest).get))
	r.DELETE("/api/sessions/:id", on((*sessionRequest).deleteSession))
	read("/api/sessions/:id/qr", on((*sessionRequest).qr))
	read("/api/sessions/:id/qr/status", on((*sessionRequest).qrStatus))
	read("/api/sessions/:id/status", on((*sessionRequest).status))
	r.POST("/api/sessions/:id/connect", on((*sessionRequest).connect))
	r.POST("/api/sessions/:id/disconnect", on((*sessionRequest).disconnect))
	r.POST("/api/sessions/:id/restart", on((*sessionRequest).restart))
}

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
