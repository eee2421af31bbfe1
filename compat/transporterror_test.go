package compat_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"qrgate/compat"
	"qrgate/internal/session"
)

// The errors are those that net/http returns for real connections.
func TestClassifyTransportError_ReasonsOfRealConnections(t *testing.T) {
	t.Parallel()
	page := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	plain, secure := httptest.NewServer(page), httptest.NewTLSServer(page)
	cuts := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	mail, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mail.Close()
	go func() {
		for c, err := mail.Accept(); err == nil; c, err = mail.Accept() {
			_, _ = io.WriteString(c, "220 mail.test ESMTP\r\n")
			_ = c.Close()
		}
	}()
	gone := httptest.NewServer(page)
	gone.Close()
	for _, s := range []*httptest.Server{plain, secure, cuts, hangs} {
		defer s.Close()
	}
	other := strings.Replace(secure.URL, "127.0.0.1", "localhost", 1) // not in the certificate
	trusting := secure.Client().Transport.(*http.Transport).Clone()
	defer trusting.CloseIdleConnections()
	ordinary := &http.Transport{ResponseHeaderTimeout: 20 * time.Millisecond}
	defer ordinary.CloseIdleConnections()
	for name, c := range map[string]struct {
		url  string
		by   http.RoundTripper
		want string
	}{
		"refused":                     {gone.URL, ordinary, "connection refused"},
		"unknown certificate":         {secure.URL, ordinary, "its certificate is not trusted"},
		"certificate of another host": {other, trusting, "its certificate is for another name"},
		"plain HTTP for https":        {"https" + strings.TrimPrefix(plain.URL, "http"), ordinary, "it speaks plain HTTP where HTTPS is expected"},
		"not HTTP":                    {"http://" + mail.Addr().String(), ordinary, "the peer does not speak HTTP"},
		"connection cut":              {cuts.URL, ordinary, "the connection was closed before a response"},
		"no response":                 {hangs.URL, ordinary, "no response in time"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := c.by.RoundTrip(req)
		if err == nil {
			_ = res.Body.Close()
			t.Errorf("%s: a response", name)
		}
		if got := compat.ClassifyTransportError(err).Reason; got != c.want {
			t.Errorf("%s: %q of %v, want %q", name, got, err, c.want)
		}
	}
	for err, want := range map[error]string{
		nil:                             "",
		&net.DNSError{IsNotFound: true}: "no such host",
		&net.DNSError{IsTimeout: true}:  "the host name cannot be resolved",
		context.Canceled:                "",
		errors.New("secret://x:y@z"):    "",
		errors.New(`malformed HTTP response "\x15\x03\x01\x00\x02\x02"`): "it speaks HTTPS where plain HTTP is expected",
		&net.OpError{Op: "dial", Err: context.DeadlineExceeded}:          "no connection in time",
	} {
		if got := compat.ClassifyTransportError(err).Reason; got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}

// A dial timeout is no connection, and so is a dial that an open circuit breaker refuses.
func TestTransportError_Kinds(t *testing.T) {
	t.Parallel()
	late, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	canceled, cancelNow := context.WithCancel(t.Context())
	cancelNow()
	for name, x := range map[string]struct {
		ctx  context.Context
		err  error
		want session.ErrorKind
	}{
		"refused":          {t.Context(), &net.OpError{Op: "dial", Err: errors.New("connection refused")}, session.KindUnreachable},
		"dial timed out":   {t.Context(), &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}, session.KindUnreachable},
		"circuit is open":  {t.Context(), fmt.Errorf("x: %w", &net.OpError{Op: "dial", Err: errors.New("the circuit is open")}), session.KindUnreachable},
		"reset":            {t.Context(), &net.OpError{Op: "read", Err: errors.New("connection reset")}, session.KindUnreachable},
		"response timeout": {t.Context(), &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, session.KindTimeout},
		"deadline":         {late, context.DeadlineExceeded, session.KindTimeout},
		"canceled":         {canceled, &net.OpError{Op: "dial", Err: context.Canceled}, session.KindCanceled},
	} {
		if got := compat.TransportError(x.ctx, session.OpQR, x.err); got.Kind != x.want || got.Op != session.OpQR || got.Err == nil {
			t.Errorf("%s: %v, want %s", name, got, x.want)
		}
	}
}

// The classes decide what the diagnosis blames, so proxy and DNS errors must not look like the peer's.
func TestClassifyTransportError_Classes(t *testing.T) {
	t.Parallel()
	dns := &net.OpError{Op: "dial", Err: &net.DNSError{IsNotFound: true}}
	for name, tt := range map[string]struct {
		err          error
		class        compat.TransportClass
		notConnected bool
	}{
		"no error":            {nil, compat.TransportUnknown, false},
		"unknown":             {errors.New("x"), compat.TransportUnknown, false},
		"no such host":        {dns, compat.TransportDNS, true},
		"proxy not reachable": {&net.OpError{Op: "proxyconnect", Err: dns}, compat.TransportProxy, true},
		"proxy refuses":       {errors.New("Forbidden"), compat.TransportProxy, true},
		"refused":             {&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, compat.TransportDial, true},
		"plain HTTP":          {http.ErrSchemeMismatch, compat.TransportTLS, false},
		"not HTTP":            {errors.New(`malformed HTTP response "220"`), compat.TransportProtocol, false},
		"timeout":             {context.DeadlineExceeded, compat.TransportTimeout, false},
		"reset":               {&net.OpError{Op: "read", Err: syscall.ECONNRESET}, compat.TransportClosed, false},
	} {
		got := compat.ClassifyTransportError(tt.err)
		if got.Class != tt.class || got.IsNotConnected() != tt.notConnected {
			t.Errorf("%s: %+v, want %s", name, got, tt.class)
		}
	}
}
