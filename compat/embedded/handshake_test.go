package embedded_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"qrgate"
	"qrgate/compat/embedded"
	"qrgate/internal/wasim"
	"qrgate/internal/wasim/wasimtest"
)

// Without an account and without a database, the way and the version are proven, or the cause is named.
func TestHandshake(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault wasim.Fault
		want  qrgate.Code
		takes time.Duration
	}{
		"healthy":              {wasim.Fault{}, qrgate.None, 0},
		"codes late":           {wasim.Fault{PairDelay: 2 * time.Second}, qrgate.None, 2 * time.Second},
		"outdated":             {wasim.Fault{Failure: 405}, qrgate.ClientOutdated, 0},
		"banned":               {wasim.Fault{Failure: 402}, qrgate.AccountBanned, 0},
		"outage":               {wasim.Fault{Failure: 503}, qrgate.WhatsAppUnavailable, 0},
		"restart":              {wasim.Fault{StreamError: "515"}, qrgate.WhatsAppUnavailable, 0},
		"no codes":             {wasim.Fault{NoPairDevice: true}, qrgate.WhatsAppSilent, 20 * time.Second},
		"hello hangs":          {wasim.Fault{HangHello: true}, qrgate.WhatsAppSilent, 20 * time.Second},
		"upgrade hangs":        {wasim.Fault{HangUpgrade: true}, qrgate.WhatsAppSilent, 15 * time.Second},
		"a page for the hello": {wasim.Fault{GarbageHello: true}, qrgate.TLSIntercepted, 0},
		"turned away":          {wasim.Fault{HTTPStatus: 503}, qrgate.WhatsAppUnavailable, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv, pipe := &wasim.Server{Fault: tt.fault}, &wasim.Pipe{}
				wasimtest.StartOn(t, srv, pipe)
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
		srv, pipe := &wasim.Server{Fault: wasim.Fault{HangUpgrade: true}}, &wasim.Pipe{}
		wasimtest.StartOn(t, srv, pipe)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if code, _ := embedded.Handshake(ctx, pipe.HTTPClient()); code == qrgate.None || time.Since(began) > 2*time.Second {
			t.Errorf("%s after %s", code, time.Since(began))
		}
	})
}
