package compat_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"qrgate/compat"
	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/internal/test/whatsappsim"
	"qrgate/internal/test/whatsappsim/whatsappsimtest"
)

// dialCase is a network between a client and WhatsApp, and the cause of the dial's failure.
type dialCase struct {
	transport func(*testing.T, *whatsappsim.Pipe) *http.Transport
	want      compat.DialFailure // Text: a part of it
}

// refusedBy fails as a closed port does.
func refusedBy(_ context.Context, network, addr string) (net.Conn, error) {
	host, _, _ := net.SplitHostPort(addr)
	return nil, &net.OpError{Op: "dial", Net: network, Addr: &net.TCPAddr{IP: net.ParseIP(host), Port: 443}, Err: syscall.ECONNREFUSED}
}

// servedWith serves HTTPS with a certificate of these dates on the pipe, and trusts its issuer if isTrusted.
func servedWith(from, to time.Duration, isTrusted bool, h http.HandlerFunc) func(*testing.T, *whatsappsim.Pipe) *http.Transport {
	return func(t *testing.T, pipe *whatsappsim.Pipe) *http.Transport {
		cert, roots := whatsappsimtest.Certificate(t, time.Now().Add(from), time.Now().Add(to))
		if !isTrusted {
			roots = x509.NewCertPool()
		}
		server := &http.Server{Handler: h}
		go func() { _ = server.Serve(tls.NewListener(pipe, &tls.Config{Certificates: []tls.Certificate{cert}})) }()
		t.Cleanup(func() { _ = server.Close() })
		return &http.Transport{
			DialContext:     whatsappsimtest.ResolvedTo("157.240.1.60", pipe.DialContext),
			TLSClientConfig: &tls.Config{RootCAs: roots, NextProtos: []string{"http/1.1"}},
		}
	}
}

// resolvedTo dials as if the resolver returned the address, where nothing listens.
func resolvedTo(address string) func(*testing.T, *whatsappsim.Pipe) *http.Transport {
	return func(*testing.T, *whatsappsim.Pipe) *http.Transport {
		return &http.Transport{DialContext: whatsappsimtest.ResolvedTo(address, refusedBy)}
	}
}

// acceptedBy accepts connections, and handles each.
func acceptedBy(proxy *url.URL, handle func(net.Conn)) func(*testing.T, *whatsappsim.Pipe) *http.Transport {
	return func(t *testing.T, pipe *whatsappsim.Pipe) *http.Transport {
		go func() {
			for {
				conn, err := pipe.Accept()
				if err != nil {
					return
				}
				handle(conn)
			}
		}()
		t.Cleanup(func() { _ = pipe.Close() })
		return &http.Transport{
			Proxy: http.ProxyURL(proxy), DialContext: whatsappsimtest.ResolvedTo("157.240.1.60", pipe.DialContext),
			TLSHandshakeTimeout: 5 * time.Second,
		}
	}
}

const day = 24 * time.Hour

func respond(status int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
	}
}

