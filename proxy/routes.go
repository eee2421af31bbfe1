package proxy

import (
	"net/http"

	"github.com/gin-gonic/gin"
)

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
