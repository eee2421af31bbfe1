package confusion_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"image/png"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"qrgate/compat"
	"qrgate/compat/embedded"
	"qrgate/internal/test/whatsappsim"
	"qrgate/internal/test/whatsappsim/whatsappsimtest"
)

// fewKeys makes the simulator report that it has prekeys; the library then makes 50 instead of 812.
const fewKeys = 100

// runEmbedded injects a fault into the embedded engine, on fake time, and returns qrgate's diagnoses.
func runEmbedded(t *testing.T, f fault) (said []reading) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		srv, pipe := &whatsappsim.Server{Fault: f.whatsapp.Fault, PreKeys: fewKeys}, &whatsappsim.Pipe{}
		whatsappsimtest.StartOn(t, srv, pipe)
		keys, err := embedded.ParseKeys("tests:" + key)
		if err != nil {
			t.Fatal(err)
		}
		engine, err := embedded.New(embedded.Config{DataDir: dir, Keys: keys, HTTPClient: clientFor(t, f.whatsapp.route, pipe)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
		ended := make(chan error, 1)
		go func() { ended <- engine.Run(ctx) }()
		g := newGateway(t, &url.URL{Scheme: "http", Host: "embedded.engine"}, embedded.Transport(engine))
		id := g.create("shop-1")
		g.connect(id)
		if f.whatsapp.scan {
			g.scan(srv, id)
		}
		said = g.watch(id, 100*time.Millisecond, f.horizon(), nil)
		g.stop()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		time.Sleep(30 * time.Second) // a handshake without a response ends later than the engine
	})
	return said
}

// clientFor returns a client that reaches the simulator by a route.
func clientFor(t *testing.T, r route, pipe *whatsappsim.Pipe) *http.Client {
	t.Helper()
	dial := func(f func(context.Context, string, string) (net.Conn, error)) *http.Client {
		return &http.Client{Transport: &http.Transport{DialContext: f, DialTLSContext: f, DisableKeepAlives: true}}
	}
	switch r {
	case refused:
		closed := &whatsappsim.Pipe{}
		_ = closed.Close()
		return closed.HTTPClient()
	case unnamed:
		return dial(func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "web.whatsapp.com", IsNotFound: true}}
		})
	case foreign:
		return dial(func(context.Context, string, string) (net.Conn, error) { // the error of net/http; the tests of the engine use real TLS
			return nil, &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}
		})
	case proxied:
		line := &whatsappsim.Pipe{}
		proxy := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusProxyAuthRequired) })}
		go func() { _ = proxy.Serve(line) }()
		t.Cleanup(func() { _ = proxy.Close() })
		return &http.Client{Transport: &http.Transport{DialContext: line.DialContext, DisableKeepAlives: true,
			Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: "proxy.test:3128"})}}
	}
	return pipe.HTTPClient()
}

// scan simulates a phone that scans the code from qrgate.
func (g *gateway) scan(srv *whatsappsim.Server, id string) {
	g.Helper()
	image := ""
	for end := time.Now().Add(time.Minute); image == "" && time.Now().Before(end); {
		body, _ := g.call(http.MethodGet, "/api/sessions/"+id+"/qr?wait=9", "")
		image = compat.StringOf(compat.Data(body)["qrCode"])
	}
	code := decode(g.T, image)
	_ = srv.Scan(g.Context(), code, whatsappsim.Account{User: "5550100"}) // the client refuses a forged pairing
}

// decode reads the code in a data URL.
func decode(t *testing.T, dataURL string) string {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(dataURL, "data:image/png;base64,"))
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	bitmap, err := gozxing.NewBinaryBitmapFromImage(img)
	if err != nil {
		t.Fatal(err)
	}
	text, err := qrcode.NewQRCodeReader().Decode(bitmap, map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_PURE_BARCODE: true})
	if err != nil {
		t.Fatal(err)
	}
	return text.GetText()
}
