package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"

	"qrgate/compat"
)

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
