package redis_test

import (
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"qrgate/internal/store/redis"
)

// rediss:// uses TLS, and refuses a server without a trusted certificate.
func TestTLS(t *testing.T) {
	t.Parallel()
	mini, err := miniredis.RunTLS(&tls.Config{Certificates: []tls.Certificate{selfSigned(t)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(mini.Close)
	config, url := redis.Config{Timeout: patient}, "rediss://"+mini.Addr()
	if err := open(t, config, url+"?skip_verify=true").Ping(t.Context()); err != nil {
		t.Errorf("Ping of a server that is taken at its word: %v", err)
	}
	wantDown(t, open(t, config, url), "its certificate is not trusted")
}

func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(nil, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}
}
