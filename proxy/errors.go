package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"qrgate/compat"
)

// apiError is an error that qrgate itself responds with.
type apiError struct {
	status  int
	code    string // one of compat's, or codeBodyTimeout
	message string // a sentence that tells the client what to do
}

// codeBodyTimeout is the code of a 408: the client stopped sending its body.
const codeBodyTimeout = "REQUEST_TIMEOUT"

const (
	textUnreachable = "The engine is unreachable. Retry in a few seconds. " +
		"If this continues, the engine's operator should check that it is running."
	textTimeout = "The engine accepted the request and did not respond in time. " +
		"Retry; if the call changes something, read the state first."
	textBadAnswer = "The engine's response was truncated or is not a response of its API. " +
		"Retry; if the call changes something, read the state first."
	textBodyTimeout = "The request body did not arrive in time. Send it again without a pause."
	textBodyBroken  = "The request body could not be read to its end. Check its length and send it again."
)

// writeError writes the documented error body, with Retry-After where a retry may help.
func (w *responseWriter) writeError(x apiError) {
	w.code = x.code
	w.closeConn = w.boundDrain() || w.closeConn
	body := compat.NewProblem(x.code, x.message, time.Now()).JSON()
	h := w.Header()
	h.Set("Content-Type", compat.ContentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	retry := x.status == http.StatusServiceUnavailable || x.status == http.StatusGatewayTimeout
	if retry && h.Get("Retry-After") == "" {
		h.Set("Retry-After", "5")
	}
	w.WriteHeader(x.status)
	_, _ = w.Write(body)
}

// bodyError is the response to a body that could not be read.
func bodyError(err error) apiError {
	switch {
	case errors.Is(err, errTooLarge):
		return apiError{http.StatusRequestEntityTooLarge, compat.CodePayloadTooLarge, textTooLarge}
	case isReadTimeout(err):
		return apiError{http.StatusRequestTimeout, codeBodyTimeout, textBodyTimeout}
	}
	return apiError{http.StatusBadRequest, compat.CodeValidationError, textBodyBroken}
}

// handleError responds when the engine did not.
func (p *passThrough) handleError(_ http.ResponseWriter, r *http.Request, err error) {
	client := p.w.body.failure()
	cause := context.Cause(p.ctx)
	// Every failed read of the client's body ends the request's context too, so the body's error decides first.
	gone := isClientDisconnect(client) || client == nil && r.Context().Err() != nil && !errors.Is(cause, errIdle)
	if gone || p.w.status != 0 {
		p.w.writeFailed = gone
		panic(http.ErrAbortHandler) // the client has left, or has the beginning of another response
	}
	p.w.writeError(classifyError(err, client, cause))
}

// isClientDisconnect reports whether the client closed its connection while it sent its body.
func isClientDisconnect(client error) bool {
	var op *net.OpError
	return errors.Is(client, io.ErrUnexpectedEOF) || errors.As(client, &op) && !op.Timeout()
}

// classifyError is the response to a failed call. err is the transport's; client is why the client's body could not be
// read, and cause why qrgate canceled the call; both may be nil.
func classifyError(err, client, cause error) apiError {
	f := compat.ClassifyTransportError(err)
	switch {
	case client != nil:
		return bodyError(client)
	case errors.Is(cause, errIdle):
		return apiError{http.StatusGatewayTimeout, compat.CodeEngineTimeout, textTimeout}
	case f.IsNotConnected():
		return apiError{http.StatusServiceUnavailable, compat.CodeEngineUnreachable, textUnreachable}
	case f.Timeout:
		return apiError{http.StatusGatewayTimeout, compat.CodeEngineTimeout, textTimeout}
	}
	return apiError{http.StatusBadGateway, compat.CodeEngineBadAnswer, textBadAnswer}
}
