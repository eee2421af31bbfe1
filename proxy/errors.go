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

// apiError is an answer that the gate gives in its own name.
type apiError struct {
	status  int
	code    string // one of compat's, or codeBodyTime
	message string // a sentence that says what to do
}

// codeBodyTime is the code of a 408: the client stopped sending its body.
const codeBodyTime = "REQUEST_TIMEOUT"

// drainTime bounds how long the server waits for the unread rest of a body after the answer.
const drainTime = time.Second

// drainBytes bounds how much of it is read.
const drainBytes = 32 << 20

// writeError writes the documented error body. A status that invites another attempt says when.
func (f *Handler) writeError(w http.ResponseWriter, r *http.Request, x apiError) {
	rec := recorderOf(w)
	rec.code = x.code
	rec.closeConn = boundDrain(rec, r) || rec.closeConn
	body := compat.NewProblem(x.code, x.message, time.Now()).JSON()
	h := w.Header()
	h.Set("Content-Type", compat.ContentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if h.Get("Retry-After") == "" && (x.status == http.StatusServiceUnavailable || x.status == http.StatusGatewayTimeout) {
		h.Set("Retry-After", "5")
	}
	w.WriteHeader(x.status)
	_, _ = w.Write(body)
}

// boundDrain keeps a client that announced a body and does not send it from holding the connection: before
// it reads the next request, net/http waits for the rest without a bound of its own. It reports whether
// there is a rest. Without one no deadline may be set: net/http reads on to notice that the client leaves.
func boundDrain(rec *responseWriter, r *http.Request) bool {
	unread := r.ContentLength != 0 && (rec.body == nil || !rec.body.ended.Load())
	if !unread || rec.status == http.StatusSwitchingProtocols {
		return false
	}
	_ = http.NewResponseController(rec.ResponseWriter).SetReadDeadline(time.Now().Add(drainTime))
	return true
}

// drainBody reads on for a moment where an answer came before the end of a body. A connection closed with
// bytes unread is reset, and many clients then lose the answer that says why.
func drainBody(rec *responseWriter, r *http.Request) {
	if !boundDrain(rec, r) || r.Header.Get("Expect") != "" {
		return
	}
	rec.Flush()
	rest := r.Body
	if rec.body != nil {
		rest = rec.body.ReadCloser
	}
	_, _ = io.CopyN(io.Discard, rest, drainBytes)
}

const (
	textUnreachable = "The engine cannot be reached. Try again in a few seconds; if it stays so, whoever runs the engine must look whether it is up."
	textTimeout     = "The engine took the request and did not answer in time. Try again; ask for the state first if the call changes something."
	textBadAnswer   = "The engine's answer could not be understood: it broke off, or is not the API's. Try again; ask for the state first if the call changes something."
)

// handleError answers when the engine did not.
func (p *passThrough) handleError(w http.ResponseWriter, r *http.Request, err error) {
	client := p.rec.body.failure()
	cause := context.Cause(p.ctx)
	// Every failed read of the client's body ends the request's context too, so the body speaks first.
	gone := isClientDisconnect(client) || client == nil && r.Context().Err() != nil && !errors.Is(cause, errIdle)
	if gone || p.rec.status != 0 {
		p.rec.failed = gone
		panic(http.ErrAbortHandler) // nobody is there to read an answer, or it is too late for one
	}
	p.front.writeError(w, r, classifyError(err, client, cause))
}

// isClientDisconnect reports whether the client closed its connection in the midst of its body.
func isClientDisconnect(client error) bool {
	var broken *net.OpError
	return errors.Is(client, io.ErrUnexpectedEOF) || errors.As(client, &broken) && !broken.Timeout()
}

// classifyError names a failed call. err is the transport's, client is why the client's body could not be read,
// cause is why the call was given up; each may be nil.
func classifyError(err, client, cause error) apiError {
	var dial *net.OpError
	var timed net.Error
	switch {
	case client != nil:
		return bodyFailure(client)
	case errors.Is(cause, errIdle):
		return apiError{http.StatusGatewayTimeout, compat.CodeEngineTimeout, textTimeout}
	case errors.As(err, &dial) && dial.Op == "dial":
		return apiError{http.StatusServiceUnavailable, compat.CodeEngineUnreachable, textUnreachable}
	case errors.As(err, &timed) && timed.Timeout():
		return apiError{http.StatusGatewayTimeout, compat.CodeEngineTimeout, textTimeout}
	}
	return apiError{http.StatusBadGateway, compat.CodeEngineBadAnswer, textBadAnswer}
}
