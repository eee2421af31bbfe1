package whatsappsim_test

import (
	"context"
	"crypto/x509"
	"errors"
	"testing"

	"qrgate/internal/test/whatsappsim"
	"qrgate/internal/test/whatsappsim/whatsappsimtest"
)

// ws:// and wss:// share a port; the certificate of the latter is good for who trusts it alone.
func TestTLS(t *testing.T) {
	t.Parallel()
	srv := &whatsappsim.Server{}
	addr := whatsappsimtest.Start(t, srv)
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(srv.CAPEM()) {
		t.Fatal("no certificate")
	}
	trusting := newWatch(t, whatsappsimtest.ClientOn(t, srv.HTTPSClient(addr, roots)))
	trusting.connect(context.Background())
	plain := newWatch(t, whatsappsimtest.Client(t, addr))
	plain.connect(context.Background())
	for name, w := range map[string]*watch{"wss": trusting, "ws": plain} {
		eventually(t, func() bool { return w.count("qr code") == 1 })
		if t.Failed() {
			t.Errorf("%s: %q", name, w.report())
		}
	}
	wary := newWatch(t, whatsappsimtest.ClientOn(t, srv.HTTPSClient(addr, x509.NewCertPool())))
	var unknown x509.UnknownAuthorityError
	if err := wary.cli.Connect(); !errors.As(err, &unknown) {
		t.Errorf("untrusted: %v", err)
	}
}
