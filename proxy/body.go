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

	"qrgate/compat"
)

// errTooLarge says that a body without an announced length went beyond its bound.
var errTooLarge = errors.New("the body is larger than allowed")

// requestBody is the body of a request: counted, and, once bounded, limited in size and in silence.
type requestBody struct {
	io.ReadCloser
	conn  *http.ResponseController
	read  atomic.Int64
	ended atomic.Bool // nothing is left to read

	limit int64 // bytes; 0: none
	idle  *idle // nil: the connection's own deadline stands

	mu  sync.Mutex
	err error // the first error but io.EOF
}

// Read reads from the client and remembers why it could not.
func (b *requestBody) Read(p []byte) (int, error) {
	if b.ended.Load() {
		return 0, io.EOF // a deadline set now would end what net/http reads on, to notice that the client leaves
	}
	if b.idle != nil {
		b.idle.pause() // it is the client's turn; net/http lifts the deadline after the last byte
		_ = b.conn.SetReadDeadline(time.Now().Add(b.idle.limit))
		defer b.idle.resume()
	}
	n, err := b.ReadCloser.Read(p)
	if total := b.read.Add(int64(n)); b.limit > 0 && total > b.limit {
		n, err = 0, errTooLarge // the engine must not take the beginning for the whole
	}
	if err == io.EOF {
		b.ended.Store(true)
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

// isReadTimeout reports whether the client stopped sending.
func isReadTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// count is how many bytes were read.
func (b *requestBody) count() int64 {
	if b == nil {
		return 0
	}
	return b.read.Load()
}

const (
	textBodyTime   = "The body of the request did not arrive in time. Send it again, at once and whole."
	textBodyBroken = "The body of the request could not be read to its end. Send it again, and check its length."
)

// bufferBody reads the body of a session request before anything waits: net/http notices that a client has
// left only when nothing of its body is unread. The handlers find it in memory.
func (f *Handler) bufferBody(c *gin.Context) {
	rec := recorderOf(c.Writer)
	if rec.body == nil {
		return
	}
	rec.body.limit = f.config.SessionBody
	_ = rec.body.conn.SetReadDeadline(time.Now().Add(f.config.SessionBodyTime))
	body, err := io.ReadAll(rec.body) // after the last byte net/http lifts the deadline
	if err != nil {
		rec.closeConn = true
		f.writeError(c.Writer, c.Request, bodyFailure(err))
		c.Abort()
		return
	}
	c.Request.Body = io.NopCloser(bytes.NewReader(body))
	c.Request.ContentLength = int64(len(body))
	c.Request.TransferEncoding = nil
}

// bodyFailure says what is wrong with a body that could not be read.
func bodyFailure(err error) apiError {
	switch {
	case errors.Is(err, errTooLarge):
		return apiError{http.StatusRequestEntityTooLarge, compat.CodePayloadTooLarge, textTooLarge}
	case isReadTimeout(err):
		return apiError{http.StatusRequestTimeout, codeBodyTime, textBodyTime}
	}
	return apiError{http.StatusBadRequest, compat.CodeValidationError, textBodyBroken}
}
