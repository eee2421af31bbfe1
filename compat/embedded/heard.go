package embedded

import (
	"go.mau.fi/whatsmeow/types/events"

	"qrgate"
)

// heard translates what the library reports; nil for everything that does not concern the link. Messages,
// receipts and the like end here.
func heard(raw any) event {
	switch e := raw.(type) {
	case *events.QR:
		return offered{codes: hidden(e.Codes)}
	case *events.PairSuccess:
		return paired{}
	case *events.ManualLoginReconnect:
		return restart{}
	case *events.Connected:
		return joined{}
	case *events.KeepAliveTimeout:
		return stalled{count: e.ErrorCount}
	case *events.Disconnected:
		return lost{why: because(qrgate.WhatsAppUnavailable, "WhatsApp closed the connection.")}
	}
	return heardEnd(raw)
}

// heardEnd translates the last words of a connection.
func heardEnd(raw any) event {
	switch e := raw.(type) {
	case *events.LoggedOut:
		return loggedOut(e)
	case *events.StreamReplaced:
		return refused{why: because(qrgate.SessionConflict, "Another process took this session's connection over.")}
	case *events.ClientOutdated:
		return refused{why: because(qrgate.ClientOutdated, "WhatsApp refuses this version of the library; update qrgate.")}
	case *events.TemporaryBan:
		return refused{why: because(qrgate.AccountBanned, "WhatsApp has banned this account for a time.")}
	case *events.ConnectFailure:
		return refused{why: failureCause(e.Reason), mild: true}
	case *events.StreamError:
		return lost{why: because(qrgate.WhatsAppUnavailable, "WhatsApp ended the connection with an error of its own.")}
	case *events.PairError:
		return refused{why: because(qrgate.PairingFailed, "The code was scanned and the pairing did not verify."), unlinked: true}
	case *events.PairPasskeyRequest:
		return refused{why: because(qrgate.PasskeyRequired, "WhatsApp asks for a passkey to link this account."), unlinked: true}
	case *events.PairPasskeyError:
		return refused{why: because(qrgate.PasskeyRequired, "WhatsApp asks for a passkey and did not say how."), unlinked: true}
	}
	return nil
}

// loggedOut: whatsmeow has deleted the device by then. 406 is what WhatsApp's own page calls banned
// (whatsmeow, events.ConnectFailureUnknownLogout).
func loggedOut(e *events.LoggedOut) event {
	why := because(qrgate.LoggedOut, "The phone, or WhatsApp, has unlinked this device.")
	if e.OnConnect && e.Reason == events.ConnectFailureUnknownLogout {
		why = because(qrgate.AccountBanned, "WhatsApp refuses this account.")
	}
	return refused{why: why, unlinked: true}
}

func failureCause(code events.ConnectFailureReason) reason {
	if code == events.ConnectFailureBadUserAgent || code == events.ConnectFailureClientUnknown {
		return because(qrgate.ClientOutdated, "WhatsApp does not know this kind of client; update qrgate.")
	}
	return because(qrgate.Internal, "WhatsApp refuses the connection for a reason that has no name.")
}

func hidden(codes []string) []qrgate.Secret {
	out := make([]qrgate.Secret, len(codes))
	for i, c := range codes {
		out[i] = qrgate.NewSecret(c)
	}
	return out
}
