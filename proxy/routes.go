package proxy

import (
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"qrgate/compat"
)

// sessionHandlers serve the documented session routes; a route without a handler passes through.
var sessionHandlers = map[compat.Route]func(*sessionRequest){
	{Method: http.MethodPost, Path: compat.SessionsPath}:                      (*sessionRequest).create,
	{Method: http.MethodGet, Path: compat.SessionsPath}:                       (*sessionRequest).list,
	{Method: http.MethodGet, Path: compat.SessionsPath + "/{id}"}:             (*sessionRequest).get,
	{Method: http.MethodDelete, Path: compat.SessionsPath + "/{id}"}:          (*sessionRequest).deleteSession,
	{Method: http.MethodGet, Path: compat.SessionsPath + "/{id}/qr"}:          (*sessionRequest).qr,
	{Method: http.MethodGet, Path: compat.SessionsPath + "/{id}/qr.png"}:      (*sessionRequest).qrPicture,
	{Method: http.MethodGet, Path: compat.SessionsPath + "/{id}/qr/status"}:   (*sessionRequest).qrStatus,
	{Method: http.MethodPost, Path: compat.SessionsPath + "/{id}/qr/link"}:    (*sessionRequest).issueLink,
	{Method: http.MethodDelete, Path: compat.SessionsPath + "/{id}/qr/link"}:  (*sessionRequest).revokeLinks,
	{Method: http.MethodGet, Path: compat.SessionsPath + "/{id}/status"}:      (*sessionRequest).status,
	{Method: http.MethodPost, Path: compat.SessionsPath + "/{id}/connect"}:    (*sessionRequest).connect,
	{Method: http.MethodPost, Path: compat.SessionsPath + "/{id}/disconnect"}: (*sessionRequest).disconnect,
	{Method: http.MethodPost, Path: compat.SessionsPath + "/{id}/restart"}:    (*sessionRequest).restart,
}

// newRouter makes Gin's router without the conveniences that would respond in the engine's place. Gin only finds the
// handler and the session's id: a handler writes to the responseWriter, which writerOf finds below Gin's own writer.
func (h *Handler) newRouter() *gin.Engine {
	g := gin.New()
	g.UseEscapedPath = true
	g.UnescapePathValues = false
	g.RedirectTrailingSlash = false
	g.HandleMethodNotAllowed = true
	passThrough := func(c *gin.Context) {
		c.Status(http.StatusOK) // Gin writes a body of its own after its 404
		writerOf(c).passThrough()
	}
	g.NoRoute(passThrough)
	g.NoMethod(otherMethod)
	for _, route := range compat.Routes() {
		handler := passThrough
		if serve := sessionHandlers[route]; serve != nil && h.config.Acquirer != nil {
			handler = h.sessionHandler(serve)
		}
		path := strings.Replace(route.Path, "{id}", ":id", 1)
		g.Handle(route.Method, path, buffered, handler)
		if route.Method == http.MethodGet {
			g.Handle(http.MethodHead, path, buffered, handler)
		}
	}
	return g
}

// buffered stops a request whose body cannot be read.
func buffered(c *gin.Context) {
	if !writerOf(c).bufferBody() {
		c.Abort()
	}
}

func writerOf(c *gin.Context) *responseWriter {
	return c.Writer.(interface{ Unwrap() http.ResponseWriter }).Unwrap().(*responseWriter)
}

// otherMethod responds to a method that a session route does not have. OPTIONS passes through: browsers send a
// preflight before every call with an X-API-Key (contract 5.3).
func otherMethod(c *gin.Context) {
	c.Status(http.StatusOK) // as above
	w := writerOf(c)
	if w.request.Method == http.MethodOptions {
		w.Header().Del("Allow") // Gin's
		w.passThrough()
		return
	}
	w.reply(problem(http.StatusMethodNotAllowed, compat.CodeMethodNotAllowed, textMethod))
}
