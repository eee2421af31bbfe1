// Package proxy is the front of the gate: an http.Handler that receives every request of a client. It is
// the only room that knows Gin.
//
// A request passes, in this order,
//
//	gate      raw target, method and size; what two parsers could read differently is refused (gate.go)
//	identity  X-Request-Id, on the answer and on the way to the engine (requestid.go)
//	recovery  a panic becomes the documented 503, and no header is printed (finish.go)
//	router    the documented session routes (routes.go); everything else passes through (pass.go)
//
// and is reported once, as a flat Exchange, to Config.Observe: logs and metrics are made of those
// elsewhere.
//
// New and Server start nothing. The listener given to the server should be wrapped in Guard.
package proxy
