package proxy

import (
	"bufio"
	"net"
	"net/http"
)

// responseWriter is the writer of one answer. It remembers what was written, and puts on every answer what the
// gate owes: the request id, and Access-Control-* where the gate speaks in the engine's place.
type responseWriter struct {
	http.ResponseWriter
	front *Handler
	r     *http.Request

	route      string       // set by the gate
	session    string       // on a session route: by the client's own id, or as the client wrote it
	body       *requestBody // nil without one
	status     int          // 0 before the final status is written
	bytes      int64
	code       string // of the gate's own error
	engine     bool   // the answer is the engine's, with the engine's headers
	closeConn  bool   // the connection ends with this answer
	failed     bool   // a write to the client failed
	clientGone bool   // the client had gone when its answer began
}

// record makes the writer for one request.
func (f *Handler) record(w http.ResponseWriter, r *http.Request) *responseWriter {
	return &responseWriter{ResponseWriter: w, front: f, r: r, route: Unmatched}
}

// recorderOf finds the recorder below the writers that Gin and others put around it; nil if there is none.
func recorderOf(w http.ResponseWriter) *responseWriter {
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

// WriteHeader sends the status; informational ones pass as they are.
func (w *responseWriter) WriteHeader(status int) {
	if status >= 200 && w.status == 0 {
		w.status = status
		w.setFinalHeaders()
	}
	w.ResponseWriter.WriteHeader(status)
}

// setFinalHeaders sets the headers that every final answer has.
func (w *responseWriter) setFinalHeaders() {
	w.clientGone = w.r.Context().Err() != nil
	h := w.Header()
	h.Set(headerRequestID, w.r.Header.Get(headerRequestID))
	if w.closeConn {
		h.Set("Connection", "close")
	}
	if !w.engine {
		w.front.applyCORS(w.r, h)
	}
}

// Write sends a part of the body.
func (w *responseWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	w.failed = w.failed || err != nil
	return n, err
}

// Flush sends what is buffered.
func (w *responseWriter) Flush() {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if err := http.NewResponseController(w.ResponseWriter).Flush(); err != nil {
		w.failed = true
	}
}

// Hijack hands the connection over; the answer counts as 101.
func (w *responseWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.status = http.StatusSwitchingProtocols
	}
	return conn, rw, err
}

// Unwrap is for [http.ResponseController].
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
