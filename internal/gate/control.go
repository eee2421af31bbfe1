package gate

import (
	"context"

	"qrgate"
	"qrgate/compat/embedded"
	"qrgate/probes/control"
)

// makeControl sets up the gate's own look at WhatsApp, which tells an engine that fails from a network
// that does.
func (g *App) makeControl() error {
	g.control = control.New(control.Config{
		Client: g.cfg.WhatsApp, Disabled: !g.cfg.ControlProbe,
		Handshake: func(ctx context.Context) (qrgate.Code, string) { return embedded.Handshake(ctx, g.cfg.WhatsApp) },
	})
	g.outlook = &reachability{way: g.cfg.WhatsApp, control: g.control.Last, log: g.cfg.Logger}
	return nil
}

// maybeCheck asks for a look when a QR does not come and the engine's way to WhatsApp may be why.
func (g *App) maybeCheck(e qrgate.Event) {
	ended := e.Kind == qrgate.EventWait || e.Kind == qrgate.EventAcquisition
	if e.Kind != qrgate.EventCause && (!ended || e.Outcome != qrgate.Failure) {
		return
	}
	switch e.Diagnosis {
	case qrgate.QRNotEmitted, qrgate.Undetermined, qrgate.ConnectFailing, qrgate.WhatsAppSilent, qrgate.WhatsAppUnavailable,
		qrgate.DNSFailed, qrgate.NetworkBlocked, qrgate.TLSIntercepted, qrgate.ProxyRefused, qrgate.ClientOutdated:
		g.control.Trigger()
	}
}
