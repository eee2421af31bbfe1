package proxy

import (
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
)

// strippedHeaders are request headers that make some engines route, or authorise, by something else than the
// request line. Nobody may send them through.
var strippedHeaders = []string{
	"X-Original-Url", "X-Original-Uri", "X-Rewrite-Url", "X-Replaced-Path",
	"X-Http-Method-Override", "X-Http-Method", "X-Method-Override",
}

// clientIPHeaders are request headers that tell where a client is, beside X-Forwarded-*. Only a trusted proxy may.
var clientIPHeaders = []string{"Forwarded", "X-Real-Ip", "X-Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "X-Cluster-Client-Ip"}

// rewrite makes the request for the engine: its own URL and host, the headers that clients depend on, and
// none that could mislead. It runs after httputil has removed what is hop-by-hop, so that a client's
// "Connection: X-Forwarded-For" cannot remove what is set here (reliability 2.1).
func (f *Handler) rewrite(p *httputil.ProxyRequest) {
	p.Out.URL = f.engineURL(target{path: p.In.URL.Path, query: p.In.URL.RawQuery})
	p.Out.URL.ForceQuery = p.In.URL.ForceQuery
	p.Out.Host = ""
	p.Out.Trailer = p.In.Trailer // filled when the body has been read, which happens on the way out
	cleanHeaders(p.Out.Header)
	f.forwardedHeaders(p)
	p.Out.Header.Set(headerRequestID, p.In.Header.Get(headerRequestID))
	hideIdempotencyKey(p.Out.Header)
	keepEmptyBody(p)
	f.config.Loop.mark(p.Out.Header)
	if f.config.Trail != nil {
		f.config.Trail.Inject(p.In.Context(), p.Out.Header)
	}
}

// engineURL is where the engine serves t.
func (f *Handler) engineURL(t target) *url.URL {
	e := f.config.Engine
	return &url.URL{Scheme: e.Scheme, Host: e.Host, Path: strings.TrimSuffix(e.Path, "/") + t.path, RawQuery: t.query}
}

// cleanHeaders removes what must not reach the engine: misleading headers, a tenant that only the gate may
// name, and every name with an underscore, which some engines read as a hyphen (nginx drops those too).
func cleanHeaders(h http.Header) {
	for _, name := range strippedHeaders {
		h.Del(name)
	}
	for name := range h {
		if strings.Contains(name, "_") || strings.HasPrefix(name, "X-Tenant") {
			delete(h, name)
		}
	}
}

// forwardedHeaders tells the engine where the client is. What a client says of itself is dropped, unless
// the client is a trusted proxy.
func (f *Handler) forwardedHeaders(p *httputil.ProxyRequest) {
	if !f.trusted(p.In.RemoteAddr) {
		for name := range p.Out.Header {
			if strings.HasPrefix(name, "X-Forwarded-") {
				delete(p.Out.Header, name)
			}
		}
		for _, name := range clientIPHeaders {
			p.Out.Header.Del(name)
		}
		p.SetXForwarded()
		return
	}
	if prior := p.In.Header["X-Forwarded-For"]; len(prior) > 0 {
		p.Out.Header["X-Forwarded-For"] = prior
	}
	p.SetXForwarded()
	for _, name := range []string{"X-Forwarded-Host", "X-Forwarded-Proto"} {
		if said := p.In.Header.Get(name); said != "" {
			p.Out.Header.Set(name, said)
		}
	}
}

// trusted reports whether the peer is in a trusted network.
func (f *Handler) trusted(remote string) bool {
	peer, err := netip.ParseAddrPort(remote)
	if err != nil {
		return false
	}
	for _, network := range f.config.TrustedProxies {
		if network.Contains(peer.Addr().Unmap()) {
			return true
		}
	}
	return false
}

// keepEmptyBody says "Content-Length: 0" to the engine where a client says it and net/http would not: with a DELETE, as
// Python's requests do. Some engines have an empty body then, and none at all without it.
func keepEmptyBody(p *httputil.ProxyRequest) {
	if p.In.ContentLength == 0 && p.In.Header.Get("Content-Length") != "" {
		p.Out.Body, p.Out.TransferEncoding = http.NoBody, []string{"identity"}
	}
}

// hideIdempotencyKey hides an Idempotency-Key from the transport by its spelling, which the engine does not mind:
// net/http sends a POST that has one a second time when a connection breaks. The client wrote the key for
// the engine, and gave the gate no leave to repeat anything.
func hideIdempotencyKey(h http.Header) {
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		if v, ok := h[name]; ok {
			delete(h, name)
			h[strings.ToLower(name)] = v
		}
	}
}
