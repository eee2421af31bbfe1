package embedded

import (
	"errors"
	"net/http"
	"strings"

	"go.mau.fi/whatsmeow/socket"

	"qrgate/compat"
	"qrgate/internal/diagnosis"
)

// dialFailed is the event of a failed ConnectContext. A server with another certificate or key than WhatsApp's will
// have it at the next attempt, too; every other cause may pass.
func dialFailed(err error) event {
	why := dialReason(err)
	if why.Code == diagnosis.TLSIntercepted {
		return rejected{why: why, retryable: true}
	}
	return lost{why: why}
}

// dialReason classifies an error of ConnectContext or of a websocket dial.
func dialReason(err error) reason {
	if status, ok := errors.AsType[socket.ErrWithStatusCode](err); ok {
		return statusReason(status.StatusCode)
	}
	f, text := compat.ClassifyTransportError(err), err.Error()
	switch {
	case f.Class == compat.TransportProxy:
		return newReason(diagnosis.ProxyRefused, "The proxy is unreachable or refuses to connect to web.whatsapp.com.")
	case f.Class == compat.TransportTLS:
		return newReason(diagnosis.TLSIntercepted, "The certificate of web.whatsapp.com is not WhatsApp's.")
	case f.Class == compat.TransportDNS:
		return newReason(diagnosis.DNSFailed, "The host name web.whatsapp.com cannot be resolved.")
	case f.Class == compat.TransportDial:
		return newReason(diagnosis.NetworkBlocked, "No TCP connection to web.whatsapp.com on port 443.")
	case f.Timeout && strings.Contains(text, "TLS handshake"):
		return newReason(diagnosis.NetworkBlocked, "TCP to web.whatsapp.com works, but TLS gets no response.")
	case f.Timeout:
		return newReason(diagnosis.WhatsAppSilent, "WhatsApp accepted the connection and did not respond to the upgrade.")
	}
	return noiseReason(text)
}

// noiseReason reads the text: whatsmeow has no types for the errors of its Noise handshake.
func noiseReason(text string) reason {
	switch {
	case strings.Contains(text, "timed out waiting for handshake response"):
		return newReason(diagnosis.WhatsAppSilent, textNoHandshake)
	case strings.Contains(text, "certificate not valid yet"), strings.Contains(text, "certificate expired"):
		return newReason(diagnosis.TLSIntercepted,
			"The server's certificate is not valid at this machine's time; check its clock.")
	case strings.Contains(text, "noise handshake failed: failed to send"):
		return newReason(diagnosis.WhatsAppUnavailable, "WhatsApp closed the connection during the handshake.")
	case strings.Contains(text, "noise handshake failed"):
		return newReason(diagnosis.TLSIntercepted, "The server at web.whatsapp.com does not have WhatsApp's key.")
	}
	return newReason(diagnosis.NetworkBlocked, "No connection to web.whatsapp.com.")
}

// statusReason classifies the HTTP status of a refused upgrade. The text has no status in it: clients search bodies
// for the digits of a rate limit.
func statusReason(status int) reason {
	switch {
	case status == http.StatusProxyAuthRequired:
		return newReason(diagnosis.ProxyRefused, "The proxy requires credentials.")
	case status == http.StatusTooManyRequests, status >= http.StatusInternalServerError:
		return newReason(diagnosis.WhatsAppUnavailable, "WhatsApp's web server refuses connections at present.")
	}
	return newReason(diagnosis.NetworkBlocked, "WhatsApp, or a server in front of it, refused the websocket.")
}
