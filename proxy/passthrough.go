package proxy

import (
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

	"qrgate/compat"
)

// headerFlushDelay lets one packet carry a response's header and the first bytes of its body.
const headerFlushDelay = 5 * time.Millisecond

// passThrough streams the request to the engine and the response back. It buffers nothing, sends nothing twice, and
// ends when the client leaves or no byte moves for the idle timeout.
func (w *responseWriter) passThrough() {
	h := w.handler
	if w.replyPreflight() {
		return
	}
	switch hops := w.request.Header["Max-Forwards"]; {
	case h.config.Engine == nil:
		w.reply(problem(http.StatusNotFound, compat.CodeNotFound, textNoEngine))
		return
	case w.request.Method == http.MethodOptions && len(hops) == 1: // RFC 9110, 7.6.2
		n, err := strconv.ParseUint(hops[0], 10, 31)
		if err == nil && n == 0 {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		if err == nil {
			w.request.Header = w.request.Header.Clone()
			w.request.Header.Set("Max-Forwards", strconv.FormatUint(n-1, 10))
		}
	}
	w.idle = startIdleTimer(w.request.Context(), h.config.limits.idleTimeout)
	defer w.idle.stop()
	w.body.maxSize, w.body.idle = h.config.limits.passThroughBody, w.idle
	reverse := httputil.ReverseProxy{
		Rewrite:        w.rewrite,
		Transport:      h.config.Transport,
		FlushInterval:  headerFlushDelay,
		BufferPool:     &h.buffers,
		ErrorLog:       h.discardLog,
		ModifyResponse: w.modifyResponse,
		ErrorHandler:   w.handleError,
	}
	reverse.ServeHTTP(w, w.request.WithContext(w.idle.ctx))
}

// bufferPool is the [httputil.BufferPool] of the response bodies.
type bufferPool struct{ pool sync.Pool }

// Get implements [httputil.BufferPool].
func (b *bufferPool) Get() []byte { return b.pool.Get().(*[32 << 10]byte)[:] }

// Put implements [httputil.BufferPool].
func (b *bufferPool) Put(p []byte) { b.pool.Put((*[32 << 10]byte)(p)) }

// errorPage is the error of a response of the engine that another response replaces: it is the page of a proxy in front
// of the engine, or redirects the client to the same request.
type errorPage struct{ ownResponse }

// Error implements error.
func (errorPage) Error() string { return "a response that is replaced" }

// modifyResponse checks the header of the engine's response before it is sent.
func (w *responseWriter) modifyResponse(res *http.Response) error {
	w.handler.recordCORS(res.Request.Header.Get("Origin"), res.Header)
	if w.handler.rewriteLocations(res) {
		return errorPage{problem(http.StatusServiceUnavailable, compat.CodeEngineUnreachable, textEngineScheme)}
	}
	isText := !strings.Contains(res.Header.Get("Content-Type"), "json")
	if res.StatusCode == http.StatusBadRequest && isText && compat.ExpectsHTTPS(res.StatusCode, peek(res)) {
		return errorPage{unreachable(compat.ReasonHTTPS)}
	}
	if page, ok := proxyErrors[res.StatusCode]; ok && isHTML(res) {
		page.header = res.Header
		page.header.Del("Content-Language")
		return errorPage{page}
	}
	w.fromEngine = true
	if len(res.Header["Content-Type"]) == 0 {
		w.Header()["Content-Type"] = nil // net/http must not guess one
	}
	if conn, ok := res.Body.(io.ReadWriteCloser); ok && res.StatusCode == http.StatusSwitchingProtocols {
		res.Body = idleConn{conn, w.idle}
	}
	return nil
}

// proxyErrors replace the error pages of a proxy in front of the engine while the engine is down.
var proxyErrors = map[int]ownResponse{
	http.StatusBadGateway:         problem(http.StatusBadGateway, compat.CodeEngineBadAnswer, textBadAnswer),
	http.StatusServiceUnavailable: problem(http.StatusServiceUnavailable, compat.CodeEngineUnreachable, textUnreachable),
	http.StatusGatewayTimeout:     problem(http.StatusGatewayTimeout, compat.CodeEngineTimeout, textTimeout),
}

// unreachable is the response where the engine cannot be reached for a reason.
func unreachable(reason string) ownResponse {
	r := proxyErrors[http.StatusServiceUnavailable]
	r.reason = reason
	return r
}

// isHTML decides by the Content-Type, and without one by the first bytes, which stay in the body.
func isHTML(res *http.Response) bool {
	if contentType := res.Header.Get("Content-Type"); contentType != "" {
		kind, _, _ := mime.ParseMediaType(contentType)
		return kind == "text/html" || kind == "application/xhtml+xml"
	}
	return strings.HasPrefix(http.DetectContentType(peek(res)), "text/html")
}

// peek returns the first bytes of a response's body, which stay in it.
func peek(res *http.Response) []byte {
	if res.Header.Get("Content-Encoding") != "" {
		return nil
	}
	head := make([]byte, 512)
	n, err := res.Body.Read(head)
	if err != nil && err != io.EOF {
		return nil
	}
	res.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head[:n]), res.Body), res.Body}
	return head[:n]
}

