package breaker

import (
	"errors"
	"net"
)

// errInconclusive is the verdict on a call that says nothing about whether the engine is there.
var errInconclusive = errors.New("the call says nothing about the engine")

// verdict is what the end of a call says about the engine, if no new connection was had before: nil that it is
// there, errInconclusive nothing, anything else that no connection could be opened. given is whether the caller had
// given the call up, which ends a dial as well and is nobody's failure.
func verdict(err error, given bool) error {
	switch {
	case err == nil:
		return nil
	case !given && dialFailed(err):
		return err
	}
	return errInconclusive
}

// dialFailed reports whether a call failed for want of a connection. A time-out before there is a connection is
// one of the dial or of the TLS handshake; what else can fail then is the request itself, which is the
// caller's doing and must not close the engine to others.
func dialFailed(err error) bool {
	if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Op == "dial" {
		return true
	}
	timed, ok := errors.AsType[net.Error](err)
	return ok && timed.Timeout()
}
