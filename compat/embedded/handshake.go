package embedded

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/util/keys"
	waLog "go.mau.fi/whatsmeow/util/log"

	"qrgate/internal/diagnosis"
)

// Handshake goes to WhatsApp as a device that nobody ever linked, waits until it is sent codes, and hangs up.
// That proves the whole way and the library's version, and needs no account; nothing is stored. It opens a
// registration at WhatsApp each time, so do not call it often. c is as in Config.
//
// It returns qrgate.None when codes came, else the cause and a sentence, after 40 s at most; after the end of
// ctx it may take the rest of the library's own 20 s for a handshake.
func Handshake(ctx context.Context, c *http.Client) (diagnosis.Code, string) {
	dialer, err := whatsapp(c)
	if err != nil {
		return diagnosis.Internal, err.Error()
	}
	cli := newEphemeralClient(dialer)
	news := make(chan reason, 1)
	cli.AddEventHandler(func(raw any) {
		if why, ok := outcomeOf(translateEvent(raw)); ok {
			select {
			case news <- why:
			default: // the first word decides
			}
		}
	})
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	var step dialTrace
	release := context.AfterFunc(ctx, func() { step.cancelIfPending(end) })
	defer release()
	if err := cli.ConnectContext(step.watch(life)); err != nil {
		why := dialCause(err)
		if ctx.Err() != nil {
			why = newReason(diagnosis.NetworkBlocked, "WhatsApp did not answer before the look was over.")
		}
		return why.Code, why.Text
	}
	defer func() { step.cut(); waitClosed(cli) }()
	patience := time.NewTimer(codesTime)
	defer patience.Stop()
	select {
	case why := <-news:
		return why.Code, why.Text
	case <-patience.C:
	case <-ctx.Done():
	}
	return diagnosis.WhatsAppSilent, "WhatsApp took the registration and sent no codes."
}

// outcomeOf is what an event means for somebody who wants to see codes and nothing more.
func outcomeOf(e event) (reason, bool) {
	switch e := e.(type) {
	case codesReceived:
		if len(e.codes) == 0 {
			return newReason(diagnosis.WhatsAppSilent, "WhatsApp sent an empty set of codes."), true
		}
		return newReason(diagnosis.None, "WhatsApp sent codes."), true
	case lost:
		return e.why, true
	case rejected:
		return e.why, true
	case restart:
		return newReason(diagnosis.WhatsAppUnavailable, "WhatsApp asked for a new connection before any code was scanned."), true
	}
	return reason{}, false
}

// newEphemeralClient makes a client whose keys are made up now and forgotten afterwards.
func newEphemeralClient(dialer *http.Client) *whatsmeow.Client {
	identity, nothing := keys.NewKeyPair(), &store.NoopStore{}
	adv := make([]byte, 32)
	_, _ = rand.Read(adv) // never fails
	dev := &store.Device{
		Log: waLog.Noop, Initialized: true, RegistrationID: 1 + uint32(adv[0]),
		NoiseKey: keys.NewKeyPair(), IdentityKey: identity, SignedPreKey: identity.CreateSignedPreKey(1),
		AdvSecretKey: adv, Container: nothing, LIDs: nothing,
	}
	dev.SetAllStores(nothing)
	cli := whatsmeow.NewClient(dev, libraryLog{log: slog.New(slog.DiscardHandler)})
	cli.SetPreLoginHTTPClient(dialer)
	cli.SetWebsocketHTTPClient(dialer)
	cli.EnableAutoReconnect = false
	cli.DisableLoginAutoReconnect = true
	cli.GetClientPayload = payload(dev)
	return cli
}
