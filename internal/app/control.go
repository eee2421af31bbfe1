package app

import (
	"context"

	"qrgate/compat/embedded"
	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/probes/whatsapp"
)

// makeControl sets up the gate's own look at WhatsApp, which tells an engine that fails from a network
// that does.
func (g *App) makeControl() error {
	g.control = whatsapp.New(whatsapp.Config{
		Client: g.cfg.WhatsApp, Disabled: !g.cfg.WhatsAppCheck,
		Handshake: func(ctx context.Context) (diagnosis.Code, string) { return embedded.Handshake(ctx, g.cfg.WhatsApp) },
	})
	g.outlook = &reachability{way: g.cfg.WhatsApp, control: g.control.Last, log: g.cfg.Logger}
	return nil
}

// maybeCheck asks for a look when a QR does not come and the engine's way to WhatsApp may be why.
func (g *App) maybeCheck(e session.Event) {
	ended := e.Kind == session.EventWait || e.Kind == session.EventAcquisition
	if e.Kind != session.EventCause && (!ended || e.Outcome != session.Failure) {
		return
	}
	switch e.Diagnosis {
	case diagnosis.QRNotEmitted, diagnosis.Undetermined, diagnosis.ConnectFailing, diagnosis.WhatsAppSilent, diagnosis.WhatsAppUnavailable,
		diagnosis.DNSFailed, diagnosis.NetworkBlocked, diagnosis.TLSIntercepted, diagnosis.ProxyRefused, diagnosis.ClientOutdated:
		g.control.Trigger()
	}
}
