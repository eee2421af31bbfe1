package whatsappsim

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"sync"
	"time"
)

// CAPEM returns the self-signed certificate of wss:// in PEM, for clients that have to trust it; for
// others the certificate is untrusted, which is a fault too. It returns nil if the certificate could not be made.
func (s *Server) CAPEM() []byte {
	cert, err := s.cert.get(nil)
	if err != nil {
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})
}

// certificate is made on first use.
type certificate struct {
	once sync.Once
	cert *tls.Certificate
	err  error
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.once.Do(func() { c.cert, c.err = selfSigned(time.Now()) })
	return c.cert, c.err
}

func selfSigned(now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	form := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "whatsappsim"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(365 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true,
		DNSNames:    []string{"web.whatsapp.com", "localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// sniffListener lets ws:// and wss:// share a port.
type sniffListener struct {
	net.Listener
	cfg *tls.Config
}

// Accept implements net.Listener.
func (l *sniffListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &sniffConn{Conn: c, cfg: l.cfg}, nil
}

// sniffConn detects TLS at its first read, outside the accept loop: a TLS ClientHello starts with 0x16, and no HTTP
// request does.
type sniffConn struct {
	net.Conn
	cfg   *tls.Config
	once  sync.Once
	inner net.Conn
}

// Read implements net.Conn.
func (c *sniffConn) Read(b []byte) (int, error) { return c.get().Read(b) }

// Write implements net.Conn.
func (c *sniffConn) Write(b []byte) (int, error) { return c.get().Write(b) }

func (c *sniffConn) get() net.Conn {
	c.once.Do(func() {
		r := bufio.NewReader(c.Conn)
		c.inner = &peekedConn{Conn: c.Conn, r: r}
		if first, err := r.Peek(1); err == nil && first[0] == 0x16 {
			c.inner = tls.Server(c.inner, c.cfg)
		}
	})
	return c.inner
}

// peekedConn reads through the buffer that was peeked into.
type peekedConn struct {
	net.Conn
	r *bufio.Reader
}

// Read implements net.Conn.
func (c *peekedConn) Read(b []byte) (int, error) { return c.r.Read(b) }
