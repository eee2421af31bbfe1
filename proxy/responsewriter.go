package proxy

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"net/url"
	"time"

	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// responseWriter is one request: a copy of it that handlers may change, the writer of its response, and what the access
// log needs of both. It adds the request id to every response, and Access-Control-* where qrgate itself responds.
type responseWriter struct {
	http.ResponseWriter
	handler   *Handler
	conn      *http.ResponseController
	startedAt time.Time

	request   http.Request
	url       url.URL // of request
	requestID string
	traffic   session.TrafficClass
	body      requestBody // without a reader if there is none
	buffered  []byte      // the body's bytes on a session route

	// See session.RequestLog.
	route, session, code string
	status               int // 0 before the final status is written
	bytes                int64

	fromEngine  bool // the response has the engine's headers
	closeConn   bool // the connection ends with this response
	clientGone  bool // the client had left when its response began
	writeFailed bool
	repeated    bool // see session.RequestLog

	idle *idleTimer // set while the request passes through: then every write is flushed and has a deadline
}

func (h *Handler) newResponseWriter(w http.ResponseWriter, r *http.Request) *responseWriter {
	rw := &responseWriter{ResponseWriter: w, handler: h, startedAt: time.Now(), request: *r}
	rw.conn = http.NewResponseController(w)
	rw.requestID = requestIDOf(r.Header)
	rw.traffic = h.config.TrafficClass(secret.NewSecret(r.Header.Get("X-Api-Key")))
	return rw
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
	w.clientGone = w.request.Context().Err() != nil
	h := w.Header()
	h[headerRequestID] = []string{w.requestID}
	if w.closeConn {
		h.Set("Connection", "close")
	}
	if !w.fromEngine || len(*w.handler.corsOrigins.Load()) > 0 {
		w.handler.applyCORS(&w.request, h)
	}
	w.withWriteDeadline(func() error {
		w.ResponseWriter.WriteHeader(status)
		return nil
	})
}

// Write sends a part of the body; at once if the request passes through.
func (w *responseWriter) Write(p []byte) (n int, err error) {
	w.WriteHeader(http.StatusOK) // unless one was sent
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
	w.WriteHeader(http.StatusOK) // unless one was sent
	w.withWriteDeadline(func() error {
		err = w.conn.Flush()
		return err
	})
	return err
}

// withWriteDeadline ends a write to a client that does not read.
func (w *responseWriter) withWriteDeadline(write func() error) {
	if w.idle != nil {
		w.idle.reset()
		defer w.idle.reset()
		_ = w.conn.SetWriteDeadline(w.idle.clientDeadline())
	}
	if write() != nil {
		w.writeFailed = true
	}
}

// Hijack hands over the connection of a websocket; the response counts as 101. It is closed with the call to the
// engine, even if the client does not read any more.
func (w *responseWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := w.conn.Hijack()
	if err == nil {
		w.status = http.StatusSwitchingProtocols
		context.AfterFunc(w.idle.ctx, func() { _ = conn.Close() })
	}
	return conn, rw, err
}

// Unwrap is for [http.ResponseController].
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
