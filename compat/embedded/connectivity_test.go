package embedded_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"qrgate/compat/embedded"
	"qrgate/internal/diagnosis"
	"qrgate/internal/test/whatsappsim"
	"qrgate/internal/test/whatsappsim/whatsappsimtest"
)

func TestHandshake_NamesTheCause(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault whatsappsim.Fault
		want  diagnosis.Code
		takes time.Duration
	}{
		"healthy":                    {whatsappsim.Fault{}, diagnosis.None, 0},
		"codes late":                 {whatsappsim.Fault{PairDelay: 2 * time.Second}, diagnosis.None, 2 * time.Second},
		"client outdated":            {whatsappsim.Fault{Failure: 405}, diagnosis.ClientOutdated, 0},
		"banned":                     {whatsappsim.Fault{Failure: 402}, diagnosis.AccountBanned, 0},
		"outage":                     {whatsappsim.Fault{Failure: 503}, diagnosis.WhatsAppUnavailable, 0},
		"restart":                    {whatsappsim.Fault{StreamError: "515"}, diagnosis.WhatsAppUnavailable, 0},
		"no codes":                   {whatsappsim.Fault{NoPairDevice: true}, diagnosis.WhatsAppSilent, 20 * time.Second},
		"hello hangs":                {whatsappsim.Fault{HangHello: true}, diagnosis.WhatsAppSilent, 20 * time.Second},
		"upgrade hangs":              {whatsappsim.Fault{HangUpgrade: true}, diagnosis.WhatsAppSilent, 14 * time.Second},
		"web page in place of hello": {whatsappsim.Fault{GarbageHello: true}, diagnosis.TLSIntercepted, 0},
		"503":                        {whatsappsim.Fault{HTTPStatus: 503}, diagnosis.WhatsAppUnavailable, 0},
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
				time.Sleep(20 * time.Second) // the library's own handshake timeout
				if n := srv.Stats(); n.Open != 0 || n.Pairings != 0 {
					t.Errorf("afterwards %+v", n)
				}
			})
		})
	}
}

func TestHandshake_EndsWithContext(t *testing.T) {
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

// The status of a session names the cause in the network.
func TestSession_NamesNetworkCauses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		network whatsappsimtest.Network
		reason  string // lastDisconnect.code
		text    string // part of lastDisconnect.message
	}{
		"refused":                    {whatsappsimtest.Refused, "network_blocked", "no TCP connection (127.0.0.1:"},
		"unknown host":               {whatsappsimtest.Unresolvable, "dns_failed", "no such host"},
		"untrusted certificate":      {whatsappsimtest.UntrustedCertificate, "tls_intercepted", "issued by "},
		"plain text in place of TLS": {whatsappsimtest.PlainHTTP, "tls_intercepted", "plain HTTP"},
		"proxy requires credentials": {whatsappsimtest.ViaRefusingProxy(407), "proxy_refused", "the proxy 127.0.0.1:"},
		"proxy forbids":              {whatsappsimtest.ViaRefusingProxy(403), "proxy_refused", "the proxy 127.0.0.1:"},
		"proxy cannot connect":       {whatsappsimtest.ViaRefusingProxy(502), "proxy_refused", "the proxy 127.0.0.1:"},
		"proxy unreachable":          {whatsappsimtest.ViaProxy("127.0.0.1:1"), "proxy_refused", "the proxy 127.0.0.1:1"},
		"503":                        {whatsappsimtest.WithFault(whatsappsim.Fault{HTTPStatus: 503}), "whatsapp_unavailable", "Service Unavailable"},
		"forbidden":                  {whatsappsimtest.WithFault(whatsappsim.Fault{HTTPStatus: 403}), "network_blocked", "Forbidden"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, embedded.Config{HTTPClient: tt.network(t)})
			r.connect("first")
			d := r.until("first", waitTimeout, func(d map[string]any) bool { return reasonOf(d) != "" })
			last, _ := d["lastDisconnect"].(map[string]any)
			if text, _ := last["message"].(string); reasonOf(d) != tt.reason || !strings.Contains(text, tt.text) {
				t.Errorf("%v, want %s and %q", last, tt.reason, tt.text)
			}
		})
	}
}
