package proxy

import (
	"cmp"
	"context"
	"crypto/rand"
	"maps"
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

// call sends the client's request to the session, or to all sessions, under the engine's id for it.
func (s *sessionRequest) call(op, verb string, timeout time.Duration) (compat.Response, error) {
	return s.forward(op, &s.request, s.sessionPath(verb), s.request.URL.RawQuery, timeout)
}

// fetch sends a GET that the client did not ask for, with the client's credential.
func (s *sessionRequest) fetch(op, path, query string) (compat.Response, error) {
	in := s.request.Clone(s.ctx())
	in.Method, in.Body, in.ContentLength = http.MethodGet, http.NoBody, 0
	in.Header.Del("Content-Length")
	return s.forward(op, in, path, query, fetchTimeout)
}

// forward sends a request and reads the response. The error is a *session.EngineError; op names the call in it.
func (s *sessionRequest) forward(
	op string, in *http.Request, path, query string, timeout time.Duration,
) (compat.Response, error) {
	h := s.handler
	if h.config.Engine == nil {
		return compat.Response{}, &session.EngineError{Op: op, Kind: session.KindUnreachable}
	}
	ctx, cancel := context.WithTimeout(in.Context(), timeout)
	defer cancel()
	out := in.Clone(ctx)
	removeHopByHop(out.Header)
	s.rewrite(&httputil.ProxyRequest{In: in, Out: out})
	out.URL = h.engineURL(path, query)
	for _, name := range conditionalHeaders {
		delete(out.Header, name)
	}
	out.Header["Accept-Encoding"] = []string{"identity"}
	response, err := h.read(out)
	if err != nil {
		e := compat.TransportError(ctx, op, err)
		e.Status = response.Status
		return response, e
	}
	limits := compat.RateLimits(response.Header, response.At)
	limited := response.Status == http.StatusTooManyRequests
	s.acquirer.OnRateLimits(s.caller, limits, limited, compat.RetryAfter(response.Header, response.At))
	if e := response.EngineError(op); e != nil {
		return response, e
	}
	return response, nil
}

// read sends a request and reads the response.
func (h *Handler) read(r *http.Request) (compat.Response, error) {
	res, err := h.config.Transport.RoundTrip(r)
	if err != nil {
		return compat.Response{At: time.Now()}, err
	}
	h.recordCORS(r.Header.Get("Origin"), res.Header)
	body, isComplete, err := compat.ReadBody(res, maxResponseSize)
	return compat.Response{
		Status: res.StatusCode, Header: res.Header, Body: body, Complete: isComplete, At: time.Now(),
	}, err
}

// removeHopByHop removes what is meant for qrgate alone (RFC 9110, 7.6.1), as httputil does where a request passes
// through, and stops net/http from adding a User-Agent.
func removeHopByHop(h http.Header) {
	for name := range strings.SplitSeq(strings.Join(h["Connection"], ","), ",") {
		h.Del(strings.TrimSpace(name))
	}
	for _, name := range hopByHopHeaders {
		delete(h, name)
	}
	if _, ok := h["User-Agent"]; !ok {
		h.Set("User-Agent", "")
	}
}

var hopByHopHeaders = []string{
	"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade",
}

// conditionalHeaders could make the response incomplete.
var conditionalHeaders = []string{
	"If-None-Match", "If-Modified-Since", "Range", "If-Range", "If-Match", "If-Unmodified-Since",
}

func (h *Handler) engineURL(path, query string) *url.URL {
	e := h.config.Engine
	return &url.URL{Scheme: e.Scheme, Host: e.Host, Path: strings.TrimSuffix(e.Path, "/") + path, RawQuery: query}
}

// strippedHeaders make some engines route or authorize by something else than the request line, or send their own
// requests through the client's proxy (Proxy, which CGI turns into HTTP_PROXY).
var strippedHeaders = []string{
	"Proxy",
	"X-Original-Url", "X-Original-Uri", "X-Rewrite-Url", "X-Replaced-Path",
	"X-Http-Method-Override", "X-Http-Method", "X-Method-Override",
}

// clientIPHeaders contain the client's address, beside X-Forwarded-*. Only a trusted proxy may send them.
var clientIPHeaders = []string{
	"Forwarded", "X-Real-Ip", "X-Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "X-Cluster-Client-Ip",
}

// rewrite makes the request for the engine, after hop-by-hop headers were removed: a client's "Connection:
// X-Forwarded-For" cannot remove what is set here.
func (w *responseWriter) rewrite(p *httputil.ProxyRequest) {
	h := w.handler
	p.Out.URL = h.engineURL(p.In.URL.Path, p.In.URL.RawQuery)
	p.Out.URL.Opaque = strings.TrimSuffix(h.config.Engine.EscapedPath(), "/") + p.In.URL.RawPath // byte for byte
	if p.In.URL.RawPath == "*" {
		p.Out.URL.Opaque = "*"
	}
	p.Out.URL.ForceQuery = p.In.URL.ForceQuery
	p.Out.Host = ""
	p.Out.Trailer = p.In.Trailer // the map is filled while the body is sent
	h.setForwardedHeaders(p)
	p.Out.Header[headerRequestID] = []string{w.requestID}
	hideIdempotencyKey(p.Out.Header)
	// Python's requests sends "Content-Length: 0" with a DELETE, and some engines parse a body only if it is there.
	if p.In.ContentLength == 0 && p.In.Header.Get("Content-Length") != "" {
		p.Out.Body, p.Out.TransferEncoding = http.NoBody, []string{"identity"}
	}
	h.config.Loop.mark(p.Out.Header)
	if h.config.Tracer != nil {
		h.config.Tracer.Inject(p.In.Context(), p.Out.Header)
	}
}

// setForwardedHeaders sends the engine the client's address, and removes what must not reach it: misleading headers,
// names with an underscore, which some engines read as a hyphen, and what an untrusted client claims of its address.
func (h *Handler) setForwardedHeaders(p *httputil.ProxyRequest) {
	trusted := h.isTrusted(p.In.RemoteAddr)
	maps.DeleteFunc(p.Out.Header, func(name string, _ []string) bool {
		isForwarded := strings.HasPrefix(name, "X-Forwarded-") || slices.Contains(clientIPHeaders, name)
		return strings.Contains(name, "_") || slices.Contains(strippedHeaders, name) || isForwarded && !trusted
	})
	prior := p.In.Header["X-Forwarded-For"]
	if trusted && len(prior) > 0 {
		p.Out.Header["X-Forwarded-For"] = prior
	}
	p.SetXForwarded()
	for _, name := range []string{"X-Forwarded-Host", "X-Forwarded-Proto"} {
		if value := p.In.Header.Get(name); trusted && value != "" {
			p.Out.Header.Set(name, value)
		}
	}
}

// SetTrustedProxies replaces the trusted proxies while the handler runs.
func (h *Handler) SetTrustedProxies(networks []netip.Prefix) { h.trustedProxies.Store(&networks) }

func (h *Handler) isTrusted(remoteAddr string) bool {
	peer, err := netip.ParseAddrPort(remoteAddr)
	return err == nil && h.isTrustedAddr(peer.Addr().Unmap())
}

func (h *Handler) isTrustedAddr(addr netip.Addr) bool {
	return slices.ContainsFunc(*h.trustedProxies.Load(), func(network netip.Prefix) bool { return network.Contains(addr) })
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

// rewriteLocations keeps the engine's address from clients: a Location there becomes a path, which leads through qrgate
// again, and so do the addresses in Link and Refresh. Every other Location passes unchanged. isLoop reports that the
// engine redirects a request to itself by another scheme, so that the client would send the same request again.
func (h *Handler) rewriteLocations(res *http.Response) (isLoop bool) {
	for _, name := range []string{"Location", "Content-Location"} {
		location := res.Header.Get(name)
		u, err := url.Parse(location)
		switch path := h.pathOf(location, u, err); {
		case path == "":
			delete(res.Header, name)
		case path != location:
			res.Header[name] = []string{path}
			in := res.Request.URL
			isLoop = isLoop || res.StatusCode/100 == 3 && u.Scheme != "" && u.Scheme != in.Scheme &&
				path == h.withoutBase(in.RequestURI())
		}
	}
	origin := h.config.Engine.Scheme + "://" + h.config.Engine.Host
	base := strings.TrimSuffix(h.config.Engine.EscapedPath(), "/")
	paths := strings.NewReplacer(origin+base+"/", "/", origin+"/", "/")
	for _, name := range []string{"Link", "Refresh"} {
		for i, value := range res.Header[name] {
			res.Header[name][i] = paths.Replace(value)
		}
	}
	return isLoop
}

// pathOf is a location as clients can use it; "" if it holds the engine's address in a form that cannot be parsed.
func (h *Handler) pathOf(location string, u *url.URL, err error) string {
	e := h.config.Engine
	switch {
	case err != nil && strings.Contains(location, e.Host):
		return ""
	case err != nil, u.Host == "" && u.Scheme != "", u.Host != "" && !isSameHost(u, e):
		return location
	case u.Host != "":
		_, rest, _ := strings.Cut(location, u.Host)
		location = "/" + strings.TrimPrefix(rest, "/")
	}
	return h.withoutBase(location)
}

// withoutBase removes from a path what precedes every path of the engine.
func (h *Handler) withoutBase(path string) string {
	base := strings.TrimSuffix(h.config.Engine.EscapedPath(), "/")
	rest, ok := strings.CutPrefix(path, base)
	switch {
	case !ok || base == "":
		return path
	case rest == "" || strings.HasPrefix(rest, "?") || strings.HasPrefix(rest, "#"):
		return "/" + rest
	case rest[0] == '/':
		return rest
	}
	return path
}

// isSameHost compares host and port. A missing port is the default of the scheme, whichever that is.
func isSameHost(u, engine *url.URL) bool {
	port := func(x *url.URL) string {
		if x.Port() == map[string]string{"http": "80", "https": "443"}[cmp.Or(x.Scheme, engine.Scheme)] {
			return ""
		}
		return x.Port()
	}
	return strings.EqualFold(u.Hostname(), engine.Hostname()) && port(u) == port(engine)
}

// headerLoop is where proxies name themselves (RFC 8586). After a Via, some servers do not compress.
const headerLoop = "Cdn-Loop"

// Loop marks the requests that qrgate sends to the engine and recognizes them when they come back: an engine address
// that leads back to qrgate would multiply one request without end. Two qrgates in a row are no loop.
type Loop struct{ name string }

// NewLoop makes a Loop with a unique name.
func NewLoop() *Loop { return &Loop{"qrgate-" + rand.Text()} }

func (l *Loop) mark(h http.Header) { h.Add(headerLoop, l.name) }

// Seen reports whether this Loop has marked a request.
func (l *Loop) Seen(h http.Header) bool {
	return strings.Contains(strings.Join(h[headerLoop], ","), l.name)
}

// Transport marks the calls that qrgate makes on its own account.
func (l *Loop) Transport(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		l.mark(r.Header)
		return next.RoundTrip(r)
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements [http.RoundTripper].
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
