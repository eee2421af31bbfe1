package proxy

import (
	"net/http"

	"github.com/gin-gonic/gin"
)

// routes are the documented session routes (contract 1.1, S1-S10 and S18). Without a Pairing there is
// nothing to make them whole with, and they pass through. What can be read can be asked for its head too.
func (f *Front) routes(r gin.IRouter) {
	on := f.on
	if f.config.Pairing == nil {
		on = func(func(*session)) gin.HandlerFunc { return f.pass }
	}
	read := func(path string, h gin.HandlerFunc) { r.Match([]string{http.MethodGet, http.MethodHead}, path, h) }
	r.POST("/api/sessions", on((*session).create))
	read("/api/sessions", on((*session).list))
	read("/api/sessions/stats", f.pass)
	read("/api/sessions/:id", on((*session).one))
	r.DELETE("/api/sessions/:id", on((*session).remove))
	read("/api/sessions/:id/qr", on((*session).qr))
	read("/api/sessions/:id/qr/status", on((*session).qrStatus))
	read("/api/sessions/:id/status", on((*session).status))
	r.POST("/api/sessions/:id/connect", on((*session).connect))
	r.POST("/api/sessions/:id/disconnect", on((*session).disconnect))
	r.POST("/api/sessions/:id/restart", on((*session).restart))
}
