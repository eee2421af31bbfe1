package embedded_test

import (
	"context"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
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
		"upgrade hangs":              {whatsappsim.Fault{HangUpgrade: true}, diagnosis.WhatsAppSilent, 15 * time.Second},
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

// networkCase is a network on which WhatsApp cannot be reached, and the cause that the engine names.
type networkCase struct {
	client func(t *testing.T) *http.Client
	reason string // lastDisconnect.code of a session
}

func networkCases() map[string]networkCase {
	return map[string]networkCase{
		"refused":      {refusedDial, "network_blocked"},
		"unknown host": {unresolvable, "dns_failed"},
		"untrusted certificate": {func(t *testing.T) *http.Client {
			srv := &whatsappsim.Server{}
			return srv.HTTPSClient(whatsappsimtest.Start(t, srv), x509.NewCertPool())
		}, "tls_intercepted"},
		"plain text in place of TLS": {func(t *testing.T) *http.Client {
			web := httptest.NewServer(http.NotFoundHandler())
			t.Cleanup(web.Close)
			return (&whatsappsim.Server{}).HTTPSClient(web.Listener.Addr().String(), x509.NewCertPool())
		}, "tls_intercepted"},
		"proxy requires credentials": {viaRefusingProxy(http.StatusProxyAuthRequired), "proxy_refused"},
		"proxy forbids":              {viaRefusingProxy(http.StatusForbidden), "proxy_refused"},
		"proxy cannot connect":       {viaRefusingProxy(http.StatusBadGateway), "proxy_refused"},
		"proxy unreachable":          {viaProxy("127.0.0.1:1"), "proxy_refused"},
		"503":                        {withFault(whatsappsim.Fault{HTTPStatus: 503}), "whatsapp_unavailable"},
		"forbidden":                  {withFault(whatsappsim.Fault{HTTPStatus: 403}), "network_blocked"},
	}
}

// The status of a session and Reachable name the same cause.
func TestReachable_NamesNetworkCauses(t *testing.T) {
	t.Parallel()
	for name, n := range networkCases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := n.client(t)
			code, text := embedded.Reachable(t.Context(), c)
			if string(code) != n.reason || text == "" {
				t.Errorf("Reachable returns %s, %s; want %s", code, text, n.reason)
			}
			r := start(t, embedded.Config{HTTPClient: c})
			r.connect("first")
			d := r.until("first", waitTimeout, func(d map[string]any) bool { return reasonOf(d) != "" })
			if got := reasonOf(d); got != n.reason {
				t.Errorf("reason %q, want %q: %v", got, n.reason, d)
			}
		})
	}
}

func TestReachable_SucceedsWithAndWithoutTLS(t *testing.T) {
	t.Parallel()
	srv := &whatsappsim.Server{}
	addr := whatsappsimtest.Start(t, srv)
	if code, text := embedded.Reachable(t.Context(), srv.HTTPClient(addr)); code != diagnosis.None {
		t.Error(text)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(srv.CAPEM())
	if code, text := embedded.Reachable(t.Context(), srv.HTTPSClient(addr, roots)); code != diagnosis.None {
		t.Errorf("with TLS: %s", text)
	}
	srv.SetFault(whatsappsim.Fault{HangUpgrade: true})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if code, _ := embedded.Reachable(ctx, srv.HTTPClient(addr)); code == diagnosis.None {
		t.Error("a server that never responds is reachable")
	}
}

// refusedDial dials a closed port.
func refusedDial(t *testing.T) *http.Client {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return (&whatsappsim.Server{}).HTTPClient(ln.Addr().String())
}

// unresolvable resolves no host name.
func unresolvable(*testing.T) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "web.whatsapp.com", IsNotFound: true}}
	}}}
}

func withFault(f whatsappsim.Fault) func(*testing.T) *http.Client {
	return func(t *testing.T) *http.Client {
		srv := &whatsappsim.Server{Fault: f}
		return srv.HTTPClient(whatsappsimtest.Start(t, srv))
	}
}

// viaRefusingProxy dials through an HTTP proxy that responds to every CONNECT with status.
func viaRefusingProxy(status int) func(*testing.T) *http.Client {
	return func(t *testing.T) *http.Client {
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		t.Cleanup(proxy.Close)
		return viaProxy(proxy.Listener.Addr().String())(t)
	}
}

func viaProxy(addr string) func(*testing.T) *http.Client {
	return func(*testing.T) *http.Client {
		return &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: addr})}}
	}
}
