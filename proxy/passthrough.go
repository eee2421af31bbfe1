package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"qrgate/compat"
)

const textNoEngine = "Not found. qrgate runs without a separate engine and serves the session routes only."

// headerFlushDelay is how long the header of a response waits for the first bytes of the body, so that one packet
// carries both. Later bytes are sent at once.
const headerFlushDelay = 5 * time.Millisecond

// passThrough is one request that passes through to the engine.
type passThrough struct {
	handler *Handler
	w       *responseWriter
	ctx     context.Context // of the call to the engine; its cause is errIdle after the idle timeout
}

// passThrough streams a request to the engine and the response back. It buffers nothing, sends nothing twice, and ends
// when the client leaves or no byte moves for the idle timeout.
func (h *Handler) passThrough(c *gin.Context) {
	w := writerOf(c.Writer)
	if h.config.Engine == nil {
		w.writeError(apiError{http.StatusNotFound, compat.CodeNotFound, textNoEngine})
		return
	}
	ctx, cancel := context.WithCancelCause(c.Request.Context())
	defer cancel(nil)
	w.idle = startIdleTimer(h.config.limits.idleTimeout, func() {
		cancel(errIdle)
		w.closeHijacked()
	})
	defer w.idle.stop()
	if w.body != nil {
		w.body.maxSize, w.body.idle = h.config.limits.passThroughBody, w.idle
	}
	p := &passThrough{handler: h, w: w, ctx: ctx}
	reverse := httputil.ReverseProxy{
		Rewrite:        w.rewrite,
		Transport:      h.config.Transport,
		FlushInterval:  headerFlushDelay,
		BufferPool:     h.buffers,
		ErrorLog:       h.discardLog,
		ModifyResponse: p.modifyResponse,
		ErrorHandler:   p.handleError,
	}
	reverse.ServeHTTP(w, c.Request.WithContext(ctx))
}

// bufferPool is the [httputil.BufferPool] of the response bodies.
type bufferPool struct{ pool sync.Pool }

func newBufferPool() *bufferPool {
	return &bufferPool{sync.Pool{New: func() any { return new([32 << 10]byte) }}}
}

// Get implements [httputil.BufferPool].
func (b *bufferPool) Get() []byte { return b.pool.Get().(*[32 << 10]byte)[:] }

// Put implements [httputil.BufferPool].
func (b *bufferPool) Put(p []byte) { b.pool.Put((*[32 << 10]byte)(p)) }

// modifyResponse checks the header of the engine's response before it is sent.
func (p *passThrough) modifyResponse(res *http.Response) error {
	p.handler.cors.record(res.Request.Header.Get("Origin"), res.Header)
	p.handler.rewriteLocation(res)
	if x, ok := proxyErrorPage(res); ok {
		p.replaceBody(res, x)
		return nil
	}
	p.w.fromEngine = true
	if conn, ok := res.Body.(io.ReadWriteCloser); ok && res.StatusCode == http.StatusSwitchingProtocols {
		res.Body = idleConn{conn, p.w.idle}
	}
	return nil
}

// proxyErrorPage recognizes the error page of a proxy in front of the engine while the engine is away. Every other
// response passes unchanged, a 500 included.
func proxyErrorPage(res *http.Response) (apiError, bool) {
	x := apiError{status: res.StatusCode}
	switch res.StatusCode {
	case http.StatusBadGateway:
		x.code, x.message = compat.CodeEngineBadAnswer, textBadAnswer
	case http.StatusServiceUnavailable:
		x.code, x.message = compat.CodeEngineUnreachable, textUnreachable
	case http.StatusGatewayTimeout:
		x.code, x.message = compat.CodeEngineTimeout, textTimeout
	default:
		return x, false
	}
	return x, isHTML(res)
}

// sniffSize is how much of a body without a Content-Type is checked for HTML, in bytes.
const sniffSize = 512

// isHTML decides by the Content-Type, and without one by the first bytes, which stay in the body.
func isHTML(res *http.Response) bool {
	if contentType := res.Header.Get("Content-Type"); contentType != "" {
		kind, _, _ := mime.ParseMediaType(contentType)
		return kind == "text/html" || kind == "application/xhtml+xml"
	}
	if res.Body == nil || res.Header.Get("Content-Encoding") != "" {
		return false
	}
	head := make([]byte, sniffSize)
	n, err := res.Body.Read(head)
	if err != nil && err != io.EOF {
		return false
	}
	rest := res.Body
	res.Body = readCloser{io.MultiReader(bytes.NewReader(head[:n]), rest), rest}
	return strings.HasPrefix(http.DetectContentType(head[:n]), "text/html")
}

// readCloser reads from one source and closes another.
type readCloser struct {
	io.Reader
	io.Closer
}

// replaceBody replaces a body by the documented error. Retry-After and most other headers stay.
func (p *passThrough) replaceBody(res *http.Response, x apiError) {
	_ = res.Body.Close()
	p.w.code = x.code
	body := compat.NewProblem(x.code, x.message, time.Now()).JSON()
	for _, name := range []string{
		"Content-Encoding", "Etag", "Last-Modified", "Accept-Ranges", "Content-Language", "Trailer",
	} {
		res.Header.Del(name)
	}
	res.Header.Set("Content-Type", compat.ContentType)
	res.Header.Set("Content-Length", strconv.Itoa(len(body)))
	res.Header.Set("Cache-Control", "no-store")
	res.Trailer = nil
	res.ContentLength = int64(len(body))
	res.Body = io.NopCloser(bytes.NewReader(body))
	if res.Request.Method == http.MethodHead {
		res.Body = http.NoBody
	}
}

// errIdle is the cause of a canceled call to the engine that had no byte for the idle timeout.
var errIdle = errors.New("no byte from the engine within the idle timeout")

// idleTimer ends a request after a time without a byte from the engine. It is paused while qrgate waits for the client:
// that wait has a deadline of its own, so that the error names the side that stalls.
type idleTimer struct {
	timeout time.Duration
	timer   *time.Timer

	mu      sync.Mutex
	paused  int
	stopped bool
}

// startIdleTimer starts a timer that its caller must stop.
func startIdleTimer(timeout time.Duration, expire func()) *idleTimer {
	return &idleTimer{timeout: timeout, timer: time.AfterFunc(timeout, expire)}
}

func (i *idleTimer) reset()  { i.change(0) }
func (i *idleTimer) pause()  { i.change(+1) }
func (i *idleTimer) resume() { i.change(-1) }

// stop ends the timer for good.
func (i *idleTimer) stop() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.stopped = true
	i.timer.Stop()
}

func (i *idleTimer) change(by int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.paused += by
	switch {
	case i.stopped:
	case i.paused > 0:
		i.timer.Stop()
	default:
		i.timer.Reset(i.timeout)
	}
}

// idleConn is the engine's side of an upgraded connection: a byte in either direction resets the timer. A response
// needs no such wrapper, because writing it to the client resets the timer.
type idleConn struct {
	io.ReadWriteCloser
	idle *idleTimer
}

// Read reads what the engine sent.
func (c idleConn) Read(p []byte) (int, error) {
	n, err := c.ReadWriteCloser.Read(p)
	c.idle.reset()
	return n, err
}

// Write writes what the client sent.
func (c idleConn) Write(p []byte) (int, error) {
	n, err := c.ReadWriteCloser.Write(p)
	c.idle.reset()
	return n, err
}
