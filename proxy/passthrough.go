package proxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
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

// sniffLen is how much of a body is looked at to find HTML that does not say so, in bytes.
const sniffLen = 512

// modifyResponse looks at the head of the engine's answer before it is sent on.
func (p *passThrough) modifyResponse(res *http.Response) error {
	origin := res.Request.Header.Get("Origin")
	p.front.cors.learn(origin, corsHeaders(res.Header), time.Now())
	p.front.localLocation(res)
	if x, ok := proxyErrorPage(res); ok {
		p.replace(res, x)
		return nil
	}
	p.rec.engine = true
	if both, ok := res.Body.(io.ReadWriteCloser); ok && res.StatusCode == http.StatusSwitchingProtocols {
		res.Body = idleConn{both, p.idle}
	}
	return nil
}

// proxyErrorPage finds the error page that a proxy before the engine answers while the engine is away; every
// other status and every other body is the engine's word, and passes unchanged, 500 included (design 9).
func proxyErrorPage(res *http.Response) (apiError, bool) {
	var x apiError
	switch res.StatusCode {
	case http.StatusBadGateway:
		x = apiError{res.StatusCode, compat.CodeEngineBadAnswer, textBadAnswer}
	case http.StatusServiceUnavailable:
		x = apiError{res.StatusCode, compat.CodeEngineUnreachable, textUnreachable}
	case http.StatusGatewayTimeout:
		x = apiError{res.StatusCode, compat.CodeEngineTimeout, textTimeout}
	default:
		return x, false
	}
	return x, isHTML(res)
}

// isHTML believes the Content-Type, and without one looks at the first bytes, which it puts back.
func isHTML(res *http.Response) bool {
	if said := res.Header.Get("Content-Type"); said != "" {
		kind, _, _ := mime.ParseMediaType(said)
		return kind == "text/html" || kind == "application/xhtml+xml"
	}
	if res.Body == nil || res.Header.Get("Content-Encoding") != "" {
		return false
	}
	head := make([]byte, sniffLen)
	n, err := res.Body.Read(head)
	if err != nil && err != io.EOF {
		return false
	}
	rest := res.Body
	res.Body = readCloser{io.MultiReader(bytes.NewReader(head[:n]), rest), rest}
	return strings.HasPrefix(http.DetectContentType(head[:n]), "text/html")
}

// replace puts the documented error in the place of a body. Retry-After and the like stay.
func (p *passThrough) replace(res *http.Response, x apiError) {
	_ = res.Body.Close()
	p.rec.code = x.code
	body := compat.NewProblem(x.code, x.message, time.Now()).JSON()
	for _, name := range []string{"Content-Encoding", "Etag", "Last-Modified", "Accept-Ranges", "Content-Language", "Trailer"} {
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

// readCloser reads from one place and closes another.
type readCloser struct {
	io.Reader
	io.Closer
}

// streamWriter writes an answer that passes through: at once, as Gin does not, and with a deadline for
// every write, so that a client that stops reading does not hold the engine.
type streamWriter struct {
	gin.ResponseWriter
	conn *http.ResponseController
	idle *idle

	mu       sync.Mutex
	hijacked net.Conn
}

// WriteHeader sends the header now, so that Gin does not answer an empty 404 in the engine's place.
func (w *streamWriter) WriteHeader(status int) {
	if status < 200 && status != http.StatusSwitchingProtocols {
		recorderOf(w.ResponseWriter).WriteHeader(status) // Gin would take it for the final one
		return
	}
	w.ResponseWriter.WriteHeader(status)
	w.withWriteDeadline(w.ResponseWriter.WriteHeaderNow)
}

// Write sends a part of the body, and the head before it: what the engine has written, the client gets.
func (w *streamWriter) Write(p []byte) (n int, err error) {
	w.withWriteDeadline(func() {
		n, err = w.ResponseWriter.Write(p)
		w.ResponseWriter.Flush()
	})
	return n, err
}

// Flush sends what is buffered.
func (w *streamWriter) Flush() { w.withWriteDeadline(w.ResponseWriter.Flush) }

// withWriteDeadline waits for the client, within the idle bound.
func (w *streamWriter) withWriteDeadline(write func()) {
	w.idle.pause()
	defer w.idle.resume()
	_ = w.conn.SetWriteDeadline(time.Now().Add(w.idle.limit))
	write()
}

// Hijack hands over the connection of a websocket, and remembers it for closeHijacked.
func (w *streamWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := w.ResponseWriter.Hijack()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hijacked = conn
	return conn, rw, err
}

// closeHijacked ends a websocket whose client does not read any more.
func (w *streamWriter) closeHijacked() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.hijacked != nil {
		_ = w.hijacked.Close()
	}
}

// Unwrap is for [http.ResponseController].
func (w *streamWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// errIdle is the cause of a call to the engine that was given up because no byte came.
var errIdle = errors.New("no byte from the engine within the idle bound")

// idle ends something after a time without a byte from the engine. While the gate waits for the client
// instead, it is paused: that wait has a deadline of its own, so whoever stalls is the one who is named.
type idle struct {
	limit  time.Duration
	expire func()

	mu      sync.Mutex
	timer   *time.Timer
	paused  int
	stopped bool
}

// startIdle begins to count. The caller must stop it.
func startIdle(limit time.Duration, expire func()) *idle {
	return &idle{limit: limit, expire: expire, timer: time.AfterFunc(limit, expire)}
}

// touch says that a byte came.
func (i *idle) touch() { i.change(0) }

// pause says that it is the client's turn.
func (i *idle) pause() { i.change(+1) }

// resume says that the client's turn is over.
func (i *idle) resume() { i.change(-1) }

// stop ends the counting for good.
func (i *idle) stop() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.stopped = true
	i.timer.Stop()
}

func (i *idle) change(by int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.paused += by
	switch {
	case i.stopped:
	case i.paused > 0:
		i.timer.Stop()
	default:
		i.timer.Reset(i.limit)
	}
}

// idleConn is the engine's side of an upgraded connection: every byte counts as a sign of life, in either
// direction. An answer needs no such thing, because each of its bytes is written to the client, which counts.
type idleConn struct {
	io.ReadWriteCloser
	idle *idle
}

// Read reads what the engine sent.
func (b idleConn) Read(p []byte) (int, error) {
	n, err := b.ReadWriteCloser.Read(p)
	b.idle.touch()
	return n, err
}

// Write writes what the client sent.
func (b idleConn) Write(p []byte) (int, error) {
	n, err := b.ReadWriteCloser.Write(p)
	b.idle.touch()
	return n, err
}
