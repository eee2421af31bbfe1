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
	"slices"
	"strings"
	"syscall"

	"qrgate/internal/session"
)

// TransportClass says where an HTTP call failed that has no complete response.
type TransportClass string

// The classes, in the order in which a call passes them.
const (
	TransportUnknown  TransportClass = ""
	TransportProxy    TransportClass = "proxy"    // the HTTP or SOCKS proxy is unreachable or refuses to connect
	TransportDNS      TransportClass = "dns"      // the host name does not resolve
	TransportDial     TransportClass = "dial"     // no TCP connection
	TransportTLS      TransportClass = "tls"      // the certificate is not valid, or the peer does not speak TLS
	TransportProtocol TransportClass = "protocol" // the peer does not speak HTTP, or only over TLS
	TransportTimeout  TransportClass = "timeout"  // connected, or at least dialed, and no response in time
	TransportClosed   TransportClass = "closed"   // the connection ended before the response was complete
)

// TransportFailure is a classified error of net/http.
type TransportFailure struct {
	Class   TransportClass
	Timeout bool // a timeout ended the call
	// Reason explains the class in a few words of a fixed list, "" if there is nothing to add. The error's own text
	// may hold an address or bytes of the peer, so it is never part of the reason.
	Reason string
}

// ReasonHTTPS is the reason of a call by http to a port of https.
const ReasonHTTPS = "it speaks HTTPS where plain HTTP is expected"

// IsNotConnected reports whether no connection to the peer could be opened.
func (f TransportFailure) IsNotConnected() bool {
	return f.Class == TransportProxy || f.Class == TransportDNS || f.Class == TransportDial
}

// ClassifyTransportError classifies an error of an [http.RoundTripper], of reading a response, or of a websocket dial.
func ClassifyTransportError(err error) TransportFailure {
	if err == nil {
		return TransportFailure{}
	}
	f := TransportFailure{Timeout: isTimeout(err)}
	for _, rule := range transportRules {
		if rule.matches(err) {
			f.Class, f.Reason = rule.class, rule.reason
			break
		}
	}
	if f.Class == TransportClosed && isDial(err) {
		f.Class = TransportDial
	}
	return f
}

// transportRules are in the order in which a call passes the classes: the first that matches decides.
var transportRules = []struct {
	class   TransportClass
	reason  string
	matches func(error) bool
}{
	{TransportProxy, "the proxy is unreachable or refuses to connect", isProxyError},
	{TransportDNS, "no such host", isNoSuchHost},
	{TransportDNS, "the host name cannot be resolved", is[*net.DNSError]},
	{TransportTLS, "its certificate is for another name", is[x509.HostnameError]},
	{TransportTLS, "its certificate has expired", isExpiredCertificate},
	{TransportTLS, "its certificate is not trusted", isUntrustedCertificate},
	{TransportTLS, "it speaks plain HTTP where HTTPS is expected", isPlainHTTP},
	// net/http has no type for a malformed response and quotes its first bytes, here those of a TLS alert.
	{TransportProtocol, ReasonHTTPS, hasText(`malformed HTTP response "\x15\x03`)},
	{TransportProtocol, "the peer does not speak HTTP", hasText("malformed HTTP ")}, // response, version or status code
	{TransportClosed, "connection refused", isAny(syscall.ECONNREFUSED)},
	{TransportClosed, "no route to host", isAny(syscall.EHOSTUNREACH, syscall.ENETUNREACH)},
	{TransportClosed, "connection reset", isAny(syscall.ECONNRESET, syscall.EPIPE)},
	{TransportDial, "no connection in time", func(err error) bool { return isDial(err) && isTimeout(err) }},
	{TransportDial, "", isDial},
	{TransportClosed, "the connection was closed before a response", isAny(io.EOF, io.ErrUnexpectedEOF, net.ErrClosed)},
	{TransportTimeout, "no response in time", isTimeout},
}

// is reports whether the tree of err contains an error of type E.
func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func isAny(targets ...error) func(error) bool {
	return func(err error) bool {
		return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
	}
}

func hasText(text string) func(error) bool {
	return func(err error) bool { return strings.Contains(err.Error(), text) }
}

func isDial(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// TransportError is the error of a call to op that has no complete response. A call whose context was canceled
// reports nothing about the engine.
func TransportError(ctx context.Context, op string, err error) *session.EngineError {
	f := ClassifyTransportError(err)
	e := &session.EngineError{Op: op, Kind: session.KindUnreachable, Reason: f.Reason, Err: err}
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		e.Kind = session.KindCanceled
	case f.IsNotConnected():
	case errors.Is(ctx.Err(), context.DeadlineExceeded), f.Timeout:
		e.Kind = session.KindTimeout
	}
	return e
}

// isTimeout includes a dial timeout that a circuit breaker repeats for callers that it does not let dial.
func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout() || isAny(context.DeadlineExceeded, os.ErrDeadlineExceeded)(err)
}

// isProxyError also reads the text: net/http reports a refused CONNECT as the bare status text, without a type.
func isProxyError(err error) bool {
	text := err.Error()
	op, isOp := errors.AsType[*net.OpError](err)
	return isOp && op.Op == "proxyconnect" || strings.Contains(text, "socks connect") ||
		slices.ContainsFunc([]int{403, 407, 500, 502, 503, 504}, func(status int) bool {
			return text == http.StatusText(status) || strings.HasSuffix(text, ": "+http.StatusText(status))
		})
}

func isNoSuchHost(err error) bool {
	dns, ok := errors.AsType[*net.DNSError](err)
	return ok && dns.IsNotFound
}

func isExpiredCertificate(err error) bool {
	invalid, ok := errors.AsType[x509.CertificateInvalidError](err)
	return ok && invalid.Reason == x509.Expired
}

func isUntrustedCertificate(err error) bool {
	return is[x509.CertificateInvalidError](err) || is[x509.UnknownAuthorityError](err) ||
		is[*tls.CertificateVerificationError](err)
}

func isPlainHTTP(err error) bool {
	return is[tls.RecordHeaderError](err) || errors.Is(err, http.ErrSchemeMismatch)
}
