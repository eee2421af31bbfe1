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

// fail answers when the engine did not.
func (p *passage) fail(w http.ResponseWriter, r *http.Request, err error) {
	client := p.rec.body.failure()
	cause := context.Cause(p.ctx)
	// Every failed read of the client's body ends the request's context too, so the body speaks first.
	gone := leftInBody(client) || client == nil && r.Context().Err() != nil && !errors.Is(cause, errIdle)
	if gone || p.rec.status != 0 {
		p.rec.failed = gone
		panic(http.ErrAbortHandler) // nobody is there to read an answer, or it is too late for one
	}
	p.front.refuse(w, r, whyFailed(err, client, cause))
}

// leftInBody reports whether the client closed its connection in the midst of its body.
func leftInBody(client error) bool {
	var broken *net.OpError
	return errors.Is(client, io.ErrUnexpectedEOF) || errors.As(client, &broken) && !broken.Timeout()
}

// whyFailed names a failed call. err is the transport's, client is why the client's body could not be read,
// cause is why the call was given up; each may be nil.
func whyFailed(err, client, cause error) failure {
	var dial *net.OpError
	var timed net.Error
	switch {
	case client != nil:
		return bodyFailure(client)
	case errors.Is(cause, errIdle):
		return failure{http.StatusGatewayTimeout, compat.CodeEngineTimeout, textTimeout}
	case errors.As(err, &dial) && dial.Op == "dial":
		return failure{http.StatusServiceUnavailable, compat.CodeEngineUnreachable, textUnreachable}
	case errors.As(err, &timed) && timed.Timeout():
		return failure{http.StatusGatewayTimeout, compat.CodeEngineTimeout, textTimeout}
	}
	return failure{http.StatusBadGateway, compat.CodeEngineBadAnswer, textBadAnswer}
}
