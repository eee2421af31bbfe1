package embedded

import (
	"go.mau.fi/whatsmeow/types/events"

	"qrgate/internal/diagnosis"
	"qrgate/internal/secret"
)

// translateEvent translates what the library reports; nil for everything that does not concern the link. Messages,
// receipts and the like end here.
func translateEvent(raw any) event {
	switch e := raw.(type) {
	case *events.QR:
		return codesReceived{codes: toSecrets(e.Codes)}
	case *events.PairSuccess:
		return paired{}
	case *events.ManualLoginReconnect:
		return restart{}
	case *events.Connected:
		return loggedIn{}
	case *events.KeepAliveTimeout:
		return keepAliveMissed{count: e.ErrorCount}
	case *events.Disconnected:
		return lost{why: newReason(diagnosis.WhatsAppUnavailable, "WhatsApp closed the connection.")}
	}
	return heardEnd(raw)
}

// heardEnd translates the last words of a connection.
func heardEnd(raw any) event {
	switch e := raw.(type) {
	case *events.LoggedOut:
		return loggedOut(e)
	case *events.StreamReplaced:
		return rejected{why: newReason(diagnosis.SessionConflict, "Another process took this session's connection over.")}
	case *events.ClientOutdated:
		return rejected{why: newReason(diagnosis.ClientOutdated, "WhatsApp refuses this version of the library; update qrgate.")}
	case *events.TemporaryBan:
		return rejected{why: newReason(diagnosis.AccountBanned, "WhatsApp has banned this account for a time.")}
	case *events.ConnectFailure:
		return rejected{why: failureCause(e.Reason), retryable: true}
	case *events.StreamError:
		return lost{why: newReason(diagnosis.WhatsAppUnavailable, "WhatsApp ended the connection with an error of its own.")}
	case *events.PairError:
		return rejected{why: newReason(diagnosis.PairingFailed, "The code was scanned and the pairing did not verify."), unlinked: true}
	case *events.PairPasskeyRequest:
		return rejected{why: newReason(diagnosis.PasskeyRequired, "WhatsApp asks for a passkey to link this account."), unlinked: true}
	case *events.PairPasskeyError:
		return rejected{why: newReason(diagnosis.PasskeyRequired, "WhatsApp asks for a passkey and did not say how."), unlinked: true}
	}
	return nil
}

// loggedOut: whatsmeow has deleted the device by then. 406 is what WhatsApp's own page calls banned
// (whatsmeow, events.ConnectFailureUnknownLogout).
func loggedOut(e *events.LoggedOut) event {
	why := newReason(diagnosis.LoggedOut, "The phone, or WhatsApp, has unlinked this device.")
	if e.OnConnect && e.Reason == events.ConnectFailureUnknownLogout {
		why = newReason(diagnosis.AccountBanned, "WhatsApp refuses this account.")
	}
	return rejected{why: why, unlinked: true}
}

func failureCause(code events.ConnectFailureReason) reason {
	if code == events.ConnectFailureBadUserAgent || code == events.ConnectFailureClientUnknown {
		return newReason(diagnosis.ClientOutdated, "WhatsApp does not know this kind of client; update qrgate.")
	}
	return newReason(diagnosis.Internal, "WhatsApp refuses the connection for a reason that has no name.")
}

func toSecrets(codes []string) []secret.Secret {
	out := make([]secret.Secret, len(codes))
	for i, c := range codes {
		out[i] = secret.NewSecret(c)
	}
	return out
}
