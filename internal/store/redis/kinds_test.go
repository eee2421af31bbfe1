package redis_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"qrgate/internal/secret"
	"qrgate/internal/store/redis"
	"qrgate/internal/test/redistest"
	"qrgate/internal/test/storetest"
)

func conforms(t *testing.T, config redis.Config, url string) {
	t.Helper()
	config.Timeout = patient
	t.Run("", func(t *testing.T) {
		storetest.Store(t, func(t *testing.T) storetest.Storage { return open(t, config, url) })
	})
}

func TestStore_ConformsOnUnixSocket(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "redis.sock")
	redistest.Start(t, "--unixsocket", socket)
	conforms(t, redis.Config{}, "unix://"+socket+"?db=3")
}

func TestStore_ConformsWithSentinel(t *testing.T) {
	t.Parallel()
	conforms(t, redis.Config{}, redistest.StartSentinels(t).URL())
}

func TestStore_ConformsOnCluster(t *testing.T) {
	t.Parallel()
	conforms(t, redis.Config{}, redistest.StartCluster(t).URL())
}

// rediss:// with a CA of its own, a client certificate and a password that is not in the URL.
func TestStore_TLSWithClientCertificate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeCertificates(t, dir)
	file := func(name string) string { return filepath.Join(dir, name) }
	text := func(name string) string {
		pem, err := os.ReadFile(file(name))
		if err != nil {
			t.Fatal(err)
		}
		return string(pem)
	}
	port := freePort(t)
	redistest.Start(t, "--tls-port", port, "--tls-cert-file", file("server.crt"), "--tls-key-file", file("server.key"),
		"--tls-ca-cert-file", file("ca.crt"), "--tls-auth-clients", "yes", "--requirepass", "canary-password")
	url := "rediss://127.0.0.1:" + port
	config := redis.Config{Password: secret.NewSecret("canary-password"), Timeout: patient,
		TLS: redis.TLS{CA: text("ca.crt"), Cert: text("client.crt"), Key: secret.NewSecret(text("client.key"))}}
	if err := open(t, config, url).Ping(t.Context()); err != nil {
		t.Errorf("Ping: %v", err)
	}
	config.TLS = redis.TLS{CA: text("ca.crt")}
	wantDown(t, open(t, config, url), "it requires a client certificate")
	config.TLS = redis.TLS{}
	wantDown(t, open(t, config, url), "its certificate is not trusted")
	for name, c := range map[string]struct {
		url string
		tls redis.TLS
	}{
		"no CA":       {url, redis.TLS{CA: "canary"}},
		"no pair":     {url, redis.TLS{Cert: text("client.crt"), Key: secret.NewSecret(text("server.key"))}},
		"without TLS": {"redis://127.0.0.1:" + port, redis.TLS{CA: text("ca.crt")}},
	} {
		if _, err := redis.New(redis.Config{URL: secret.NewSecret(c.url), TLS: c.tls}); err == nil {
			t.Errorf("%s: New succeeds", name)
		}
	}
}

