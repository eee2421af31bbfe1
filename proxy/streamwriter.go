package proxy

import (
	"bufio"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
)

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
