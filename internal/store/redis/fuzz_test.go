package redis

import (
	"bufio"
	"context"
	"errors"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"qrgate/internal/secret"
	"qrgate/internal/store"
)

// A Redis URL is refused with a text that has nothing of it, or it names servers, and its TLS checks certificates
// unless the URL says skip_verify. What is accepted for one server is what the library's own strict parser accepts.
func FuzzRedisURL(f *testing.F) {
	const canary = "canary.Zq7"
	for _, parts := range [][3]string{
		{"redis://user:", "", "@127.0.0.1:6379/0"}, {"rediss://:", "", "@redis.example"}, {"redis+cluster://u:", "", "@h1,h2:7001,[::1]"},
		{"redis+sentinel://u:", "", "@h1:26379,h2/main/3?sentinel_password=x"}, {"unix://u:", "", "@/run/redis.sock?db=2"},
		{"redis://h/", "", ""}, {"rediss://h?skip_verify=", "true", ""}, {"redis://u:", "p@ss#%zz", "@h"}, {"rediss+cluster://", "", ",,"},
	} {
		f.Add(parts[0], parts[1], parts[2])
	}
	f.Fuzz(func(t *testing.T, before, password, after string) {
		for _, text := range []string{before + password + after, before + canary + password + after} {
			s, err := newServer(Config{URL: secret.NewSecret(text), Timeout: DefaultTimeout})
			if err != nil {
				if strings.Contains(err.Error(), canary) {
					t.Errorf("%q: %v", text, err)
				}
				continue
			}
			checkServer(t, text, s)
		}
	})
}

func checkServer(t *testing.T, text string, s *server) {
	t.Helper()
	o := s.options
	if len(o.Addrs) == 0 || o.DB < 0 || o.DialTimeout != leastWait || o.ReadTimeout != DefaultTimeout || !o.ContextTimeoutEnabled {
		t.Errorf("%q: %+v", text, o)
	}
	isTLS := strings.HasPrefix(strings.ToLower(text), "rediss")
	if isTLS != (o.TLSConfig != nil) || isTLS && o.TLSConfig.InsecureSkipVerify && !strings.Contains(text, "skip_verify") {
		t.Errorf("%q: TLS %+v", text, o.TLSConfig)
	}
	if s.topology == single {
		if _, err := redis.ParseURL(text); err != nil {
			t.Errorf("%q is accepted, and the library reports %v", text, err)
		}
		return
	}
	for _, addr := range o.Addrs {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			t.Errorf("%q: the address %q: %v", text, addr, err)
		}
	}
	if s.topology == sentinel && o.MasterName == "" {
		t.Errorf("%q: no master", text)
	}
}

var hugeLength = regexp.MustCompile(`[*%>~|$!=][0-9]{6}`)

// Whatever a server replies to an operation, it ends within its timeout with a result of the right shape or an error
// that says the store is unavailable.
func FuzzReplies(f *testing.F) {
	for _, reply := range []string{
		"*3\r\n$1\r\n7\r\n$1\r\nx\r\n:5000\r\n", "*3\r\n$0\r\n\r\n$0\r\n\r\n:-2\r\n", ":1\r\n", ":0\r\n", "-NOSCRIPT none\r\n", "-READONLY\r\n",
		"*3\r\n$1\r\n-\r\n$1\r\nx\r\n:1\r\n", "%1\r\n+a\r\n+b\r\n", "$-1\r\n", "*-1\r\n", "_\r\n", "*3\r\n:1\r\n:2\r\n:9223372036854775807\r\n", "+OK\r\n",
	} {
		f.Add([]byte(reply))
	}
	f.Fuzz(func(t *testing.T, reply []byte) {
		if hugeLength.Match(reply) {
			return // the library allocates what a length says: see SECURITY.md
		}
		s := newFuzzStore(t, reply)
		defer s.Close()
		startedAt := time.Now()
		records, err := s.Get(t.Context(), "{a}:st")
		checkReply(t, err)
		if err == nil && len(records) != 1 {
			t.Errorf("%d records", len(records))
		}
		for _, r := range records {
			if r.Version < 0 || r.TTL < 0 || (r.TTL == 0) != (r.Value == nil) || r.Value != nil && r.Version == 0 {
				t.Errorf("%+v", r)
			}
		}
		if err := s.Put(t.Context(), "{a}:st", 1, store.Record{Version: 2, TTL: time.Second}); !errors.Is(err, store.ErrVersionConflict) {
			checkReply(t, err)
		}
		_, err = s.Acquire(t.Context(), "{a}:lk", "me", time.Second)
		checkReply(t, err)
		rows, err := s.Table("replicas").All(t.Context())
		checkReply(t, err)
		if len(rows) > maxRows || time.Since(startedAt) > 10*time.Second {
			t.Errorf("%d rows after %v", len(rows), time.Since(startedAt))
		}
	})
}

func checkReply(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, store.ErrStoreUnavailable) {
		t.Errorf("an error of another kind: %v", err)
	}
}

// newFuzzStore returns a store whose server accepts the greeting of a connection and sends reply to every command.
func newFuzzStore(t *testing.T, reply []byte) *Store {
	t.Helper()
	c := Config{URL: secret.NewSecret("redis://redis.test"), Timeout: 20 * time.Millisecond}
	server, err := newServer(c)
	if err != nil {
		t.Fatal(err)
	}
	server.options.Dialer = func(context.Context, string, string) (net.Conn, error) {
		client, remote := net.Pipe()
		go serveReply(remote, reply)
		return client, nil
	}
	return &Store{timeout: c.Timeout, client: server.connect(), events: server.connect(), scripts: newScripts()}
}

// serveReply sends reply for every chunk that arrives, and OK for the greeting.
func serveReply(conn net.Conn, reply []byte) {
	defer conn.Close()
	r, chunk := bufio.NewReader(conn), make([]byte, 4096)
	for {
		n, err := r.Read(chunk)
		if err != nil {
			return
		}
		answer := reply
		if strings.Contains(strings.ToLower(string(chunk[:n])), "hello") {
			answer = []byte("-ERR unknown command 'HELLO'\r\n")
		}
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
}
