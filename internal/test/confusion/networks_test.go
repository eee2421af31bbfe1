package confusion_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"qrgate/internal/test/whatsappsim"
	"qrgate/internal/test/whatsappsim/whatsappsimtest"
)

// network is a network between an engine and WhatsApp.
type network struct {
	// client makes the embedded engine's client, in fake time.
	client func(t *testing.T) *http.Client
	// target returns the address of the websocket for Baileys, and variables of its environment.
	target func(t *testing.T) (address string, env []string)
}

// whatsappIP is an address of WhatsApp in the tests.
const whatsappIP = "157.240.1.60"

// dialsBy is a client whose every dial fails or succeeds as f says, at an address.
func dialsBy(address string, f whatsappsimtest.Dial) func(*testing.T) *http.Client {
	return func(*testing.T) *http.Client {
		return &http.Client{Transport: &http.Transport{DialContext: whatsappsimtest.ResolvedTo(address, f)}}
	}
}

// fails is a dial that fails with err, after a delay.
func fails(err error, after time.Duration) whatsappsimtest.Dial {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		select {
		case <-time.After(after):
		case <-ctx.Done():
		}
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
}

// names is a client whose every look-up fails.
func names(err net.DNSError) func(*testing.T) *http.Client {
	return func(*testing.T) *http.Client {
		return &http.Client{Transport: &http.Transport{DialContext: fails(&err, 0)}}
	}
}

// at is a websocket's address for Baileys.
func at(address string) func(*testing.T) (string, []string) {
	return func(*testing.T) (string, []string) { return address, nil }
}

// handled is a network whose connections a function handles.
func handled(handle func(net.Conn)) *network {
	accept := func(t *testing.T, ln net.Listener) {
		go func() {
			for {
				conn, err := ln.Accept()
				if err != nil {
					return
				}
				handle(conn)
			}
		}()
		t.Cleanup(func() { _ = ln.Close() })
	}
	return &network{
		client: func(t *testing.T) *http.Client {
			pipe := &whatsappsim.Pipe{}
			accept(t, pipe)
			dial := whatsappsimtest.ResolvedTo(whatsappIP, pipe.DialContext)
			return &http.Client{Transport: &http.Transport{DialContext: dial, TLSHandshakeTimeout: 7 * time.Second}}
		},
		target: func(t *testing.T) (string, []string) {
			ln := listen(t)
			accept(t, ln)
			return "wss://" + ln.Addr().String(), nil
		},
	}
}

func silent(c net.Conn) { go func() { _, _ = io.Copy(io.Discard, c) }() }

// closes closes a connection after its first bytes. A close with unread bytes is a reset on TCP, which can occur after
// TLS as well.
func closes(c net.Conn) {
	go func() {
		_, _ = c.Read(make([]byte, 1<<14))
		_ = c.Close()
	}()
}

// tlsServer is a network with another TLS server than WhatsApp's, and its certificate.
type tlsServer struct {
	from, to  time.Duration // relative to now: when the certificate is valid
	isTrusted bool          // the engine trusts the issuer
	names     []string      // of the certificate; nil: web.whatsapp.com
	address   string        // "": an address of WhatsApp
	handler   http.HandlerFunc
}

const day = 24 * time.Hour

// serve serves at ln until the test ends and returns the certificate and its issuer.
func (s tlsServer) serve(t *testing.T, ln net.Listener) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	cert, roots := whatsappsimtest.Certificate(t, time.Now().Add(s.from), time.Now().Add(s.to), s.names...)
	server := &http.Server{Handler: s.handler, ErrorLog: log.New(io.Discard, "", 0)}
	config := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"http/1.1"}}
	go func() { _ = server.Serve(tls.NewListener(ln, config)) }()
	t.Cleanup(func() { _ = server.Close() })
	return cert, roots
}

func (s tlsServer) network() *network { return &network{client: s.client, target: s.target} }

func (s tlsServer) client(t *testing.T) *http.Client {
	pipe := &whatsappsim.Pipe{}
	_, roots := s.serve(t, pipe)
	if !s.isTrusted {
		roots = x509.NewCertPool()
	}
	return &http.Client{Transport: &http.Transport{
		DialContext:         whatsappsimtest.ResolvedTo(cmp.Or(s.address, whatsappIP), pipe.DialContext),
		TLSHandshakeTimeout: 7 * time.Second,
		TLSClientConfig:     &tls.Config{RootCAs: roots, NextProtos: []string{"http/1.1"}},
	}}
}