// A server that cannot do what qrgate needs is named by its kind and the remedy, by the first check.
func TestPing_NamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	sentinels, cluster := redistest.StartSentinels(t), redistest.StartCluster(t)
	plain := redistest.Start(t)
	limited := func(rules ...string) string {
		server := redistest.Start(t)
		server.Command(append([]string{"ACL", "SETUSER", "gate", "reset", "on", ">pw"}, rules...)...)
		return "redis://gate:pw@" + server.Addr()
	}
	for name, c := range map[string]struct{ url, want string }{
		"a replica":            {sentinels.Replica.URL(), "READONLY: it is a replica; use the master, or redis+sentinel://"},
		"a Sentinel":           {sentinels.Sentinel.URL(), "it is a Sentinel; use redis+sentinel://host/MASTER/0"},
		"an unknown master":    {"redis+sentinel://" + sentinels.Sentinel.Addr() + "/other", "the Sentinels know no such master; correct MASTER in redis+sentinel://host/MASTER/0"},
		"no Sentinel":          {"redis+sentinel://" + plain.Addr() + "/main", "SENTINEL: it is not a Sentinel; use redis://"},
		"a node of a cluster":  {cluster.Nodes[0].URL(), "MOVED: it is a node of a cluster; use redis+cluster://"},
		"not a cluster":        {"redis+cluster://" + plain.Addr(), "CLUSTER: it is not a cluster; use redis://"},
		"no scripts":           {limited("~*", "&*", "+@all", "-eval", "-evalsha"), "NOPERM: the user needs the documented permissions"},
		"no channel":           {limited("~*", "+@all", "resetchannels"), "NOPERM: the user needs the documented permissions"},
		"another key's prefix": {limited("~other:*", "&*", "+@all"), "NOPERM: the user needs the documented permissions"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, redis.Config{Timeout: patient}, c.url)
			eventually(t, name, func() error { // a node of a cluster may own the slot of the first record
				s = open(t, redis.Config{Timeout: patient}, c.url)
				err := s.Ping(t.Context())
				if err == nil || !strings.HasSuffix(err.Error(), c.want) {
					return fmt.Errorf("%v, want %q", err, c.want)
				}
				return nil
			})
		})
	}
}

// After a failover the store writes to the new master, within ten seconds.
func TestSentinel_Failover(t *testing.T) {
	t.Parallel()
	servers := redistest.StartSentinels(t)
	s := open(t, redis.Config{}, servers.URL())
	running(t, s)
	eventually(t, "the first write", func() error { return write(t, s, "{k}:qr", 1) })
	servers.Replica.Await("slave_read_repl_offset", "INFO", "replication")
	servers.Master.Stop()
	stoppedAt := time.Now()
	eventually(t, "a write after the failover", func() error { return write(t, s, "{k}:qr", time.Now().UnixMilli()) })
	t.Logf("healed %v after the master's end", time.Since(stoppedAt))
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("Ping: %v", err)
	}
	servers.Replica.Await("role:master", "INFO", "replication")
}

// While slots move between nodes, every record stays readable and writable.
func TestCluster_Resharding(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t)
	s := open(t, redis.Config{Timeout: patient}, cluster.URL())
	for slot := range 300 { // of the first node to the second
		cluster.MoveSlot(slot, cluster.Nodes[0], cluster.Nodes[1])
		key := fmt.Sprintf("{t.%d}:qr", slot)
		if err := write(t, s, key, 1); err != nil {
			t.Fatalf("after %d moved slots: %v", slot+1, err)
		}
		records, err := s.Get(t.Context(), key)
		if err != nil || records[0].Version != 1 {
			t.Fatalf("after %d moved slots: %v, %v", slot+1, records, err)
		}
	}
	if _, err := s.Get(t.Context(), "{a}:st", "{a}:qr", "{b}:st"); err != nil {
		t.Errorf("keys of several slots: %v", err)
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// writeCertificates makes a CA, and a server's and a client's certificate, as PEM files.
func writeCertificates(t *testing.T, dir string) {
	t.Helper()
	save := func(name, kind string, der []byte) {
		file := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
		if err := os.WriteFile(filepath.Join(dir, name), file, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	template := func(n int64) *x509.Certificate {
		return &x509.Certificate{SerialNumber: big.NewInt(n), Subject: pkix.Name{CommonName: fmt.Sprint("test ", n)},
			NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	}
	caKey, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ca := template(1)
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	save("ca.crt", "CERTIFICATE", der)
	for i, name := range []string{"server", "client"} {
		key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		der, err := x509.CreateCertificate(rand.Reader, template(int64(i+2)), ca, &key.PublicKey, caKey)
		if err != nil {
			t.Fatal(err)
		}
		save(name+".crt", "CERTIFICATE", der)
		private, _ := x509.MarshalECPrivateKey(key)
		save(name+".key", "EC PRIVATE KEY", private)
	}
}
