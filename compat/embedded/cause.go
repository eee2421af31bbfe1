package embedded

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strings"

	"go.mau.fi/whatsmeow/socket"

	"qrgate/internal/diagnosis"
)

// dialFailed is what a failed ConnectContext means. What answers as somebody else than WhatsApp will do so
// again; everything else may pass.
func dialFailed(err error) event {
	why := dialCause(err)
	if why.Code == diagnosis.TLSIntercepted {
		return rejected{why: why, retryable: true}
	}
	return lost{why: why}
}

// dialCause finds the cause in an error of ConnectContext or of a websocket dial. The library has types for
// some and only words for others (wasim 4, first rows).
func dialCause(err error) reason {
	text := err.Error()
	if status, ok := errors.AsType[socket.ErrWithStatusCode](err); ok {
		return statusCause(status.StatusCode)
	}
	if untrusted(err) || errors.Is(err, http.ErrSchemeMismatch) {
		return newReason(diagnosis.TLSIntercepted, "The certificate of web.whatsapp.com is not WhatsApp's own.")
	}
	if why, ok := networkCause(err); ok {
		return why
	}
	switch {
	case refusedByProxy(text):
		return newReason(diagnosis.ProxyRefused, "The proxy does not let this machine connect to web.whatsapp.com.")
	case strings.Contains(text, "timed out waiting for handshake response"):
		return newReason(diagnosis.WhatsAppSilent, "WhatsApp took the connection and did not finish the handshake.")
	case strings.Contains(text, "certificate not valid yet"), strings.Contains(text, "certificate expired"):
		return newReason(diagnosis.TLSIntercepted, "The server's certificate is not valid at this machine's time; check its clock.")
	case strings.Contains(text, "noise handshake failed: failed to send"):
		return newReason(diagnosis.WhatsAppUnavailable, "WhatsApp closed the connection during the handshake.")
	case strings.Contains(text, "noise handshake failed"):
		return newReason(diagnosis.TLSIntercepted, "What answers for web.whatsapp.com does not have WhatsApp's key.")
	}
	return newReason(diagnosis.NetworkBlocked, "No connection to web.whatsapp.com came about.")
}

// statusCause reads the HTTP status of an upgrade that was not granted. Statuses are not repeated in the
// text: clients search bodies for the digits of a rate limit.
func statusCause(status int) reason {
	switch {
	case status == http.StatusProxyAuthRequired:
		return newReason(diagnosis.ProxyRefused, "The proxy asks for credentials.")
	case status == http.StatusTooManyRequests, status >= http.StatusInternalServerError:
		return newReason(diagnosis.WhatsAppUnavailable, "WhatsApp's web server turns connections away for now.")
	}
	return newReason(diagnosis.NetworkBlocked, "The websocket to WhatsApp was refused, by WhatsApp or by something before it.")
}

// networkCause reads the errors of DNS and TCP. What fails on the way to a proxy is the proxy's matter.
func networkCause(err error) (reason, bool) {
	op, isOp := errors.AsType[*net.OpError](err)
	if isOp && op.Op == "proxyconnect" {
		return newReason(diagnosis.ProxyRefused, "The proxy cannot be reached or does not connect."), true
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return newReason(diagnosis.DNSFailed, "The name web.whatsapp.com cannot be resolved."), true
	}
	if isOp && op.Op == "dial" {
		return newReason(diagnosis.NetworkBlocked, "No TCP connection to web.whatsapp.com on port 443."), true
	}
	timeout, ok := errors.AsType[net.Error](err)
	switch {
	case ok && timeout.Timeout() && strings.Contains(err.Error(), "TLS handshake"):
		return newReason(diagnosis.NetworkBlocked, "TCP to web.whatsapp.com works and TLS gets no answer."), true
	case ok && timeout.Timeout():
		return newReason(diagnosis.WhatsAppSilent, "WhatsApp took the connection and did not answer the upgrade."), true
	}
	return reason{}, false
}

// untrusted reports whether TLS ended at somebody else.
func untrusted(err error) bool {
	_, verify := errors.AsType[*tls.CertificateVerificationError](err)
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	_, host := errors.AsType[x509.HostnameError](err)
	_, invalid := errors.AsType[x509.CertificateInvalidError](err)
	_, record := errors.AsType[tls.RecordHeaderError](err) // plain text where TLS should be
	return verify || authority || host || invalid || record
}

// refusedByProxy reads what net/http makes of a CONNECT that was not granted: the bare status text as the
// last part of the error, without a type. WhatsApp's own statuses never come so, they carry a type.
func refusedByProxy(text string) bool {
	for _, status := range []int{403, 407, 500, 502, 503, 504} {
		if strings.HasSuffix(text, ": "+http.StatusText(status)) {
			return true
		}
	}
	return strings.Contains(text, "socks connect")
}
