package proxy

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
)

// errTooLarge means that a body without an announced length exceeded its limit.
var errTooLarge = errors.New("the body is larger than allowed")

// requestBody counts the bytes of a request body and limits its size and its pauses.
type requestBody struct {
	io.ReadCloser
	conn    *http.ResponseController
	read    atomic.Int64
	atEnd   atomic.Bool
	maxSize int64      // bytes; 0: unlimited
	idle    *idleTimer // nil: the connection's own deadline applies

	mu  sync.Mutex
	err error // the first error except io.EOF
}

// Read reads from the client and remembers why it could not.
func (b *requestBody) Read(p []byte) (int, error) {
	if b.atEnd.Load() {
		return 0, io.EOF // a deadline set now would end the read by which net/http notices that the client left
	}
	if b.idle != nil {
		b.idle.pause()
		defer b.idle.resume()
		_ = b.conn.SetReadDeadline(time.Now().Add(b.idle.timeout)) // net/http removes it after the last byte
	}
	n, err := b.ReadCloser.Read(p)
	if total := b.read.Add(int64(n)); b.maxSize > 0 && total > b.maxSize {
		n, err = 0, errTooLarge // the engine must not take the first part for the complete body
	}
	if err == io.EOF {
		b.atEnd.Store(true)
	} else if err != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.err == nil {
			b.err = err
		}
	}
	return n, err
}

// failure is why the client's body could not be read; nil if it could, or if there is none.
func (b *requestBody) failure() error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// count is the number of bytes read.
func (b *requestBody) count() int64 {
	if b == nil {
		return 0
	}
	return b.read.Load()
}

// isReadTimeout reports whether the client stopped sending.
func isReadTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// bufferBody reads the body of a session request before the handler waits for anything: net/http notices that a client
// has left only after the whole body was read.
func (h *Handler) bufferBody(c *gin.Context) {
	w := writerOf(c.Writer)
	if w.body == nil {
		return
	}
	w.body.maxSize = h.config.limits.sessionBody
	deadline := time.Now().Add(h.config.limits.sessionBodyTimeout)
	_ = w.conn.SetReadDeadline(deadline) // net/http removes it after the last byte
	body, err := io.ReadAll(w.body)
	if err != nil {
		w.closeConn = true
		w.writeError(bodyError(err))
		c.Abort()
		return
	}
	c.Request.Body = io.NopCloser(bytes.NewReader(body))
	c.Request.ContentLength = int64(len(body))
	c.Request.TransferEncoding = nil
}

const (
	drainTimeout = time.Second // for the unread rest of a body after the response
	drainSize    = 32 << 20    // bytes of it that are read
)

// boundDrain bounds how long a client that announced a body and does not send it holds the connection: net/http waits
// for the rest without a limit before it reads the next request. It reports whether there is a rest. Without one it
// sets no deadline, because net/http reads on to notice that the client leaves.
func (w *responseWriter) boundDrain() bool {
	unread := w.request.ContentLength != 0 && (w.body == nil || !w.body.atEnd.Load())
	if !unread || w.status == http.StatusSwitchingProtocols {
		return false
	}
	_ = w.conn.SetReadDeadline(time.Now().Add(drainTimeout))
	return true
}

// drainBody reads the rest of a body after the response: closing a connection with unread bytes resets it, and then
// many clients lose the response.
func (w *responseWriter) drainBody() {
	if !w.boundDrain() || w.request.Header.Get("Expect") != "" {
		return
	}
	w.Flush()
	rest := w.request.Body
	if w.body != nil {
		rest = w.body.ReadCloser
	}
	_, _ = io.CopyN(io.Discard, rest, drainSize)
}
