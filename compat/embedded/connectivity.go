package embedded

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/socket"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/util/keys"
	waLog "go.mau.fi/whatsmeow/util/log"

	"qrgate/compat"
	"qrgate/internal/diagnosis"
)

// reachTimeout limits Reachable.
const reachTimeout = 5 * time.Second

// Reachable checks once whether WhatsApp can be reached with c (nil as in Config): DNS, TCP, TLS and the websocket
// upgrade, within 5 s. It returns diagnosis.None, or the cause and one sentence: what was observed.
func Reachable(ctx context.Context, c *http.Client) (diagnosis.Code, string) {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	conn, res, err := websocket.Dial(ctx, socket.URL, &websocket.DialOptions{
		HTTPClient: dialClient(c), HTTPHeader: http.Header{"Origin": {socket.Origin}},
	})
	if err == nil {
		_ = conn.CloseNow()
		return diagnosis.None, "WhatsApp granted the upgrade."
	}
	why := dialReason(err)
	switch {
	case res != nil:
		why = statusReason(res.StatusCode)
	case ctx.Err() != nil:
		why = newReason(diagnosis.NetworkBlocked, "No response from web.whatsapp.com within 5 seconds.")
	}
	return why.Code, why.Text
}

// Handshake connects to WhatsApp as an unpaired device, waits for codes and disconnects. It checks the connection and
// the library's version, needs no account and stores nothing. Each call starts a registration at WhatsApp, so do not
// call it often. c is as in Config.
//
// It returns diagnosis.None when codes arrived, else the cause and a sentence, after at most 40 s. After the end of
// ctx it may take the rest of the library's 20 s for a handshake.
func Handshake(ctx context.Context, c *http.Client) (diagnosis.Code, string) {
	cli := newEphemeralClient(dialClient(c))
	outcomes := make(chan reason, 1)
	cli.AddEventHandler(func(raw any) {
		if why, ok := handshakeOutcome(translateEvent(raw)); ok {
			select {
			case outcomes <- why:
			default: // the first event decides
			}
		}
	})
	closeSocket, err := connectClient(ctx, cli)
	if err != nil {
		why := dialReason(err)
		if ctx.Err() != nil {
			why = newReason(diagnosis.NetworkBlocked, "WhatsApp did not respond before the check ended.")
		}
		return why.Code, why.Text
	}
	defer closeSocket()
	timeout := time.NewTimer(codesTimeout)
	defer timeout.Stop()
	select {
	case why := <-outcomes:
		return why.Code, why.Text
	case <-timeout.C:
	case <-ctx.Done():
	}
	return diagnosis.WhatsAppSilent, "WhatsApp accepted the registration and sent no codes."
}

// handshakeOutcome is the result of a handshake that ends with this event.
func handshakeOutcome(e event) (reason, bool) {
	switch e := e.(type) {
	case codesReceived:
		if len(e.codes) == 0 {
			return newReason(diagnosis.WhatsAppSilent, textNoCodes), true
		}
		return newReason(diagnosis.None, "WhatsApp sent codes."), true
	case lost:
		return e.why, true
	case rejected:
		return e.why, true
	case restart:
		return newReason(diagnosis.WhatsAppUnavailable, textEarlyRestart), true
	}
	return reason{}, false
}

// newEphemeralClient returns a client with new keys that are never stored.
func newEphemeralClient(dialer *http.Client) *whatsmeow.Client {
	identity, noop := keys.NewKeyPair(), &store.NoopStore{}
	adv := make([]byte, 32)
	_, _ = rand.Read(adv) // never fails
	dev := &store.Device{
		Log: waLog.Noop, Initialized: true, RegistrationID: 1 + uint32(adv[0]),
		NoiseKey: keys.NewKeyPair(), IdentityKey: identity, SignedPreKey: identity.CreateSignedPreKey(1),
		AdvSecretKey: adv, Container: noop, LIDs: noop,
	}
	dev.SetAllStores(noop)
	return configureClient(whatsmeow.NewClient(dev, libraryLog{log: slog.New(slog.DiscardHandler)}), dialer, dev)
}

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
