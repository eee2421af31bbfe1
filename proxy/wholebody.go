package proxy

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"qrgate/compat"
)

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
