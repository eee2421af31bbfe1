package embedded

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/util/keys"
	waLog "go.mau.fi/whatsmeow/util/log"

	"qrgate/compat"
	"qrgate/internal/diagnosis"
)

// Handshake connects to WhatsApp as an unpaired device, waits for codes and disconnects. It checks the connection and
// the library's version, needs no account and stores nothing. Each call starts a registration at WhatsApp, so do not
// call it often. c is as in Config.
//
// It returns diagnosis.None when codes arrived, else the cause and a sentence, after at most 40 s. After the end of
// ctx it may take the rest of the library's 20 s for a handshake.
func Handshake(ctx context.Context, c *http.Client) (diagnosis.Code, string) {
	dialer := compat.DialClient(c)
	cli := newEphemeralClient(dialer)
	outcomes := make(chan reason, 1)
	cli.AddEventHandler(func(raw any) {
		if why, ok := handshakeOutcome(translateEvent(raw)); ok {
			select {
			case outcomes <- why:
			default: // the first event decides
			}
		}
	})
	closeSocket, why, err := connectClient(ctx, cli, dialer)
	if err != nil {
		if ctx.Err() != nil {
			why = newReason(diagnosis.Undetermined, "WhatsApp did not respond before the check ended.")
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
	cli := whatsmeow.NewClient(dev, libraryLog{log: slog.New(slog.DiscardHandler)})
	return configureClient(cli, dialer, clientPayload(dev, defaultDeviceName, store.GetWAVersion()))
}

// dialFailed is the event of a failed ConnectContext. A server with another certificate or key than WhatsApp's will
// have it at the next attempt, too; every other cause may pass.
func dialFailed(why reason) event {
	if why.Code == diagnosis.TLSIntercepted {
		return rejected{why: why, retryable: true}
	}
	return lost{why: why}
}

// dialReason is the cause of an error of ConnectContext.
func dialReason(trace *compat.DialTrace, err error) reason {
	if trace.IsUpgraded() {
		return noiseReason(err.Error())
	}
	f := trace.Failure(err)
	return newReason(f.Code, f.Text)
}

// noiseReason reads the text: whatsmeow has no types for the errors of its Noise handshake.
func noiseReason(text string) reason {
	switch {
	case strings.Contains(text, "timed out waiting for handshake response"):
		return newReason(diagnosis.WhatsAppSilent, textNoHandshake)
	case strings.Contains(text, "certificate not valid yet"), strings.Contains(text, "certificate expired"):
		return newReason(diagnosis.ClockWrong,
			"WhatsApp's Noise certificate is not valid at "+time.Now().UTC().Format(time.DateTime)+", the time of this machine.")
	case strings.Contains(text, "noise handshake failed: failed to send"):
		return newReason(diagnosis.WhatsAppUnavailable, "WhatsApp closed the connection during the handshake.")
	case strings.Contains(text, "noise handshake failed"):
		return newReason(diagnosis.TLSIntercepted, "The server at web.whatsapp.com does not have WhatsApp's key.")
	}
	return newReason(diagnosis.NetworkBlocked, "No connection to web.whatsapp.com.")
}
