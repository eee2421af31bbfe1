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
	for _, classify := range []func(error) (TransportClass, string){
		classifyProxy, classifyDNS, classifyTLS, classifyProtocol, classifyConnection,
	} {
		if f.Class, f.Reason = classify(err); f.Class != TransportUnknown {
			return f
		}
	}
	if f.Timeout {
		f.Class, f.Reason = TransportTimeout, "no response in time"
	}
	return f
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
	return ok && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
}

// classifyProxy also reads the text: net/http reports a refused CONNECT as the bare status text, without a type.
func classifyProxy(err error) (TransportClass, string) {
	op, isOp := errors.AsType[*net.OpError](err)
	refused := isOp && op.Op == "proxyconnect" || strings.Contains(err.Error(), "socks connect")
	for _, status := range []int{403, 407, 500, 502, 503, 504} {
		text := http.StatusText(status)
		refused = refused || err.Error() == text || strings.HasSuffix(err.Error(), ": "+text)
	}
	if refused {
		return TransportProxy, "the proxy is unreachable or refuses to connect"
	}
	return TransportUnknown, ""
}

func classifyDNS(err error) (TransportClass, string) {
	dns, ok := errors.AsType[*net.DNSError](err)
	switch {
	case !ok:
		return TransportUnknown, ""
	case dns.IsNotFound:
		return TransportDNS, "no such host"
	}
	return TransportDNS, "the host name cannot be resolved"
}

func classifyTLS(err error) (TransportClass, string) {
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return TransportTLS, "its certificate is for another name"
	}
	invalid, isInvalid := errors.AsType[x509.CertificateInvalidError](err)
	if isInvalid && invalid.Reason == x509.Expired {
		return TransportTLS, "its certificate has expired"
	}
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, other := errors.AsType[*tls.CertificateVerificationError](err)
	if isInvalid || unknown || other {
		return TransportTLS, "its certificate is not trusted"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || errors.Is(err, http.ErrSchemeMismatch) {
		return TransportTLS, "it speaks plain HTTP where HTTPS is expected"
	}
	return TransportUnknown, ""
}

// classifyProtocol reads the text: net/http has no type for a malformed response and quotes its first bytes, here
// those of a TLS alert.
func classifyProtocol(err error) (TransportClass, string) {
	switch text := err.Error(); {
	case strings.Contains(text, `malformed HTTP response "\x15\x03`):
		return TransportProtocol, "it speaks HTTPS where plain HTTP is expected"
	case strings.Contains(text, "malformed HTTP "): // response, version or status code
		return TransportProtocol, "the peer does not speak HTTP"
	}
	return TransportUnknown, ""
}

func classifyConnection(err error) (TransportClass, string) {
	op, isOp := errors.AsType[*net.OpError](err)
	class := TransportClosed
	if isOp && op.Op == "dial" {
		class = TransportDial
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return class, "connection refused"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return class, "no route to host"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return class, "connection reset"
	case class == TransportDial && isTimeout(err):
		return class, "no connection in time"
	case class == TransportDial:
		return class, ""
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return class, "the connection was closed before a response"
	}
	return TransportUnknown, ""
}
