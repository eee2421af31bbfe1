package probes

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"qrgate/compat"
	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// Bounds of one call. Real clients give up after about ten seconds, so the probe does.
const (
	callTime  = 10 * time.Second
	maxAnswer = 1 << 20 // bytes of a body
)

// client is a target as a client sees it: a URL, a key, and answers.
type client struct {
	base *url.URL
	key  secret.Secret
	http http.Client
}

// open makes the way to a target. It follows no redirect, because the key would go with it.
func open(t Target) client {
	d := client{base: t.URL, key: t.Key}
	d.http.Transport = t.Client.Transport
	d.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return d
}

func newClient() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext:            (&net.Dialer{Timeout: 3 * time.Second}).DialContext,
		TLSHandshakeTimeout:    3 * time.Second,
		DisableCompression:     true, // a small answer must not grow in memory
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConns:           4,
		IdleConnTimeout:        4 * time.Second,
		Proxy:                  http.ProxyFromEnvironment,
	}}
}

// close gives the connections back: the next run must open its own, as a client does.
func (d client) close() { d.http.CloseIdleConnections() }

// call is one request.
type call struct {
	op     string // as [compat.Answer.Fault] knows it
	method string
	path   string
	body   string // JSON; empty for none
	label  string // the path as evidence shows it, without ids
	prefer string // the Prefer header (RFC 7240); empty for none
}

const sessionsPath = "/api/sessions"

func onSession(op, method string, r session.Ref, verb string) call {
	c := call{op: op, method: method, path: sessionsPath + "/" + url.PathEscape(r.URLSegment()), label: sessionsPath + "/{id}"}
	if verb != "" {
		c.path, c.label = c.path+"/"+verb, c.label+"/"+verb
	}
	return c
}

// String is how evidence names the call.
func (c call) String() string {
	if c.label != "" {
		return c.method + " " + c.label
	}
	return c.method + " " + c.path
}

// ask makes one call. An answer that is no success is a failure, and so is none.
func (d client) ask(ctx context.Context, c call) (compat.Response, *failure) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	var left compat.SendTracker
	req, err := d.request(left.Watch(ctx), c)
	if err != nil {
		return compat.Response{}, &failure{missed: SkipInternal, evidence: []string{c.String() + ": " + err.Error()}}
	}
	res, err := d.http.Do(req)
	if err != nil {
		return compat.Response{}, unanswered(c, err, left.NotSent())
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	a := compat.Response{Status: res.StatusCode, Header: res.Header, Body: body, Complete: len(body) <= maxAnswer, At: time.Now()}
	if err != nil {
		return a, broken(c, err)
	}
	return a, answered(c, a)
}

func (d client) request(ctx context.Context, c call) (*http.Request, error) {
	path, query, _ := strings.Cut(c.path, "?")
	u := d.base.JoinPath(path)
	u.RawQuery = query
	req, err := http.NewRequestWithContext(ctx, c.method, u.String(), strings.NewReader(c.body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "qrgate-probe")
	if !d.key.Empty() {
		req.Header.Set("X-API-Key", d.key.Reveal())
	}
	if c.prefer != "" {
		req.Header.Set("Prefer", c.prefer)
	}
	if c.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}
