package proxy

import "github.com/gin-gonic/gin"

// routes are the documented session routes (contract 1.1, S1-S10 and S18). Without a Pairing there is
// nothing to make them whole with, and they pass through.
func (f *Front) routes(r gin.IRouter) {
	on := f.on
	if f.config.Pairing == nil {
		on = func(func(*session)) gin.HandlerFunc { return f.pass }
	}
	r.POST("/api/sessions", on((*session).create))
	r.GET("/api/sessions", on((*session).list))
	r.GET("/api/sessions/stats", f.pass)
	r.GET("/api/sessions/:id", on((*session).one))
	r.DELETE("/api/sessions/:id", on((*session).remove))
	r.GET("/api/sessions/:id/qr", on((*session).qr))
	r.GET("/api/sessions/:id/qr/status", on((*session).qrStatus))
	r.GET("/api/sessions/:id/status", on((*session).status))
	r.POST("/api/sessions/:id/connect", on((*session).connect))
	r.POST("/api/sessions/:id/disconnect", on((*session).disconnect))
	r.POST("/api/sessions/:id/restart", on((*session).restart))
}
