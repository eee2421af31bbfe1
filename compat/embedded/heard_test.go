package embedded

import (
	"errors"
	"testing"

	"go.mau.fi/whatsmeow/types/events"

	"qrgate"
)

// What the simulator cannot play: passkeys, and what does not concern the link.
func TestHeard(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		raw  any
		want qrgate.Code // "" is no event at all
	}{
		"passkey wanted":          {&events.PairPasskeyRequest{}, qrgate.PasskeyRequired},
		"passkey failed":          {&events.PairPasskeyError{Error: errors.New("no")}, qrgate.PasskeyRequired},
		"pairing failed":          {&events.PairError{Error: errors.New("no")}, qrgate.PairingFailed},
		"banned for a time":       {&events.TemporaryBan{}, qrgate.AccountBanned},
		"banned":                  {&events.LoggedOut{OnConnect: true, Reason: 406}, qrgate.AccountBanned},
		"logged out":              {&events.LoggedOut{OnConnect: true, Reason: 401}, qrgate.LoggedOut},
		"logged out by the phone": {&events.LoggedOut{Reason: 406}, qrgate.LoggedOut},
		"unknown client":          {&events.ConnectFailure{Reason: 418}, qrgate.ClientOutdated},
		"no multidevice":          {&events.QRScannedWithoutMultidevice{}, ""},
		"a ping restored":         {&events.KeepAliveRestored{}, ""},
		"a message":               {&events.Message{}, ""},
		"a receipt":               {&events.Receipt{}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := translateEvent(tt.raw)
			r, ended := e.(rejected)
			if (e == nil) != (tt.want == "") || ended != (tt.want != "") || r.why.Code != tt.want {
				t.Errorf("%+v, want %q", e, tt.want)
			}
		})
	}
}

// Every reason the engine gives is an entry of the gate's catalogue.
func TestReasonsAreInTheCatalogue(t *testing.T) {
	t.Parallel()
	for _, code := range []qrgate.Code{qrgate.EngineOverloaded, qrgate.QRExpired, qrgate.LoggedOut, qrgate.SessionConflict,
		qrgate.ClientOutdated, qrgate.AccountBanned, qrgate.PairingFailed, qrgate.PasskeyRequired, qrgate.Internal,
		qrgate.WhatsAppUnavailable, qrgate.WhatsAppSilent, qrgate.NetworkBlocked, qrgate.DNSFailed, qrgate.TLSIntercepted, qrgate.ProxyRefused} {
		if qrgate.New(code).Code != code {
			t.Errorf("%s is not", code)
		}
	}
}
