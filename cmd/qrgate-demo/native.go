package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"qrgate/compat"
	"qrgate/compat/dialect"
	"qrgate/internal/app"
	"qrgate/internal/session"
)

// engineNames are the names of the engines with an API of their own.
var engineNames = map[string]string{"evolution": "Evolution API", "gowa": "GOWA", "waha": "WAHA", "wuzapi": "wuzapi"}

// nativeCalls are the requests of an existing client of each engine with an API of its own: the last one asks for the
// QR, once.
var nativeCalls = map[string][]dialect.Call{
	"evolution": {
		{Method: http.MethodPost, Path: "/instance/create",
			Body: `{"instanceName":"{name}","integration":"WHATSAPP-BAILEYS"}`},
		{Method: http.MethodGet, Path: "/instance/connect/{name}"},
	},
	"gowa": {
		{Method: http.MethodPost, Path: "/devices", Body: `{"device_id":"{name}"}`},
		{Method: http.MethodGet, Path: "/devices/{name}/login"},
	},
	"waha": {
		{Method: http.MethodPost, Path: "/api/sessions", Body: `{"name":"{name}","start":true}`},
		{Method: http.MethodGet, Path: "/api/{name}/auth/qr", Query: "format=raw"},
	},
	"wuzapi": {
		{Method: http.MethodPost, Path: "/admin/users", Body: `{"name":"{name}","token":"{name}"}`},
		{Method: http.MethodPost, Path: "/session/connect", Body: `{"Subscribe":["All"],"Immediate":true}`},
		{Method: http.MethodGet, Path: "/session/qr"},
	},
}

// dialectOf finds the API of an engine; nil for the documented one.
func dialectOf(kind string) *dialect.Dialect {
	for _, d := range app.Dialects() {
		if d.Kind == kind {
			return d
		}
	}
	return nil
}

// nativeRequest is a request of the client to a server. The client has one key.
func (s *scenario) nativeRequest(
	ctx context.Context, base string, c dialect.Call, verb dialect.Verb, name string,
) (*http.Request, error) {
	fill := strings.NewReplacer("{name}", name)
	target := base + fill.Replace(c.Path)
	if c.Query != "" {
		target += "?" + c.Query
	}
	r, err := http.NewRequestWithContext(ctx, c.Method, target, strings.NewReader(fill.Replace(c.Body)))
	if err != nil {
		return nil, err
	}
	if c.Body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	s.dialect.Authorize(r, dialect.Credential{Key: demoKey, Session: name}, verb)
	return r, nil
}

// callNative sends a request and reads the response.
func (s *scenario) callNative(r *http.Request, verb dialect.Verb) (dialect.Outcome, error) {
	startedAt := time.Now()
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return dialect.Outcome{}, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	o := s.dialect.Outcome(verb, compat.Response{Status: res.StatusCode, Header: res.Header, Body: body})
	text := string(body)
	switch {
	case o.HasCode():
		text = "a QR"
	case verb == dialect.Status:
		text = "the state: " + string(o.Session.State)
	case len(text) > 60:
		text = text[:60] + "…"
	}
	fmt.Fprintf(s.out, "   %5.2f s  %-4s %-32s %d  %s  (after %.1f s)\n", time.Since(s.startedAt).Seconds(), r.Method,
		r.URL.RequestURI(), res.StatusCode, strings.TrimSpace(text), time.Since(startedAt).Seconds())
	return o, err
}

// requestNativeQR runs the client until its only request for the QR.
func (s *scenario) requestNativeQR(ctx context.Context, base, name string) (o dialect.Outcome, err error) {
	calls := nativeCalls[s.dialect.Kind]
	for i, c := range calls {
		verb := dialect.QR
		if i == 0 {
			verb = dialect.Create
		}
		r, err := s.nativeRequest(ctx, base, c, verb, name)
		if err != nil {
			return o, err
		}
		if i == len(calls)-1 && s.dialect.Traits.QRBegins {
			verb = dialect.Connect
		}
		if o, err = s.callNative(r, verb); err != nil {
			return o, err
		}
	}
	return o, nil
}

// runNative is the scenario of an engine with an API of its own.
func (s *scenario) runNative(ctx context.Context) error {
	s.printStep("1  A client sends its requests to the engine itself, and asks for the QR once")
	if o, err := s.requestNativeQR(ctx, s.engineURL(), "crm-direct"); err != nil {
		return err
	} else if s.directHasQR = o.HasCode(); s.directHasQR {
		s.printNote("this engine waits for its code itself; with qrgate all clients of a session share one call and one code")
	} else {
		s.printNote("no QR: the CRM shows an empty picture, and its user calls support")
	}
	s.printStep("2  The same client sends the same requests to qrgate")
	o, err := s.requestNativeQR(ctx, s.gateway.URL(), "crm-gateway")
	if err != nil {
		return err
	}
	if o.Session.CodeURL != "" {
		link, err := url.Parse(o.Session.CodeURL)
		if err != nil {
			return err
		}
		call := dialect.Call{Method: http.MethodGet, Path: link.Path}
		r, err := s.nativeRequest(ctx, s.gateway.URL(), call, dialect.QR, "crm-gateway")
		if err != nil {
			return err
		}
		if o, err = s.callNative(r, dialect.QR); err != nil {
			return err
		}
	}
	image, err := compat.NormalizeQRImage(o.Session.Code)
	if err != nil {
		return errors.New("qrgate returned no QR")
	}
	if s.code, err = compat.ReadQR(image); err != nil {
		return err
	}
	if err := s.draw(); err != nil {
		return err
	}
	return s.scan(ctx)
}

// isNativeLinked reports whether the engine reports, in its own API, that the phone is linked.
func (s *scenario) isNativeLinked(ctx context.Context) (bool, error) {
	r, err := s.nativeRequest(ctx, s.gateway.URL(), s.dialect.Calls[dialect.Status], dialect.Status, "crm-gateway")
	if err != nil {
		return false, err
	}
	o, err := s.callNative(r, dialect.Status)
	return o.Session.State == session.Connected, err
}

// printNativeUsage prints the client's requests.
func (s *scenario) printNativeUsage(ctx context.Context) {
	fmt.Fprintf(s.out, "\n Try it yourself, with %s's own requests:\n\n", engineNames[s.dialect.Kind])
	for i, c := range nativeCalls[s.dialect.Kind] {
		verb := dialect.QR
		if i == 0 {
			verb = dialect.Create
		}
		r, err := s.nativeRequest(ctx, s.gateway.URL(), c, verb, "mine")
		if err != nil {
			continue // the scenario sent it
		}
		line := "   curl -s -X " + c.Method
		for _, name := range slices.Sorted(maps.Keys(r.Header)) {
			line += fmt.Sprintf(" -H '%s: %s'", name, r.Header.Get(name))
		}
		if c.Body != "" {
			line += " -d '" + strings.ReplaceAll(c.Body, "{name}", "mine") + "'"
		}
		fmt.Fprintf(s.out, "%s '%s'\n", line, r.URL)
	}
	fmt.Fprintf(s.out, `
 The same requests to the engine itself: %s
 Status page: %s/status
 Ctrl-C ends the demo.
`, s.engineURL(), s.gateway.AdminURL())
}
