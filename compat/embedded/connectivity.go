package embedded

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"time"

	"github.com/coder/websocket"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/socket"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/util/keys"
	waLog "go.mau.fi/whatsmeow/util/log"

	"qrgate/internal/diagnosis"
)

// reachTimeout limits Reachable.
const reachTimeout = 5 * time.Second

// ReachabilityError is the error of Reachable when WhatsApp cannot be reached.
type ReachabilityError struct {
	Code diagnosis.Code // the cause
	Text string         // one sentence: what was observed
}

// Error says what was observed and what to do.
func (e *ReachabilityError) Error() string { return e.Text + " " + diagnosis.New(e.Code).Help }

// Reachable checks once whether WhatsApp can be reached with c (nil as in Config): DNS, TCP, TLS and the websocket
// upgrade, within 5 s. Its error is a [*ReachabilityError], or says that c cannot be used.
func Reachable(ctx context.Context, c *http.Client) error {
	dialer, err := whatsAppClient(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	conn, res, err := websocket.Dial(ctx, socket.URL, &websocket.DialOptions{
		HTTPClient: dialer, HTTPHeader: http.Header{"Origin": {socket.Origin}},
	})
	if err == nil {
		return conn.CloseNow()
	}
	var why reason
	switch {
	case res != nil:
		why = statusReason(res.StatusCode)
	case ctx.Err() != nil:
		why = newReason(diagnosis.NetworkBlocked, "No response from web.whatsapp.com within 5 seconds.")
	default:
		why = dialReason(err)
	}
	return &ReachabilityError{why.Code, why.Text}
}

// Handshake connects to WhatsApp as an unpaired device, waits for codes and disconnects. It checks the connection and
// the library's version, needs no account and stores nothing. Each call starts a registration at WhatsApp, so do not
// call it often. c is as in Config.
//
// It returns diagnosis.None when codes arrived, else the cause and a sentence, after at most 40 s. After the end of
// ctx it may take the rest of the library's 20 s for a handshake.
func Handshake(ctx context.Context, c *http.Client) (diagnosis.Code, string) {
	dialer, err := whatsAppClient(c)
	if err != nil {
		return diagnosis.Internal, err.Error()
	}
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
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var trace dialTrace
	release := context.AfterFunc(ctx, func() { trace.cancelIfPending(cancel) })
	defer release()
	if err := cli.ConnectContext(trace.attach(life)); err != nil {
		why := dialReason(err)
		if ctx.Err() != nil {
			why = newReason(diagnosis.NetworkBlocked, "WhatsApp did not respond before the check ended.")
		}
		return why.Code, why.Text
	}
	defer func() { trace.closeConn(); waitClosed(cli) }()
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
