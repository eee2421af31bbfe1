package control

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strings"

	"qrgate"
)

// cause is why a dial failed, and at which step.
type cause struct {
	step qrgate.ConnectivityStep
	code qrgate.Code
	text string
}

// causeOf reads an error of net/http. at is how far the dial had come by its own account; what the error
// itself says goes before that, because a dialer of somebody's own tells nothing.
func causeOf(err error, at qrgate.ConnectivityStep) cause {
	op, isOp := errors.AsType[*net.OpError](err)
	timeout, isNet := errors.AsType[net.Error](err)
	_, noName := errors.AsType[*net.DNSError](err)
	switch {
	case isOp && op.Op == "proxyconnect" && at == qrgate.ControlDNS: // addresses have no names to resolve
		return cause{qrgate.ControlTCP, qrgate.ProxyRefused, "the proxy cannot be reached"}
	case isOp && op.Op == "proxyconnect", refusedByProxy(err.Error()):
		return cause{at, qrgate.ProxyRefused, "the proxy cannot be reached, or does not connect"}
	case noName:
		return cause{qrgate.ControlDNS, qrgate.DNSFailed, "the name cannot be resolved"}
	case untrusted(err):
		return cause{qrgate.ControlTLS, qrgate.TLSIntercepted, "the certificate is not WhatsApp's own"}
	case isOp && op.Op == "dial":
		return cause{qrgate.ControlTCP, qrgate.NetworkBlocked, "no connection to port 443"}
	case isNet && timeout.Timeout():
		return cause{at, timeoutCause(at), "no answer"}
	}
	return cause{at, qrgate.NetworkBlocked, "the connection was cut"}
}

// timeoutCause is what it means that nothing comes at a step.
func timeoutCause(at qrgate.ConnectivityStep) qrgate.Code {
	switch at {
	case qrgate.ControlDNS:
		return qrgate.DNSFailed
	case qrgate.ControlTCP, qrgate.ControlTLS:
		return qrgate.NetworkBlocked
	}
	return qrgate.WhatsAppSilent
}

// statusCause reads the status of an upgrade that was not granted.
func statusCause(status int) qrgate.Code {
	switch {
	case status == http.StatusProxyAuthRequired:
		return qrgate.ProxyRefused
	case status == http.StatusTooManyRequests, status >= http.StatusInternalServerError:
		return qrgate.WhatsAppUnavailable
	}
	return qrgate.NetworkBlocked
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
