package proxy

import (
	"context"
	"net/http"
	"net/http/httputil"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"qrgate/compat"
)

const textNoEngine = "This path is not served here: the gate runs without a separate engine. Use the session routes."

// headerFlushDelay is how long the head of an answer may wait for the first of its body, so that one packet carries both.
const headerFlushDelay = 5 * time.Millisecond

// passThrough is one request on its way through to the engine.
type passThrough struct {
	front *Handler
	rec   *responseWriter
	idle  *idle
	ctx   context.Context // of the call to the engine; ends with errIdle as its cause
}

// pass streams a request to the engine and the answer back. Nothing is held in memory, nothing is sent
// twice, and the call ends when the client leaves or when nothing moves for Config.Idle.
func (f *Handler) pass(c *gin.Context) {
	c.Writer.Header().Del("Allow") // Gin's, where the method is not a session route's
	if f.config.Engine == nil {
		f.writeError(c.Writer, c.Request, apiError{http.StatusNotFound, compat.CodeNotFound, textNoEngine})
		return
	}
	ctx, cancel := context.WithCancelCause(c.Request.Context())
	defer cancel(nil)
	writer := &streamWriter{ResponseWriter: c.Writer, conn: http.NewResponseController(c.Writer)}
	writer.idle = startIdle(f.config.Idle, func() {
		cancel(errIdle)
		writer.closeHijacked()
	})
	defer writer.idle.stop()
	p := &passThrough{front: f, rec: recorderOf(c.Writer), idle: writer.idle, ctx: ctx}
	if p.rec.body != nil {
		p.rec.body.limit, p.rec.body.idle = f.config.PassBody, writer.idle
	}
	reverse := httputil.ReverseProxy{
		Rewrite:        f.rewrite,
		Transport:      f.config.Transport,
		FlushInterval:  headerFlushDelay, // of the head alone: streamWriter sends what follows at once
		BufferPool:     f.buffers,
		ErrorLog:       f.discardLog,
		ModifyResponse: p.modifyResponse,
		ErrorHandler:   p.handleError,
	}
	reverse.ServeHTTP(writer, c.Request.WithContext(ctx))
}

// bufferPool lends the buffers that answers are copied through.
type bufferPool struct{ pool sync.Pool }

func newBufferPool() *bufferPool {
	return &bufferPool{sync.Pool{New: func() any { return new([32 << 10]byte) }}}
}

// Get lends a buffer.
func (b *bufferPool) Get() []byte { return b.pool.Get().(*[32 << 10]byte)[:] }

// Put takes it back.
func (b *bufferPool) Put(p []byte) { b.pool.Put((*[32 << 10]byte)(p)) }
