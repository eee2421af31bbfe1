package compat_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"qrgate/compat"
)

// silentPort takes connections and says nothing on them.
func silentPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

// TestDeparture: only what fails before there is a connection certainly never left.
func TestDeparture(t *testing.T) {
	t.Parallel()
	quiet := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then net/http sees that the client leaves
		<-r.Context().Done()
	})
	plain, tls, hangs := httptest.NewServer(http.NotFoundHandler()), httptest.NewTLSServer(http.NotFoundHandler()), httptest.NewServer(quiet)
	cuts := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	closed := httptest.NewServer(quiet)
	closed.Close()
	for _, s := range []*httptest.Server{plain, tls, hangs, cuts} {
		t.Cleanup(s.Close)
	}
	for name, tt := range map[string]struct {
		url   string
		never bool
	}{
		"answered":                {plain.URL, false},
		"cut off":                 {cuts.URL, false},
		"no answer in time":       {hangs.URL, false},
		"nobody listens":          {closed.URL, true},
		"no such name":            {"http://nobody.invalid", true},
		"plain HTTP for https":    {"https://" + strings.TrimPrefix(plain.URL, "http://"), true},
		"an unknown certificate":  {tls.URL, true},
		"no TLS handshake at all": {"https://" + silentPort(t), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			way := &http.Transport{}
			defer way.CloseIdleConnections()
			var d compat.SendTracker
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			req, err := http.NewRequestWithContext(d.Watch(ctx), http.MethodPost, tt.url, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			if res, err := way.RoundTrip(req); err == nil {
				_ = res.Body.Close()
			}
			if d.NotSent() != tt.never {
				t.Errorf("it never left: %t, want %t", d.NotSent(), tt.never)
			}
		})
	}
}

// TestDepartureWithoutWord: who is told nothing of the dial claims nothing.
func TestDepartureWithoutWord(t *testing.T) {
	t.Parallel()
	var d compat.SendTracker
	if d.Watch(t.Context()); d.NotSent() {
		t.Error("a request that nobody saw is said to have stayed")
	}
}

func TestDeclined(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]bool{200: false, 302: false, 400: true, 401: true, 404: true, 408: false, 409: true, 429: true, 499: false, 500: false, 503: false} {
		if compat.Rejected(status) != want {
			t.Errorf("%d: want %t", status, want)
		}
	}
}
