package whatsapp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strings"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// cause is why a dial failed, and at which step.
type cause struct {
	step session.ConnectivityStep
	code diagnosis.Code
	text string
}

// causeOf reads an error of net/http. at is how far the dial had come by its own account; what the error
// itself says goes before that, because a dialer of somebody's own tells nothing.
func causeOf(err error, at session.ConnectivityStep) cause {
	op, isOp := errors.AsType[*net.OpError](err)
	timeout, isNet := errors.AsType[net.Error](err)
	_, noName := errors.AsType[*net.DNSError](err)
	switch {
	case isOp && op.Op == "proxyconnect" && at == session.ControlDNS: // addresses have no names to resolve
		return cause{session.ControlTCP, diagnosis.ProxyRefused, "the proxy cannot be reached"}
	case isOp && op.Op == "proxyconnect", refusedByProxy(err.Error()):
		return cause{at, diagnosis.ProxyRefused, "the proxy cannot be reached, or does not connect"}
	case noName:
		return cause{session.ControlDNS, diagnosis.DNSFailed, "the name cannot be resolved"}
	case untrusted(err):
		return cause{session.ControlTLS, diagnosis.TLSIntercepted, "the certificate is not WhatsApp's own"}
	case isOp && op.Op == "dial":
		return cause{session.ControlTCP, diagnosis.NetworkBlocked, "no connection to port 443"}
	case isNet && timeout.Timeout():
		return cause{at, timeoutCause(at), "no answer"}
	}
	return cause{at, diagnosis.NetworkBlocked, "the connection was cut"}
}

// timeoutCause is what it means that nothing comes at a step.
func timeoutCause(at session.ConnectivityStep) diagnosis.Code {
	switch at {
	case session.ControlDNS:
		return diagnosis.DNSFailed
	case session.ControlTCP, session.ControlTLS:
		return diagnosis.NetworkBlocked
	}
	return diagnosis.WhatsAppSilent
}

// statusCause reads the status of an upgrade that was not granted.
func statusCause(status int) diagnosis.Code {
	switch {
	case status == http.StatusProxyAuthRequired:
		return diagnosis.ProxyRefused
	case status == http.StatusTooManyRequests, status >= http.StatusInternalServerError:
		return diagnosis.WhatsAppUnavailable
	}
	return diagnosis.NetworkBlocked
}

// untrusted reports whether TLS ended at somebody else.
func untrusted(err error) bool {
	_, verify := errors.AsType[*tls.CertificateVerificationError](err)
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	_, host := errors.AsType[x509.HostnameError](err)
	_, record := errors.AsType[tls.RecordHeaderError](err) // plain text where TLS should be
	return verify || authority || host || record || errors.Is(err, http.ErrSchemeMismatch)
}

// refusedByProxy reads what net/http makes of a CONNECT that was not granted: the bare status text as the
// last part of the error, without a type.
func refusedByProxy(text string) bool {
	for _, status := range []int{403, 407, 500, 502, 503, 504} {
		if strings.HasSuffix(text, ": "+http.StatusText(status)) {
			return true
		}
	}
	return strings.Contains(text, "socks connect")
}
