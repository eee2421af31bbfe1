package embedded

import (
	"errors"
	"testing"

	"go.mau.fi/whatsmeow/types/events"

	"qrgate/internal/diagnosis"
)

// What the simulator cannot play: passkeys, and what does not concern the link.
func TestHeard(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		raw  any
		want diagnosis.Code // "" is no event at all
	}{
		"passkey wanted":          {&events.PairPasskeyRequest{}, diagnosis.PasskeyRequired},
		"passkey failed":          {&events.PairPasskeyError{Error: errors.New("no")}, diagnosis.PasskeyRequired},
		"pairing failed":          {&events.PairError{Error: errors.New("no")}, diagnosis.PairingFailed},
		"banned for a time":       {&events.TemporaryBan{}, diagnosis.AccountBanned},
		"banned":                  {&events.LoggedOut{OnConnect: true, Reason: 406}, diagnosis.AccountBanned},
		"logged out":              {&events.LoggedOut{OnConnect: true, Reason: 401}, diagnosis.LoggedOut},
		"logged out by the phone": {&events.LoggedOut{Reason: 406}, diagnosis.LoggedOut},
		"unknown client":          {&events.ConnectFailure{Reason: 418}, diagnosis.ClientOutdated},
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
	for _, code := range []diagnosis.Code{diagnosis.EngineOverloaded, diagnosis.QRExpired, diagnosis.LoggedOut, diagnosis.SessionConflict,
		diagnosis.ClientOutdated, diagnosis.AccountBanned, diagnosis.PairingFailed, diagnosis.PasskeyRequired, diagnosis.Internal,
		diagnosis.WhatsAppUnavailable, diagnosis.WhatsAppSilent, diagnosis.NetworkBlocked, diagnosis.DNSFailed, diagnosis.TLSIntercepted, diagnosis.ProxyRefused} {
		if diagnosis.New(code).Code != code {
			t.Errorf("%s is not", code)
		}
	}
}
