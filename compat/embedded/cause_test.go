package embedded_test

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"qrgate/compat/embedded"
	"qrgate/internal/test/whatsappsim"
	"qrgate/internal/test/whatsappsim/whatsappsimtest"
)

// network is a way to a place that is not WhatsApp, and what the engine makes of it.
type network struct {
	client func(t *testing.T) *http.Client
	reason string // of a session
	help   string // part of what Reachable says
}

func networks() map[string]network {
	return map[string]network{
		"refused": {refusing, "network_blocked", "Allow outgoing TCP 443"},
		"no name": {nameless, "dns_failed", "Repair DNS"},
		"foreign certificate": {func(t *testing.T) *http.Client {
			srv := &whatsappsim.Server{}
			return srv.HTTPSClient(whatsappsimtest.Start(t, srv), x509.NewCertPool())
		}, "tls_intercepted", "TLS-inspecting proxy"},
		"no TLS at all": {func(t *testing.T) *http.Client {
			web := httptest.NewServer(http.NotFoundHandler())
			t.Cleanup(web.Close)
			return (&whatsappsim.Server{}).HTTPSClient(web.Listener.Addr().String(), x509.NewCertPool())
		}, "tls_intercepted", "TLS-inspecting proxy"},
		"proxy wants credentials": {proxied(http.StatusProxyAuthRequired), "proxy_refused", "the proxy's address or credentials"},
		"proxy forbids":           {proxied(http.StatusForbidden), "proxy_refused", "the proxy's address or credentials"},
		"proxy finds nobody":      {proxied(http.StatusBadGateway), "proxy_refused", "the proxy's address or credentials"},
		"no proxy":                {viaProxy("127.0.0.1:1"), "proxy_refused", "the proxy's address or credentials"},
		"turned away":             {faulty(whatsappsim.Fault{HTTPStatus: 503}), "whatsapp_unavailable", "Wait"},
		"forbidden":               {faulty(whatsappsim.Fault{HTTPStatus: 403}), "network_blocked", "Allow outgoing TCP 443"},
	}
}

// What is wrong with the network is named in the status of a session, and by Reachable.
func TestNetworkCauses(t *testing.T) {
	t.Parallel()
	for name, n := range networks() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := n.client(t)
			why, ok := errors.AsType[*embedded.ReachabilityError](embedded.Reachable(t.Context(), c))
			if !ok || string(why.Code) != n.reason || why.Text == "" || !strings.Contains(why.Error(), n.help) {
				t.Errorf("Reachable says %v, want %s and %q", why, n.reason, n.help)
			}
			r := start(t, embedded.Config{HTTPClient: c})
			r.connect("first")
			d := r.until("first", patience, func(d map[string]any) bool { return reasonOf(d) != "" })
			if got := reasonOf(d); got != n.reason {
				t.Errorf("reason %q, want %q: %v", got, n.reason, d)
			}
		})
	}
}

func TestReachable(t *testing.T) {
	t.Parallel()
	srv := &whatsappsim.Server{}
	addr := whatsappsimtest.Start(t, srv)
	if err := embedded.Reachable(t.Context(), srv.HTTPClient(addr)); err != nil {
		t.Error(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(srv.CAPEM())
	if err := embedded.Reachable(t.Context(), srv.HTTPSClient(addr, roots)); err != nil {
		t.Errorf("with TLS: %v", err)
	}
	srv.SetFault(whatsappsim.Fault{HangUpgrade: true})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := embedded.Reachable(ctx, srv.HTTPClient(addr)); err == nil {
		t.Error("a server that never answers is reachable")
	}
}

// refusing dials a port where nobody listens.
func refusing(t *testing.T) *http.Client {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return (&whatsappsim.Server{}).HTTPClient(ln.Addr().String())
}

// nameless has a resolver that knows no names.
func nameless(*testing.T) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "web.whatsapp.com", IsNotFound: true}}
	}}}
}

func faulty(f whatsappsim.Fault) func(*testing.T) *http.Client {
	return func(t *testing.T) *http.Client {
		srv := &whatsappsim.Server{Fault: f}
		return srv.HTTPClient(whatsappsimtest.Start(t, srv))
	}
}

// proxied goes through an HTTP proxy that answers every CONNECT with status.
func proxied(status int) func(*testing.T) *http.Client {
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
