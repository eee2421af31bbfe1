package embedded_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"qrgate/compat/embedded"
	"qrgate/internal/diagnosis"
	"qrgate/internal/test/whatsappsim"
	"qrgate/internal/test/whatsappsim/whatsappsimtest"
)

// Without an account and without a database, the way and the version are proven, or the cause is named.
func TestHandshake(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault whatsappsim.Fault
		want  diagnosis.Code
		takes time.Duration
	}{
		"healthy":              {whatsappsim.Fault{}, diagnosis.None, 0},
		"codes late":           {whatsappsim.Fault{PairDelay: 2 * time.Second}, diagnosis.None, 2 * time.Second},
		"outdated":             {whatsappsim.Fault{Failure: 405}, diagnosis.ClientOutdated, 0},
		"banned":               {whatsappsim.Fault{Failure: 402}, diagnosis.AccountBanned, 0},
		"outage":               {whatsappsim.Fault{Failure: 503}, diagnosis.WhatsAppUnavailable, 0},
		"restart":              {whatsappsim.Fault{StreamError: "515"}, diagnosis.WhatsAppUnavailable, 0},
		"no codes":             {whatsappsim.Fault{NoPairDevice: true}, diagnosis.WhatsAppSilent, 20 * time.Second},
		"hello hangs":          {whatsappsim.Fault{HangHello: true}, diagnosis.WhatsAppSilent, 20 * time.Second},
		"upgrade hangs":        {whatsappsim.Fault{HangUpgrade: true}, diagnosis.WhatsAppSilent, 15 * time.Second},
		"a page for the hello": {whatsappsim.Fault{GarbageHello: true}, diagnosis.TLSIntercepted, 0},
		"turned away":          {whatsappsim.Fault{HTTPStatus: 503}, diagnosis.WhatsAppUnavailable, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv, pipe := &whatsappsim.Server{Fault: tt.fault}, &whatsappsim.Pipe{}
				whatsappsimtest.StartOn(t, srv, pipe)
				began := time.Now()
				code, why := embedded.Handshake(t.Context(), pipe.HTTPClient())
				if code != tt.want || why == "" || time.Since(began).Round(time.Second) != tt.takes {
					t.Errorf("%s after %s: %s; want %s after %s", code, time.Since(began), why, tt.want, tt.takes)
				}
				time.Sleep(20 * time.Second) // what the library does not bear to be hurried
				if n := srv.Stats(); n.Open != 0 || n.Pairings != 0 {
					t.Errorf("afterwards %+v", n)
				}
			})
		})
	}
}

// Whoever no longer wants to know is not kept by a server that does not answer.
func TestHandshakeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv, pipe := &whatsappsim.Server{Fault: whatsappsim.Fault{HangUpgrade: true}}, &whatsappsim.Pipe{}
		whatsappsimtest.StartOn(t, srv, pipe)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if code, _ := embedded.Handshake(ctx, pipe.HTTPClient()); code == diagnosis.None || time.Since(began) > 2*time.Second {
			t.Errorf("%s after %s", code, time.Since(began))
		}
	})
}