// target serves on loopback under the name localhost. A file makes Node trust the issuer.
func (s tlsServer) target(t *testing.T) (address string, env []string) {
	if s.names == nil {
		s.names = []string{"localhost"}
	}
	ln := listen(t)
	cert, _ := s.serve(t, ln)
	if s.isTrusted {
		file := filepath.Join(t.TempDir(), "root.pem")
		issuer := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[1]})
		if err := os.WriteFile(file, issuer, 0o600); err != nil {
			t.Fatal(err)
		}
		env = []string{"NODE_EXTRA_CA_CERTS=" + file}
	}
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	return "wss://localhost:" + port, env
}

// listen listens on a free port until the test ends.
func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln
}

// proxied is a network behind an HTTP proxy, which a client with proxy settings uses.
func proxied(serve func(*testing.T, net.Listener)) *network {
	return &network{client: func(t *testing.T) *http.Client {
		pipe := &whatsappsim.Pipe{}
		serve(t, pipe)
		return &http.Client{Transport: &http.Transport{
			DialContext: whatsappsimtest.ResolvedTo("10.0.0.9", pipe.DialContext),
			Proxy:       http.ProxyURL(&url.URL{Scheme: "http", Host: "proxy.test:3128"}),
		}}
	}}
}

func proxyRequires(status int) *network {
	return proxied(func(t *testing.T, ln net.Listener) {
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })}
		go func() { _ = server.Serve(ln) }()
		t.Cleanup(func() { _ = server.Close() })
	})
}

func proxyHandling(handle func(net.Conn)) *network {
	return proxied(func(t *testing.T, ln net.Listener) {
		go func() {
			for conn, err := ln.Accept(); err == nil; conn, err = ln.Accept() {
				handle(conn)
			}
		}()
		t.Cleanup(func() { _ = ln.Close() })
	})
}

// answers is a network where a server that the engine trusts responds to the upgrade.
func answers(status int, header ...string) *network {
	return tlsServer{from: -day, to: day, isTrusted: true, handler: func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
	}}.network()
}

// The networks.
var (
	refused = &network{
		client: dialsBy(whatsappIP, fails(syscall.ECONNREFUSED, 0)),
		target: at("wss://127.0.0.2:443"), // 127.0.0.1 is what a block list answers
	}
	unrouted = &network{client: dialsBy(whatsappIP, fails(syscall.ENETUNREACH, 0)), target: at("wss://[2001:db8::1]:443")}
	dropped  = &network{client: dialsBy(whatsappIP, fails(os.ErrDeadlineExceeded, 7*time.Second))}

	unnamed = &network{
		client: names(net.DNSError{Err: "no such host", Name: "web.whatsapp.com", IsNotFound: true}),
		target: at("ws://web.whatsapp.invalid"),
	}
	unresolved = &network{client: names(net.DNSError{Err: "i/o timeout", Name: "web.whatsapp.com", IsTimeout: true})}

	resolvedToNowhere  = &network{client: dialsBy("0.0.0.0", fails(syscall.ECONNREFUSED, 0)), target: at("wss://0.0.0.0:443")}
	resolvedToLoopback = &network{client: dialsBy("127.0.0.1", fails(syscall.ECONNREFUSED, 0)), target: at("wss://127.0.0.1:443")}
	resolvedToPortal   = &network{client: dialsBy("192.168.1.1", fails(syscall.ECONNREFUSED, 0))}

	silentTLS = handled(silent)
	closedTLS = handled(closes)
	plainHTTP = handled(func(c net.Conn) {
		silent(c)
		go func() { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }()
	})
	foreign        = tlsServer{from: -day, to: day}.network()
	portalTLS      = tlsServer{from: -day, to: day, address: "10.0.0.1"}.network()
	misnamed       = tlsServer{from: -day, to: day, isTrusted: true, names: []string{"portal.test"}}.network()
	foreignExpired = tlsServer{from: -90 * day, to: -day}.network()
	clockAhead     = tlsServer{from: -90 * day, to: -day, isTrusted: true}.network()
	clockBehind    = tlsServer{from: day, to: 90 * day, isTrusted: true}.network()
	redirected     = tlsServer{from: -day, to: day, isTrusted: true, handler: func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://portal.test/login", http.StatusFound)
	}}.network()
	closedUpgrade = tlsServer{from: -day, to: day, isTrusted: true, handler: func(http.ResponseWriter, *http.Request) {
		panic(http.ErrAbortHandler)
	}}.network()

	webPage          = answers(http.StatusOK)
	portal511        = answers(http.StatusNetworkAuthenticationRequired)
	transparentProxy = answers(http.StatusServiceUnavailable, "Via", "1.1 squid")

	proxySilent = proxyHandling(silent)
	proxyCloses = proxyHandling(closes)
	proxyDown   = proxied(func(_ *testing.T, ln net.Listener) { _ = ln.Close() })
)
