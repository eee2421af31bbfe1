package compat_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"qrgate/compat"
	"qrgate/internal/session"
)

// silentPort accepts connections and sends nothing.
func silentPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

// Only a failure before there is a connection proves that the engine did nothing.
func TestClient_FailureBeforeConnectionHasNoEffect(t *testing.T) {
	t.Parallel()
	hang := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // net/http notices only then that the client closes the connection
		<-r.Context().Done()
	})
	plain, tls := httptest.NewServer(http.NotFoundHandler()), httptest.NewTLSServer(http.NotFoundHandler())
	cuts := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	fails := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }))
	hangs, closed := httptest.NewServer(hang), httptest.NewServer(hang)
	closed.Close()
	for _, s := range []*httptest.Server{plain, tls, hangs, cuts, fails} {
		t.Cleanup(s.Close)
	}
	for name, tt := range map[string]struct {
		url      string
		noEffect bool
	}{
		"404":                   {plain.URL, true},
		"500":                   {fails.URL, false},
		"connection cut":        {cuts.URL, false},
		"no response in time":   {hangs.URL, false},
		"connection refused":    {closed.URL, true},
		"no such host":          {"http://nobody.invalid", true},
		"plain HTTP for https":  {"https://" + strings.TrimPrefix(plain.URL, "http://"), true},
		"unknown certificate":   {tls.URL, true},
		"TLS handshake timeout": {"https://" + silentPort(t), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			base, err := url.Parse(tt.url)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			client := compat.Client{BaseURL: base, Transport: transport}
			_, err = client.Create(ctx, session.Caller{}, "shop-1", "Shop")
			if failure := session.AsEngineError(err); failure == nil || failure.HasNoEffect != tt.noEffect {
				t.Errorf("%v, want HasNoEffect %t", err, tt.noEffect)
			}
		})
	}
}

// A transport without httptrace proves nothing.
func TestClient_UntracedFailureMayHaveEffect(t *testing.T) {
	t.Parallel()
	transport := roundTripper(func(*http.Request) (*http.Response, error) { return nil, errors.New("cut") })
	client := compat.Client{BaseURL: &url.URL{Scheme: "http", Host: "engine.test"}, Transport: transport}
	_, err := client.Create(t.Context(), session.Caller{}, "shop-1", "Shop")
	if failure := session.AsEngineError(err); failure == nil || failure.HasNoEffect {
		t.Errorf("%v", err)
	}
}

func TestResponse_OnlyDefinite4xxHasNoEffect(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]bool{
		302: false, 400: true, 401: true, 404: true, 408: false, 409: true, 429: true, 499: false, 500: false, 503: false,
	} {
		r := compat.Response{Status: status, Body: []byte(`{"success":false}`), Complete: true}
		if got := r.EngineError(session.OpCreate); got.HasNoEffect != want {
			t.Errorf("%d: %t, want %t", status, got.HasNoEffect, want)
		}
	}
}

// roundTripper is a transport in a function.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
