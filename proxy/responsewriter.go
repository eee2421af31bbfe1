package proxy

import (
	"bufio"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// responseWriter is one request on its way through qrgate: the copy of the request that handlers may change, the writer
// of its response, and what the access log needs to know of both. Gin wraps it, but no handler writes through Gin.
//
// It adds to every response what qrgate owes: the request id, and Access-Control-* where qrgate itself responds.
type responseWriter struct {
	http.ResponseWriter
	handler   *Handler
	conn      *http.ResponseController
	startedAt time.Time

	request   http.Request // handlers must not change the server's own
	url       url.URL      // of request
	requestID string
	traffic   session.TrafficClass
	body      *requestBody // nil without one

	route      string // see session.RequestLog
	session    string // see session.RequestLog
	code       string // see session.RequestLog
	status     int    // 0 before the final status is written
	bytes      int64
	fromEngine bool // the response has the engine's headers
	closeConn  bool // the connection ends with this response
	clientGone bool // the client had left when its response began

	writeFailed bool

	idle     *idleTimer // set while the request passes through: then every write is flushed and has a deadline
	mu       sync.Mutex
	hijacked net.Conn // guarded by mu
}

func (h *Handler) newResponseWriter(w http.ResponseWriter, r *http.Request) *responseWriter {
	rw := &responseWriter{ResponseWriter: w, handler: h, startedAt: time.Now(), request: *r}
	rw.conn = http.NewResponseController(w)
	rw.requestID = requestIDOf(r.Header)
	rw.traffic = h.config.TrafficClass(secret.NewSecret(r.Header.Get("X-Api-Key")))
	return rw
}

// writerOf finds the responseWriter below the writers that Gin and httputil wrap around it.
func writerOf(w http.ResponseWriter) *responseWriter {
	for {
		switch v := w.(type) {
		case *responseWriter:
			return v
		case interface{ Unwrap() http.ResponseWriter }:
			w = v.Unwrap()
		default:
			return nil
		}
	}
}

// WriteHeader sends a status: informational ones as they are, and the first final one with the headers that every
// response has. Gin sends a second final one when a handler ends, which is dropped.
func (w *responseWriter) WriteHeader(status int) {
	switch {
	case w.status != 0:
		return
	case status < 200 && status != http.StatusSwitchingProtocols:
		w.ResponseWriter.WriteHeader(status)
		return
	}
	w.status = status
	w.setFinalHeaders()
	w.withWriteDeadline(func() error {
		w.ResponseWriter.WriteHeader(status)
		return nil
	})
}

// setFinalHeaders sets the headers that every final response has.
func (w *responseWriter) setFinalHeaders() {
	w.clientGone = w.request.Context().Err() != nil
	h := w.Header()
	h[headerRequestID] = []string{w.requestID}
	if w.closeConn {
		h.Set("Connection", "close")
	}
	if !w.fromEngine {
		w.handler.applyCORS(&w.request, h)
	}
}

// Write sends a part of the body; at once if the request passes through.
func (w *responseWriter) Write(p []byte) (n int, err error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	w.withWriteDeadline(func() error {
		if n, err = w.ResponseWriter.Write(p); err == nil && w.idle != nil {
			return w.conn.Flush()
		}
		return err
	})
	w.bytes += int64(n)
	return n, err
}

// FlushError sends what is buffered. It is what [http.ResponseController] calls.
func (w *responseWriter) FlushError() (err error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	w.withWriteDeadline(func() error {
		err = w.conn.Flush()
		return err
	})
	return err
}

// Flush implements [http.Flusher].
func (w *responseWriter) Flush() { _ = w.FlushError() }

// withWriteDeadline lets a client that does not read block write no longer than the idle timeout.
func (w *responseWriter) withWriteDeadline(write func() error) {
	if w.idle != nil {
		w.idle.pause()
		defer w.idle.resume()
		_ = w.conn.SetWriteDeadline(time.Now().Add(w.idle.timeout))
	}
	if write() != nil {
		w.writeFailed = true
	}
}

// Hijack hands over the connection of a websocket; the response counts as 101.
func (w *responseWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := w.conn.Hijack()
	if err == nil {
		w.status = http.StatusSwitchingProtocols
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hijacked = conn
	return conn, rw, err
}

// closeHijacked ends a websocket whose client does not read any more.
func (w *responseWriter) closeHijacked() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.hijacked != nil {
		_ = w.hijacked.Close()
	}
}

// Unwrap is for [http.ResponseController].
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