func dialCases() map[string]dialCase {
	const tcp, tls, upgrade = session.StepTCP, session.StepTLS, session.StepUpgrade
	proxy := &url.URL{Scheme: "http", Host: "proxy.test:3128"}
	silent := func(c net.Conn) { go func() { _, _ = io.Copy(io.Discard, c) }() }
	closing := func(c net.Conn) { _ = c.Close() }
	return map[string]dialCase{
		"redirect to a portal": {servedWith(-day, day, true, respond(302, "Location", "https://portal.test/login", "Server", "Portal 1.0")),
			compat.DialFailure{upgrade, diagnosis.NetworkBlocked, "Found, a redirect to portal.test, Server: Portal 1.0"}},
		"maintenance": {servedWith(-day, day, true, respond(503, "Server", "proxygen")),
			compat.DialFailure{upgrade, diagnosis.WhatsAppUnavailable, "Service Unavailable, Server: proxygen"}},
		"network authentication required": {servedWith(-day, day, true, respond(511)),
			compat.DialFailure{upgrade, diagnosis.NetworkBlocked, "Network Authentication Required"}},
		"a web page": {servedWith(-day, day, true, respond(200)), compat.DialFailure{upgrade, diagnosis.NetworkBlocked, "refused: OK"}},
		"a proxy in between": {servedWith(-day, day, true, respond(503, "Via", "1.1 squid.test (squid/5.7)")),
			compat.DialFailure{upgrade, diagnosis.ProxyRefused, "Service Unavailable, Via: 1.1 squid.test (squid/5.7)"}},
		"certificate expired by this clock": {servedWith(-90*day, -day, true, respond(200)),
			compat.DialFailure{tls, diagnosis.ClockWrong, "the time of this machine; issued by Test Root, valid from 1999-10-03 00:00 to 1999-12-31"}},
		"certificate not yet valid by this clock": {servedWith(day, 90*day, true, respond(200)),
			compat.DialFailure{tls, diagnosis.ClockWrong, "not valid at 2000-01-01 00:00"}},
		"expired and untrusted": {servedWith(-90*day, -day, false, respond(200)),
			compat.DialFailure{tls, diagnosis.TLSIntercepted, "issued by Test Root"}},
		"untrusted": {servedWith(-day, day, false, respond(200)),
			compat.DialFailure{tls, diagnosis.TLSIntercepted, "(157.240.1.60:443): its certificate is not trusted; issued by Test Root"}},
		"resolved to nowhere":  {resolvedTo("0.0.0.0"), compat.DialFailure{tcp, diagnosis.DNSFailed, "0.0.0.0, which is no address of WhatsApp"}},
		"resolved to loopback": {resolvedTo("127.0.0.1"), compat.DialFailure{tcp, diagnosis.DNSFailed, "127.0.0.1"}},
		"resolved to a portal": {resolvedTo("10.1.2.3"), compat.DialFailure{tcp, diagnosis.DNSFailed, "10.1.2.3"}},
		"refused":              {resolvedTo("157.240.1.60"), compat.DialFailure{tcp, diagnosis.NetworkBlocked, "157.240.1.60:443): connection refused"}},
		"proxy forbids": {acceptedBy(proxy, func(c net.Conn) {
			go func() {
				_, _ = c.Read(make([]byte, 1000))
				_, _ = io.WriteString(c, "HTTP/1.1 403 Forbidden\r\n\r\n")
			}()
		}), compat.DialFailure{tls, diagnosis.ProxyRefused, "the proxy proxy.test:3128 is unreachable or refuses to connect: Forbidden"}},
		"silent proxy":           {acceptedBy(proxy, silent), compat.DialFailure{tls, diagnosis.ProxyRefused, "the proxy proxy.test:3128 accepts the connection and does not respond"}},
		"proxy that hangs up":    {acceptedBy(proxy, closing), compat.DialFailure{tls, diagnosis.ProxyRefused, "the proxy proxy.test:3128 accepts the connection and closes"}},
		"silent during TLS":      {acceptedBy(nil, silent), compat.DialFailure{tls, diagnosis.NetworkBlocked, "during TLS, does not respond (157.240.1.60:443)"}},
		"closed during TLS":      {acceptedBy(nil, closing), compat.DialFailure{tls, diagnosis.NetworkBlocked, "during TLS, closes the connection"}},
		"silent after the offer": {servedWith(-day, day, true, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), compat.DialFailure{upgrade, diagnosis.WhatsAppSilent, "does not respond"}},
		"closed after the offer": {servedWith(-day, day, true, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), compat.DialFailure{upgrade, diagnosis.WhatsAppUnavailable, "closes the connection"}},
	}
}

// Each failure of a dial has its step, its cause and the details that decided.
func TestDialTrace_NamesStepCauseAndEvidence(t *testing.T) {
	t.Parallel()
	for name, tt := range dialCases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				client := compat.DialClient(&http.Client{Transport: tt.transport(t, &whatsappsim.Pipe{})})
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				traced, trace := compat.TraceDial(ctx, client)
				req, _ := http.NewRequestWithContext(traced, http.MethodGet, "https://web.whatsapp.com/ws/chat", nil)
				res, err := client.Do(req)
				if err == nil {
					_ = res.Body.Close()
				}
				got := trace.Failure(err)
				if got.Step != tt.want.Step || got.Code != tt.want.Code || !strings.Contains(got.Text, tt.want.Text) {
					t.Errorf("%+v, want %+v", got, tt.want)
				}
				time.Sleep(2 * time.Minute) // an abandoned dial through a proxy ends after one
			})
		})
	}
}

// The end of the context is no response of the peer.
func TestDialTrace_CanceledDialCountsAsSilence(t *testing.T) {
	t.Parallel()
	_, trace := compat.TraceDial(t.Context(), compat.DialClient(nil))
	if got := trace.Failure(errors.Join(context.Canceled)); got.Code != diagnosis.NetworkBlocked {
		t.Errorf("%+v", got)
	}
}
