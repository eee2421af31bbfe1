package compat

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"

	"qrgate/internal/session"
)

// TransportError is the fault of a call to op that brought no answer: the gate gave it up (ctx was cancelled), there was no
// connection, or nothing came in time. A dial that took too long is no connection.
func TransportError(ctx context.Context, op string, err error) *session.EngineError {
	f := &session.EngineError{Op: op, Kind: session.KindUnreachable, Reason: TransportReason(err), Err: err}
	dial, isOp := errors.AsType[*net.OpError](err)
	timed, ok := errors.AsType[net.Error](err)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		f.Kind = session.KindCanceled
	case isOp && dial.Op == "dial":
	case errors.Is(ctx.Err(), context.DeadlineExceeded), ok && timed.Timeout():
		f.Kind = session.KindTimeout
	}
	return f
}

// TransportReason says why a call over HTTP got no answer, in words of a closed list; "" for an error that it does not
// know. The error's own text may hold an address or what a stranger sent, and goes nowhere.
func TransportReason(err error) string {
	for _, known := range []func(error) string{dnsReason, tlsReason, protocolReason, connectReason} {
		if why := known(err); why != "" {
			return why
		}
	}
	timed, ok := errors.AsType[net.Error](err)
	switch {
	case ok && timed.Timeout():
		return "no answer in time"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return "the connection was closed before an answer"
	}
	return ""
}

// dnsReason: there is no address to dial.
func dnsReason(err error) string {
	dns, ok := errors.AsType[*net.DNSError](err)
	switch {
	case ok && dns.IsNotFound:
		return "no such host"
	case ok:
		return "its name cannot be resolved"
	}
	return ""
}

// tlsReason: TLS ended at somebody who may be somebody else.
func tlsReason(err error) string {
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "its certificate is for another name"
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return "its certificate has expired"
	}
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, other := errors.AsType[*tls.CertificateVerificationError](err)
	if unknown || other {
		return "its certificate is not trusted"
	}
	return ""
}

// protocolReason: one side speaks TLS and the other does not.
func protocolReason(err error) string {
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || errors.Is(err, http.ErrSchemeMismatch) {
		return "it speaks plain HTTP where HTTPS is expected"
	}
	// net/http quotes the first bytes, here those of a TLS alert, and has no type for it.
	if err != nil && strings.Contains(err.Error(), `malformed HTTP response "\x15\x03`) {
		return "it speaks HTTPS where plain HTTP is expected"
	}
	if err != nil && strings.Contains(err.Error(), "malformed HTTP ") { // of a response, a version, a status code
		return "what answers there does not speak HTTP"
	}
	return ""
}

// connectReason: the network or the other host says no.
func connectReason(err error) string {
	op, isOp := errors.AsType[*net.OpError](err)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "no route to it"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the connection was reset"
	case isOp && op.Op == "dial" && isTimeout(err):
		return "no connection in time"
	}
	return ""
}

// isTimeout reports whether a dial took too long, be it this one or the one that a breaker spares others.
func isTimeout(err error) bool {
	dial, ok := errors.AsType[net.Error](err)
	return ok && dial.Timeout() || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
}
