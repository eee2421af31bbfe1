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

// Bounds of a client's call that the gate makes whole before it answers.
const (
	askTime    = 25 * time.Second        // most clients give up after 30 s
	askConnect = 8500 * time.Millisecond // the production client gives a connect 10 s (contract 4.1)
	askBody    = 4 << 20                 // bytes of the engine's answer
	lookTime   = 4 * time.Second         // what the client did not ask for must not cost it its own answer
)

// errResponseRead stops httputil from copying an answer that has been read already.
var errResponseRead = errors.New("the answer was taken")

// forwardRequest forwards the client's request to the engine under another path and query, and reads the answer. The
// error is a *qrgate.Fault; op names it.
func (s *sessionRequest) forwardRequest(op string, t target, limit time.Duration) (compat.Response, error) {
	return s.forward(op, t, s.c.Request, limit)
}

// fetch is ask for something that the client did not ask for: a GET with the client's credential.
func (s *sessionRequest) fetch(op string, t target) (compat.Response, error) {
	in := s.c.Request.Clone(s.c.Request.Context())
	in.Method, in.Body, in.ContentLength = http.MethodGet, http.NoBody, 0
	in.Header.Del("Content-Length")
	return s.forward(op, t, in, lookTime)
}

func (s *sessionRequest) forward(op string, t target, in *http.Request, limit time.Duration) (compat.Response, error) {
	if s.config.Engine == nil {
		return compat.Response{}, &session.EngineError{Op: op, Kind: session.KindUnreachable}
	}
	ctx, cancel := context.WithTimeout(in.Context(), limit)
	defer cancel()
	var a compat.Response
	var failed error
	reverse := httputil.ReverseProxy{
		Transport: s.config.Transport,
		ErrorLog:  s.discardLog,
		Rewrite: func(p *httputil.ProxyRequest) {
			s.rewrite(p)
			p.Out.URL = s.engineURL(t)
			for _, name := range []string{"Accept-Encoding", "If-None-Match", "If-Modified-Since", "Range", "If-Range", "If-Match", "If-Unmodified-Since"} {
				p.Out.Header.Del(name) // the answer is read here: whole, plain and new
			}
		},
		ModifyResponse: func(res *http.Response) error {
			s.cors.learn(res.Request.Header.Get("Origin"), corsHeaders(res.Header), time.Now())
			var err error
			if a, err = read(res); err != nil {
				return err
			}
			return errResponseRead
		},
		ErrorHandler: func(_ http.ResponseWriter, _ *http.Request, err error) { failed = err },
	}
	reverse.ServeHTTP(discard{}, in.WithContext(ctx))
	a.At = time.Now()
	if failed != nil && !errors.Is(failed, errResponseRead) {
		f := compat.TransportError(ctx, op, failed)
		f.Status = a.Status
		return a, f
	}
	s.config.QRService.OnRateLimits(s.caller, compat.RateLimits(a.Header, a.At), a.Status == http.StatusTooManyRequests, compat.RetryAfter(a.Header, a.At))
	if fault := a.EngineError(op); fault != nil {
		return a, fault
	}
	return a, nil
}

// read takes an answer within its bound.
func read(res *http.Response) (compat.Response, error) {
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, askBody+1))
	return compat.Response{Status: res.StatusCode, Header: res.Header, Body: body, Complete: len(body) <= askBody}, err
}

// discard is a writer for an answer that goes nowhere.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}

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

// localLocation keeps the engine's own address from clients: a Location there becomes a path, which leads
// through the gate again. One that leads to another host passes on a redirect, because that is the engine's
// decision (a download from a file store, say), and is dropped elsewhere; other schemes than http and https
// never pass. The gate itself follows none.
func (f *Handler) localLocation(res *http.Response) {
	said := res.Header.Get("Location")
	if said == "" {
		return
	}
	u, err := url.Parse(said)
	switch {
	case err != nil:
		res.Header.Del("Location")
	case u.Host == "" && u.Scheme == "":
		res.Header.Set("Location", f.withoutBase(u))
	case sameHost(u, f.config.Engine):
		u.Scheme, u.Host, u.User = "", "", nil
		if u.Path == "" {
			u.Path = "/"
		}
		res.Header.Set("Location", f.withoutBase(u))
	case res.StatusCode/100 != 3, u.Scheme != "" && u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		res.Header.Del("Location")
	}
}

// withoutBase is u without the path that stands before every path of the engine.
func (f *Handler) withoutBase(u *url.URL) string {
	base := strings.TrimSuffix(f.config.Engine.Path, "/")
	if rest, ok := strings.CutPrefix(u.Path, base); ok && base != "" && strings.HasPrefix(rest, "/") {
		u.Path, u.RawPath = rest, ""
	}
	return u.String()
}

// sameHost compares host and port, where the scheme's own port may be missing.
func sameHost(u, engine *url.URL) bool {
	return strings.EqualFold(u.Hostname(), engine.Hostname()) && port(u, engine.Scheme) == port(engine, engine.Scheme)
}

// port is the port that u leads to; a URL that begins with "//" has the scheme of its context.
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

// headerLoop is where proxies name themselves to each other (RFC 8586). Via would do, but makes some servers send
// their answers unpacked.
const headerLoop = "Cdn-Loop"

const textLoop = "The gate's engine is the gate itself: the address in QRGATE_ENGINE_URL leads back here. Set it to the engine's own address."

// Loop marks what a gate sends to its engine, and knows it again. A gate whose engine's address leads back to itself
// would ask itself without end; one request of a client would be ten thousand. A gate before another gate is none.
type Loop struct{ name string }

// NewLoop gives a gate a name that no other has.
func NewLoop() *Loop { return &Loop{"qrgate-" + rand.Text()} }

// mark adds the gate's name to a request.
func (l *Loop) mark(h http.Header) { h.Add(headerLoop, l.name) }

// Seen reports whether a request was here before.
func (l *Loop) Seen(h http.Header) bool {
	return slices.ContainsFunc(h[headerLoop], func(line string) bool { return strings.Contains(line, l.name) })
}

// Transport marks the calls that the gate makes on its own account.
func (l *Loop) Transport(next http.RoundTripper) http.RoundTripper { return loopTransport{l, next} }

type loopTransport struct {
	loop *Loop
	next http.RoundTripper
}

// RoundTrip sends a copy of r that is marked.
func (m loopTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	m.loop.mark(r.Header)
	return m.next.RoundTrip(r)
}
