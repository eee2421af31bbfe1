package whatsapp_test

import (
	"context"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/compat/embedded"
	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/internal/test/whatsappsim"
	"qrgate/internal/test/whatsappsim/whatsappsimtest"
	"qrgate/probes/whatsapp"
)

// end is where a check ended, and why.
type end struct {
	Step session.ConnectivityStep
	Code diagnosis.Code
}

// Each fault between this host and WhatsApp fails its step and has its diagnosis.
func TestCheck_FaultsNameCauseAndStep(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		way  func(*testing.T) *http.Client
		want end
	}{
		"free":                {healthyTLS, end{session.StepHandshake, diagnosis.None}},
		"no name":             {nameless, end{session.StepDNS, diagnosis.DNSFailed}},
		"refused":             {refusing, end{session.StepTCP, diagnosis.NetworkBlocked}},
		"foreign certificate": {foreign, end{session.StepTLS, diagnosis.TLSIntercepted}},
		"no TLS at all":       {plain, end{session.StepTLS, diagnosis.TLSIntercepted}},
		"proxy forbids":       {proxied(http.StatusForbidden), end{session.StepTLS, diagnosis.ProxyRefused}},
		"no proxy":            {viaProxy("127.0.0.1:1"), end{session.StepTCP, diagnosis.ProxyRefused}},
		"turned away":         {faulty(whatsappsim.Fault{HTTPStatus: 503}), end{session.StepUpgrade, diagnosis.WhatsAppUnavailable}},
		"forbidden":           {faulty(whatsappsim.Fault{HTTPStatus: 403}), end{session.StepUpgrade, diagnosis.NetworkBlocked}},
		"outdated":            {faulty(whatsappsim.Fault{Failure: 405}), end{session.StepHandshake, diagnosis.ClientOutdated}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := tt.way(t)
			var steps []whatsapp.Step
			got := whatsapp.Check(t.Context(), whatsapp.Config{Client: c, Handshake: handshakeBy(c),
				Progress: func(s whatsapp.Step) { steps = append(steps, s) }})
			if diff := cmp.Diff(tt.want, end{got.Step, got.Code}); diff != "" {
				t.Errorf("(-want +got)\n%s\n%q", diff, got.Evidence)
			}
			if got.At.IsZero() || got.Took <= 0 || len(got.Evidence) != len(steps) || got.OK() != (tt.want.Code == diagnosis.None) {
				t.Errorf("%+v after %d steps", got, len(steps))
			}
			for i, s := range steps {
				if s.OK != (i < len(steps)-1 || tt.want.Code == diagnosis.None) || s.Detail == "" {
					t.Errorf("step %+v", s)
				}
			}
		})
	}
}

// Every step of a working connection is reported, in order.
func TestCheck_ReportsEveryStep(t *testing.T) {
	t.Parallel()
	c := healthyTLS(t)
	var got []session.ConnectivityStep
	whatsapp.Check(t.Context(), whatsapp.Config{Client: c, Handshake: handshakeBy(c), Progress: func(s whatsapp.Step) { got = append(got, s.Name) }})
	want := session.ConnectivitySteps()[1:] // the simulator is dialed by its address
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// A server that never responds ends the check by its timeout.
func TestCheck_SilentServerTimesOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv, pipe := &whatsappsim.Server{Fault: whatsappsim.Fault{HangUpgrade: true}}, &whatsappsim.Pipe{}
		whatsappsimtest.StartOn(t, srv, pipe)
		got := whatsapp.Check(t.Context(), whatsapp.Config{Client: pipe.HTTPClient()})
		if got.Step != session.StepUpgrade || got.Code != diagnosis.WhatsAppSilent || got.Took != 15*time.Second {
			t.Errorf("%+v", got)
		}
	})
}

func handshakeBy(c *http.Client) func(context.Context) (diagnosis.Code, string) {
	return func(ctx context.Context) (diagnosis.Code, string) { return embedded.Handshake(ctx, c) }
}

func healthyTLS(t *testing.T) *http.Client {
	srv := &whatsappsim.Server{}
	addr := whatsappsimtest.Start(t, srv)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(srv.CAPEM())
	return closing(t, srv.HTTPSClient(addr, roots))
}

func foreign(t *testing.T) *http.Client {
	srv := &whatsappsim.Server{}
	return closing(t, srv.HTTPSClient(whatsappsimtest.Start(t, srv), x509.NewCertPool()))
}

func plain(t *testing.T) *http.Client {
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	return closing(t, (&whatsappsim.Server{}).HTTPSClient(web.Listener.Addr().String(), x509.NewCertPool()))
}

func faulty(f whatsappsim.Fault) func(*testing.T) *http.Client {
	return func(t *testing.T) *http.Client {
		srv := &whatsappsim.Server{Fault: f}
		return closing(t, srv.HTTPClient(whatsappsimtest.Start(t, srv)))
	}
}

func refusing(t *testing.T) *http.Client {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return closing(t, (&whatsappsim.Server{}).HTTPClient(ln.Addr().String()))
}

func nameless(*testing.T) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "web.whatsapp.com", IsNotFound: true}}
	}}}
}

func proxied(status int) func(*testing.T) *http.Client {
	return func(t *testing.T) *http.Client {
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		t.Cleanup(proxy.Close)
		return viaProxy(proxy.Listener.Addr().String())(t)
	}
}

func viaProxy(addr string) func(*testing.T) *http.Client {
	return func(t *testing.T) *http.Client {
		return closing(t, &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: addr})}})
	}
}

// closing gives a client's connections back when the test ends.
func closing(t *testing.T, c *http.Client) *http.Client {
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// The evidence contains no keys and no codes.
func TestCheck_EvidenceIsShortAndRedacted(t *testing.T) {
	t.Parallel()
	c := healthyTLS(t)
	for _, line := range whatsapp.Check(t.Context(), whatsapp.Config{Client: c, Handshake: handshakeBy(c)}).Evidence {
		if len(line) > 120 || strings.Contains(line, "linked_devices") {
			t.Errorf("%q", line)
		}
	}
}
