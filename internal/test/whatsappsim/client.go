package whatsappsim

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
)

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// HTTPClient is what makes whatsmeow talk to the server at addr (host:port): it goes to SetPreLoginHTTPClient
// and to SetWebsocketHTTPClient, both, or the reconnect after a pairing leaves for the internet. Whatever the
// URL says, every dial goes to addr and in plain text. The caller sets the ResponseHeaderTimeout of its
// *http.Transport, without which a server that never answers the upgrade blocks Connect for ever.
func (s *Server) HTTPClient(addr string) *http.Client { return plainClient(dialTo(addr)) }

// HTTPSClient is like HTTPClient over real TLS. With s.CAPEM() in roots the certificate is accepted; with nil
// roots, which means those of the system, it is not.
func (s *Server) HTTPSClient(addr string, roots *x509.CertPool) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext:       dialTo(addr),
		TLSClientConfig:   &tls.Config{RootCAs: roots, NextProtos: []string{"http/1.1"}},
		DisableKeepAlives: true,
	}}
}

func dialTo(addr string) dialFunc {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	}
}

// plainClient dials wss:// without TLS: a DialTLSContext is trusted to have done the TLS.
func plainClient(dial dialFunc) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: dial, DialTLSContext: dial, DisableKeepAlives: true}}
}