func (w *responseWriter) handleError(_ http.ResponseWriter, r *http.Request, err error) {
	if page, ok := errors.AsType[errorPage](err); ok {
		w.reply(page.ownResponse)
		return
	}
	client, cause := w.body.failure(), context.Cause(r.Context())
	// Every failed read of the client's body ends the request's context too, so the body's error decides first.
	gone := isClientDisconnect(client) || client == nil && r.Context().Err() != nil && !errors.Is(cause, errIdle)
	if gone || w.status != 0 {
		w.writeFailed = gone
		panic(http.ErrAbortHandler) // the client has left, or has the beginning of another response
	}
	w.reply(transportProblem(err, client, cause))
}

// isClientDisconnect reports whether the client closed its connection while it sent its body.
func isClientDisconnect(client error) bool {
	op, ok := errors.AsType[*net.OpError](client)
	return errors.Is(client, io.ErrUnexpectedEOF) || ok && !op.Timeout()
}

// transportProblem is the response to a failed call. err is the transport's; client is why the client's body could not
// be read, and cause why qrgate canceled the call; both may be nil.
func transportProblem(err, client, cause error) ownResponse {
	f := compat.ClassifyTransportError(err)
	isIdle := errors.Is(cause, errIdle)
	switch {
	case client != nil:
		return bodyProblem(client)
	case !isIdle && (f.IsNotConnected() || f.Class == compat.TransportTLS || f.Reason == compat.ReasonHTTPS):
		return unreachable(f.Reason)
	case isIdle, f.Timeout:
		return proxyErrors[http.StatusGatewayTimeout]
	}
	return proxyErrors[http.StatusBadGateway]
}

// errIdle is the cause of a canceled call to the engine that had no byte for the idle timeout.
var errIdle = errors.New("no byte from the engine within the idle timeout")

// idleTimer cancels a call to the engine, with errIdle, after a time without a byte in either direction.
type idleTimer struct {
	ctx     context.Context // of the call
	cancel  context.CancelCauseFunc
	timeout time.Duration
	timer   *time.Timer
}

func startIdleTimer(ctx context.Context, timeout time.Duration) *idleTimer {
	i := &idleTimer{timeout: timeout}
	i.ctx, i.cancel = context.WithCancelCause(ctx)
	i.timer = time.AfterFunc(timeout, func() { i.cancel(errIdle) })
	return i
}

func (i *idleTimer) reset() { i.timer.Reset(i.timeout) }

func (i *idleTimer) stop() {
	i.timer.Stop()
	i.cancel(nil)
}

// clientDeadline is when a read from the client, or a write to it, that begins now must end: before the timer, so that
// the error names the side that stalls.
func (i *idleTimer) clientDeadline() time.Time { return time.Now().Add(i.timeout * 9 / 10) }

// idleConn is the engine's side of an upgraded connection: a byte in either direction resets the timer.
type idleConn struct {
	io.ReadWriteCloser
	idle *idleTimer
}

// Read reads what the engine sent.
func (c idleConn) Read(p []byte) (int, error) {
	defer c.idle.reset()
	return c.ReadWriteCloser.Read(p)
}

// Write writes what the client sent.
func (c idleConn) Write(p []byte) (int, error) {
	defer c.idle.reset()
	return c.ReadWriteCloser.Write(p)
}
