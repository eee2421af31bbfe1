package proxy

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"
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

	firstErr atomic.Pointer[error] // except io.EOF
}

// Read reads from the client and remembers why it could not.
func (b *requestBody) Read(p []byte) (int, error) {
	if b.atEnd.Load() {
		return 0, io.EOF // a deadline set now would end the read by which net/http notices that the client left
	}
	if b.idle != nil {
		b.idle.reset()
		defer b.idle.reset()
		_ = b.conn.SetReadDeadline(b.idle.clientDeadline()) // net/http removes it after the last byte
	}
	n, err := b.ReadCloser.Read(p)
	if total := b.read.Add(int64(n)); b.maxSize > 0 && total > b.maxSize {
		n, err = 0, errTooLarge // the engine must not take the first part for the complete body
	}
	if err == io.EOF {
		b.atEnd.Store(true)
	} else if err != nil {
		b.firstErr.CompareAndSwap(nil, &err)
	}
	return n, err
}

func (b *requestBody) failure() error {
	if err := b.firstErr.Load(); err != nil {
		return *err
	}
	return nil
}

func isReadTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// bufferBody reads the body of a request before its handler waits for anything: net/http notices that a client has left
// only after the whole body was read. If it cannot, it responds and reports false.
func (w *responseWriter) bufferBody() bool {
	if w.body.ReadCloser == nil {
		return true
	}
	limits := w.handler.config.limits
	w.body.maxSize = limits.sessionBody
	// net/http removes the deadline after the last byte.
	_ = w.conn.SetReadDeadline(time.Now().Add(limits.sessionBodyTimeout))
	body, err := io.ReadAll(&w.body)
	if err != nil {
		w.closeConn = true
		w.reply(bodyProblem(err))
		return false
	}
	w.request.TransferEncoding = nil
	w.setBody(body)
	return true
}

func (w *responseWriter) setBody(body []byte) {
	w.buffered = body
	w.request.Body, w.request.ContentLength = http.NoBody, int64(len(body))
	if len(body) > 0 {
		w.request.Body = io.NopCloser(bytes.NewReader(body))
	}
}

const (
	drainTimeout = time.Second // for the unread rest of a body after the response
	drainSize    = 32 << 20    // bytes of it that are read
)

// boundDrain bounds how long net/http waits for the rest of a body before it reads the next request, and reports
// whether there is a rest. Without one it sets no deadline: net/http reads on to notice that the client leaves.
func (w *responseWriter) boundDrain() bool {
	if w.request.ContentLength == 0 || w.body.atEnd.Load() || w.status == http.StatusSwitchingProtocols {
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
	_ = w.FlushError()
	rest := w.request.Body
	if w.body.ReadCloser != nil {
		rest = w.body.ReadCloser
	}
	_, _ = io.CopyN(io.Discard, rest, drainSize)
}
