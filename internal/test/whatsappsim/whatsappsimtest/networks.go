package whatsappsimtest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"testing"
	"time"

	"qrgate/internal/test/whatsappsim"
)

// Clients on networks between a client and WhatsApp, on loopback and in real time. Their connections end with the test.

// Network returns a client for a network.
type Network func(testing.TB) *http.Client

// HealthyTLS reaches a healthy server with TLS.
func HealthyTLS(t testing.TB) *http.Client {
	srv := &whatsappsim.Server{}
	addr := Start(t, srv)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(srv.CAPEM())
	return closing(t, srv.HTTPSClient(addr, roots))
}

// WithFault reaches a server with a fault, without TLS.
func WithFault(f whatsappsim.Fault) Network {
	return func(t testing.TB) *http.Client {
		srv := &whatsappsim.Server{Fault: f}
		return closing(t, srv.HTTPClient(Start(t, srv)))
	}
}

// UntrustedCertificate reaches a server whose certificate the client does not trust.
func UntrustedCertificate(t testing.TB) *http.Client {
	srv := &whatsappsim.Server{}
	return closing(t, srv.HTTPSClient(Start(t, srv), x509.NewCertPool()))
}

// PlainHTTP reaches a server that does not speak TLS.
func PlainHTTP(t testing.TB) *http.Client {
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	return closing(t, (&whatsappsim.Server{}).HTTPSClient(web.Listener.Addr().String(), x509.NewCertPool()))
}

// Refused dials a closed port.
func Refused(t testing.TB) *http.Client {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	return closing(t, (&whatsappsim.Server{}).HTTPClient(ln.Addr().String()))
}

// Unresolvable resolves no host name.
func Unresolvable(testing.TB) *http.Client {
	unknown := &net.DNSError{Err: "no such host", Name: "web.whatsapp.com", IsNotFound: true}
	return &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: unknown}
	}}}
}

// ViaProxy dials through the HTTP proxy at addr.
func ViaProxy(addr string) Network {
	return func(t testing.TB) *http.Client {
		proxy := http.ProxyURL(&url.URL{Scheme: "http", Host: addr})
		return closing(t, &http.Client{Transport: &http.Transport{Proxy: proxy}})
	}
}

// ViaRefusingProxy dials through an HTTP proxy that responds to every CONNECT with status.
func ViaRefusingProxy(status int) Network {
	return func(t testing.TB) *http.Client {
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		t.Cleanup(proxy.Close)
		return ViaProxy(proxy.Listener.Addr().String())(t)
	}
}

// closing closes a client's connections when the test ends.
func closing(t testing.TB, c *http.Client) *http.Client {
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// Certificate returns a certificate with these dates and names, web.whatsapp.com without any, followed by its issuer,
// "Test Root", and a pool with the issuer.
func Certificate(t testing.TB, from, to time.Time, names ...string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	if names == nil {
		names = []string{"web.whatsapp.com"}
	}
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test Root"},
		NotBefore: from.AddDate(-1, 0, 0), NotAfter: to.AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: names, NotBefore: from, NotAfter: to,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	rootKey, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader) // rand.Reader never fails
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, rootKey.Public(), rootKey)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, root, key.Public(), rootKey)
	if err != nil {
		t.Fatal(err)
	}
	issuer, err := x509.ParseCertificate(rootDER)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(issuer)
	return tls.Certificate{Certificate: [][]byte{der, rootDER}, PrivateKey: key}, pool
}

// Dial is the type of http.Transport.DialContext.
type Dial = func(ctx context.Context, network, addr string) (net.Conn, error)

// ResolvedTo dials as if the resolver returned an address: the dial reports it to its trace. conn makes the connection
// to it.
func ResolvedTo(address string, conn Dial) Dial {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		_, port, _ := net.SplitHostPort(addr)
		target := net.JoinHostPort(address, port)
		trace := httptrace.ContextClientTrace(ctx)
		trace.DNSDone(httptrace.DNSDoneInfo{Addrs: []net.IPAddr{{IP: net.ParseIP(address)}}})
		c, err := conn(ctx, network, target)
		trace.ConnectDone(network, target, err)
		return c, err
	}
}
