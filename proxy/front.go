package proxy

import (
	"io"
	"log"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// Handler is the handler that every client talks to. Make one with New.
type Handler struct {
	config     Config
	router     *gin.Engine
	routeSet   routeSet
	cors       *corsCache
	buffers    *bufferPool
	discardLog *log.Logger // httputil's: the Exchange tells what it would say
}

// New builds a front and starts nothing.
//
// It puts Gin into release mode, for the process and once: in any other mode Gin prints its routes and,
// on a panic, the headers of the request.
func New(config Config) *Handler {
	f := &Handler{
		config:     config.withDefaults(),
		cors:       newCORSCache(),
		buffers:    newBufferPool(),
		discardLog: log.New(io.Discard, "", 0),
	}
	f.router = f.newRouter()
	f.routeSet = newRouteSet(f.router.Routes())
	return f
}

// Handler is the front as an [http.Handler].
func (f *Handler) Handler() http.Handler { return http.HandlerFunc(f.serve) }

// serve takes one request from the gate to the observer.
func (f *Handler) serve(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	target, refusal := f.validate(r)
	r = withRequestID(r)
	rec := f.record(w, r)
	rec.route = target.route
	defer func() { f.finish(rec, r, began, recover()) }()
	if refusal != nil {
		rec.closeConn = true
		f.writeError(rec, r, *refusal)
		return
	}
	f.router.ServeHTTP(rec, target.apply(r, rec, f.config))
}
