package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
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
