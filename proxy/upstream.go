package proxy

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"qrgate/compat"
	"qrgate/internal/session"
)

// Limits of calls whose response qrgate reads and normalizes.
const (
	callTimeout     = 25 * time.Second        // most clients give up after 30 s
	connectTimeout  = 8500 * time.Millisecond // the production client gives a connect 10 s (contract 4.1)
	fetchTimeout    = 4 * time.Second         // a call that the client did not ask for must not cost it its response
	maxResponseSize = 4 << 20                 // bytes of the engine's response
)

// errResponseRead keeps httputil from copying a response that has been read already.
var errResponseRead = errors.New("the response was read")

// forwardRequest sends the client's request to the engine under another path and query and reads the response. The
// error is a *session.EngineError; op names the call in it.
func (s *sessionRequest) forwardRequest(op, path, query string, timeout time.Duration) (compat.Response, error) {
	return s.forward(op, s.engineURL(path, query), s.c.Request, timeout)
}

// fetch sends a GET that the client did not ask for, with the client's credential.
func (s *sessionRequest) fetch(op, path, query string) (compat.Response, error) {
	in := s.c.Request.Clone(s.ctx())
	in.Method, in.Body, in.ContentLength = http.MethodGet, http.NoBody, 0
	in.Header.Del("Content-Length")
	return s.forward(op, s.engineURL(path, query), in, fetchTimeout)
}

func (s *sessionRequest) forward(
	op string, u *url.URL, in *http.Request, timeout time.Duration,
) (compat.Response, error) {
	if u == nil {
		return compat.Response{}, &session.EngineError{Op: op, Kind: session.KindUnreachable}
	}
	ctx, cancel := context.WithTimeout(in.Context(), timeout)
	defer cancel()
	var response compat.Response
	var failure error
	reverse := httputil.ReverseProxy{
		Transport: s.config.Transport,
		ErrorLog:  s.discardLog,
		Rewrite: func(p *httputil.ProxyRequest) {
			s.w.rewrite(p)
			p.Out.URL = u
			for _, name := range conditionalHeaders {
				p.Out.Header.Del(name)
			}
		},
		ModifyResponse: func(res *http.Response) (err error) {
			s.cors.record(res.Request.Header.Get("Origin"), res.Header)
			if response, err = readResponse(res); err != nil {
				return err
			}
			return errResponseRead
		},
		ErrorHandler: func(_ http.ResponseWriter, _ *http.Request, err error) { failure = err },
	}
	reverse.ServeHTTP(discard{}, in.WithContext(ctx))
	response.At = time.Now()
	if failure != nil && !errors.Is(failure, errResponseRead) {
		e := compat.TransportError(ctx, op, failure)
		e.Status = response.Status
		return response, e
	}
	limits := compat.RateLimits(response.Header, response.At)
	limited := response.Status == http.StatusTooManyRequests
	s.config.QRService.OnRateLimits(s.caller, limits, limited, compat.RetryAfter(response.Header, response.At))
	if e := response.EngineError(op); e != nil {
		return response, e
	}
	return response, nil
}

// conditionalHeaders are request headers that could make the response incomplete or compressed.
var conditionalHeaders = []string{
	"Accept-Encoding", "If-None-Match", "If-Modified-Since", "Range", "If-Range", "If-Match", "If-Unmodified-Since",
}

func readResponse(res *http.Response) (compat.Response, error) {
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxResponseSize+1))
	complete := len(body) <= maxResponseSize
	return compat.Response{Status: res.StatusCode, Header: res.Header, Body: body, Complete: complete}, err
}

// discard is an [http.ResponseWriter] without a client.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}

// engineURL is where the engine serves path; nil without a separate engine.
func (h *Handler) engineURL(path, query string) *url.URL {
	e := h.config.Engine
	if e == nil {
		return nil
	}
	return &url.URL{Scheme: e.Scheme, Host: e.Host, Path: strings.TrimSuffix(e.Path, "/") + path, RawQuery: query}
}

// strippedHeaders are request headers that make some engines route or authorize by something else than the request
// line.
var strippedHeaders = []string{
	"X-Original-Url", "X-Original-Uri", "X-Rewrite-Url", "X-Replaced-Path",
	"X-Http-Method-Override", "X-Http-Method", "X-Method-Override",
}

// clientIPHeaders tell the client's address, beside X-Forwarded-*. Only a trusted proxy may send them.
var clientIPHeaders = []string{
	"Forwarded", "X-Real-Ip", "X-Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "X-Cluster-Client-Ip",
}

// rewrite makes the request for the engine. It runs after httputil has removed hop-by-hop headers, so that a client's
// "Connection: X-Forwarded-For" cannot remove what is set here.
func (w *responseWriter) rewrite(p *httputil.ProxyRequest) {
	h := w.handler
	p.Out.URL = h.engineURL(p.In.URL.Path, p.In.URL.RawQuery)
	p.Out.URL.ForceQuery = p.In.URL.ForceQuery
	p.Out.Host = ""
	p.Out.Trailer = p.In.Trailer // the map is filled while the body is sent
	cleanHeaders(p.Out.Header)
	h.setForwardedHeaders(p)
	p.Out.Header[headerRequestID] = []string{w.requestID}
	hideIdempotencyKey(p.Out.Header)
	keepEmptyBody(p)
	h.config.Loop.mark(p.Out.Header)
	if h.config.Tracer != nil {
		h.config.Tracer.Inject(p.In.Context(), p.Out.Header)
	}
}

