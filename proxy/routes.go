package proxy

import "github.com/gin-gonic/gin"

// routes are the documented session routes (contract 1.1, S1-S10 and S18).
func (f *Front) routes(r gin.IRouter) {
	r.POST("/api/sessions", f.pass)
	r.GET("/api/sessions", f.pass)
	r.GET("/api/sessions/stats", f.pass)
	r.GET("/api/sessions/:id", f.pass)
	r.DELETE("/api/sessions/:id", f.pass)
	r.GET("/api/sessions/:id/qr", f.pass)
	r.GET("/api/sessions/:id/qr/status", f.pass)
	r.GET("/api/sessions/:id/status", f.pass)
	r.POST("/api/sessions/:id/connect", f.pass)
	r.POST("/api/sessions/:id/disconnect", f.pass)
	r.POST("/api/sessions/:id/restart", f.pass)
}
