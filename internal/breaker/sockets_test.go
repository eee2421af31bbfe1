package breaker_test

import (
	"net"
	"net/http"
	"testing"
	"time"

	"qrgate/internal/breaker"
)

// The real errors of net/http when no connection can be opened.
func TestBreaker_RealConnections(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // it accepts connections and sends nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = gone.Close()
	for name, c := range map[string]struct {
		url  string
		want breaker.State
	}{
		"connection refused": {"http://" + gone.Addr().String(), breaker.Open},
		"no TLS handshake":   {"https://" + silent.Addr().String(), breaker.Open},
		"no response":        {"http://" + silent.Addr().String(), breaker.Closed},
		"no such scheme":     {"gopher://" + silent.Addr().String(), breaker.Closed},
	} {
		t.Run(name, func(t *testing.T) {
			next := &http.Transport{TLSHandshakeTimeout: 20 * time.Millisecond, ResponseHeaderTimeout: 20 * time.Millisecond}
			defer next.CloseIdleConnections()
			b := breaker.New(next, func(_, _ breaker.State) {})
			for range 5 {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url, nil)
				if err != nil {
					t.Fatal(err)
				}
				res, err := b.RoundTrip(r)
				if err == nil {
					_ = res.Body.Close()
					t.Fatal("there is a response")
				}
			}
			if got := b.State(); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	l := breaker.New(connects(responds(200)), func(_, _ breaker.State) {})
	r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://engine.test/", nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		_, _ = l.RoundTrip(r)
	}
}