// cleanHeaders removes what must not reach the engine: misleading headers, X-Tenant*, and every name with an
// underscore, which some engines read as a hyphen (nginx drops those too).
func cleanHeaders(h http.Header) {
	for _, name := range strippedHeaders {
		delete(h, name)
	}
	for name := range h {
		if strings.Contains(name, "_") || strings.HasPrefix(name, "X-Tenant") {
			delete(h, name)
		}
	}
}

// setForwardedHeaders tells the engine the client's address. What a client claims itself is dropped, unless it is a
// trusted proxy.
func (h *Handler) setForwardedHeaders(p *httputil.ProxyRequest) {
	if !h.isTrusted(p.In.RemoteAddr) {
		for name := range p.Out.Header {
			if strings.HasPrefix(name, "X-Forwarded-") {
				delete(p.Out.Header, name)
			}
		}
		for _, name := range clientIPHeaders {
			delete(p.Out.Header, name)
		}
		p.SetXForwarded()
		return
	}
	if prior := p.In.Header["X-Forwarded-For"]; len(prior) > 0 {
		p.Out.Header["X-Forwarded-For"] = prior
	}
	p.SetXForwarded()
	for _, name := range []string{"X-Forwarded-Host", "X-Forwarded-Proto"} {
		if value := p.In.Header.Get(name); value != "" {
			p.Out.Header.Set(name, value)
		}
	}
}

// isTrusted reports whether the peer is in a trusted network.
func (h *Handler) isTrusted(remoteAddr string) bool {
	if len(h.config.TrustedProxies) == 0 {
		return false
	}
	peer, err := netip.ParseAddrPort(remoteAddr)
	return err == nil && slices.ContainsFunc(h.config.TrustedProxies, func(network netip.Prefix) bool {
		return network.Contains(peer.Addr().Unmap())
	})
}

// keepEmptyBody sends "Content-Length: 0" where the client does and net/http would not: with a DELETE, as Python's
// requests does. Some engines parse a body only if the header is there.
func keepEmptyBody(p *httputil.ProxyRequest) {
	if p.In.ContentLength == 0 && p.In.Header.Get("Content-Length") != "" {
		p.Out.Body, p.Out.TransferEncoding = http.NoBody, []string{"identity"}
	}
}

// hideIdempotencyKey spells Idempotency-Key so that the transport does not recognize it, and the engine does: net/http
// resends a POST with that header when a connection breaks, and qrgate resends nothing.
func hideIdempotencyKey(h http.Header) {
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		if v, ok := h[name]; ok {
			delete(h, name)
			h[strings.ToLower(name)] = v
		}
	}
}

// rewriteLocation keeps the engine's address from clients: a Location there becomes a path, which leads through qrgate
// again. A Location on another host stays on a redirect, because that is the engine's decision (a download from a file
// store), and is removed elsewhere; a scheme other than http and https is always removed. qrgate follows no redirect.
func (h *Handler) rewriteLocation(res *http.Response) {
	location := res.Header.Get("Location")
	if location == "" {
		return
	}
	u, err := url.Parse(location)
	switch {
	case err != nil:
		res.Header.Del("Location")
	case u.Host == "" && u.Scheme == "":
		res.Header.Set("Location", h.withoutBase(u))
	case isSameHost(u, h.config.Engine):
		u.Scheme, u.Host, u.User = "", "", nil
		if u.Path == "" {
			u.Path = "/"
		}
		res.Header.Set("Location", h.withoutBase(u))
	case res.StatusCode/100 != 3, u.Scheme != "" && u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		res.Header.Del("Location")
	}
}

// withoutBase is u without the path that precedes every path of the engine.
func (h *Handler) withoutBase(u *url.URL) string {
	base := strings.TrimSuffix(h.config.Engine.Path, "/")
	if rest, ok := strings.CutPrefix(u.Path, base); ok && base != "" && strings.HasPrefix(rest, "/") {
		u.Path, u.RawPath = rest, ""
	}
	return u.String()
}

// isSameHost compares host and port; a missing port is the scheme's default.
func isSameHost(u, engine *url.URL) bool {
	return strings.EqualFold(u.Hostname(), engine.Hostname()) && port(u, engine.Scheme) == port(engine, engine.Scheme)
}

// port is the port of u, which has the given scheme if it begins with "//".
func port(u *url.URL, scheme string) string {
	if p := u.Port(); p != "" {
		return p
	}
	if u.Scheme != "" {
		scheme = u.Scheme
	}
	if scheme == "https" {
		return "443"
	}
	return "80"
}

// headerLoop is where proxies name themselves to each other (RFC 8586). Some servers send uncompressed responses to a
// request with Via.
const headerLoop = "Cdn-Loop"

const textLoop = "QRGATE_ENGINE_URL leads back to qrgate itself. Set it to the engine's own address."

// Loop marks the requests that qrgate sends to the engine and recognizes them when they come back: an engine address
// that leads back to qrgate would multiply one request without end. Two qrgates in a row are no loop.
type Loop struct{ name string }

// NewLoop makes a Loop with a unique name.
func NewLoop() *Loop { return &Loop{"qrgate-" + rand.Text()} }

func (l *Loop) mark(h http.Header) { h.Add(headerLoop, l.name) }

// Seen reports whether this Loop has marked a request.
func (l *Loop) Seen(h http.Header) bool {
	return slices.ContainsFunc(h[headerLoop], func(line string) bool { return strings.Contains(line, l.name) })
}

// Transport marks the calls that qrgate makes on its own account.
func (l *Loop) Transport(next http.RoundTripper) http.RoundTripper { return loopTransport{l, next} }

type loopTransport struct {
	loop *Loop
	next http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (t loopTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	t.loop.mark(r.Header)
	return t.next.RoundTrip(r)
}
