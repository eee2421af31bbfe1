package proxy

import (
	"net/http"
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
