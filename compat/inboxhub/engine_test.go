package inboxhub_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"qrgate/compat"
	"qrgate/compat/inboxhub"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/internal/test/enginesim"
	"qrgate/internal/test/enginetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open serves an engine on a real socket.
func open(t *testing.T, e *enginesim.Engine) enginetest.EngineRig {
	t.Helper()
	e.Keys = map[string]string{"key-a": "a"}
	server := httptest.NewServer(e)
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(func() { transport.CloseIdleConnections(); server.Close(); e.Close() })
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	caller := session.Caller{Key: secret.NewSecret("key-a")}
	return enginetest.EngineRig{
		Engine: inboxhub.New(base, transport), Caller: caller,
		Create: func(t *testing.T, name string) session.Ref {
			t.Helper()
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/api/sessions", strings.NewReader(fmt.Sprintf(`{"sessionId":%q,"sessionName":"x"}`, name)))
			req.Header.Set("X-API-Key", "key-a")
			req.Header.Set("Content-Type", "application/json")
			res, err := transport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			for _, s := range e.Snapshot() {
				if s.Name == name {
					return session.Ref{ID: s.ID, Name: s.Name}
				}
			}
			t.Fatalf("create: %d", res.StatusCode)
			return session.Ref{}
		},
	}
}

func TestEngine_Conformance(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func() *enginesim.Engine{
		"as observed":       func() *enginesim.Engine { return &enginesim.Engine{} },
		"a while later":     func() *enginesim.Engine { return &enginesim.Engine{QRDelay: 100 * time.Millisecond} },
		"bare base64":       func() *enginesim.Engine { return &enginesim.Engine{BareBase64: true} },
		"the code's text":   func() *enginesim.Engine { return &enginesim.Engine{RawCode: true} },
		"404 while waiting": func() *enginesim.Engine { return &enginesim.Engine{NotYet: 404} },
		"422 while waiting": func() *enginesim.Engine { return &enginesim.Engine{NotYet: 422} },
		"202 while waiting": func() *enginesim.Engine { return &enginesim.Engine{NotYet: 202} },
		"no expiry":         func() *enginesim.Engine { return &enginesim.Engine{NoExpiry: true} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			enginetest.Engine(t, func(t *testing.T) enginetest.EngineRig { return open(t, make()) })
		})
	}
}

// The body decides the kind of an error, and it is read within bounds.
func TestQR_FaultKinds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault enginesim.FaultKind
		kind  session.ErrorKind
	}{
		"HTML 502":    {enginesim.HTML502, session.KindUnreachable},
		"HTML 504":    {enginesim.HTML504, session.KindTimeout},
		"garbage":     {enginesim.Garbage, session.KindBadResponse},
		"endless":     {enginesim.EndlessBody, session.KindBadResponse},
		"a gzip bomb": {enginesim.GzipBomb, session.KindBadResponse},
		"a huge QR":   {enginesim.HugeQR, session.KindBadResponse},
		"a redirect":  {enginesim.Redirect, session.KindBadResponse},
		"cut short":   {enginesim.TruncatedBody, session.KindUnreachable},
		"cut":         {enginesim.CutConnection, session.KindUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &enginesim.Engine{Faults: map[enginesim.Route]enginesim.Fault{enginesim.RouteQR: {Kind: c.fault}}}
			r := open(t, e)
			ref := r.Create(t, "suite-1")
			if _, err := r.Engine.Connect(t.Context(), r.Caller, ref, session.Connect); err != nil {
				t.Fatal(err)
			}
			o, err := r.Engine.QR(t.Context(), r.Caller, ref)
			if session.KindOf(err) != c.kind || !o.Image.Empty() {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestQR_UnreachableEngine(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	base, _ := url.Parse(server.URL)
	server.Close()
	_, err := inboxhub.New(base, &http.Transport{}).QR(t.Context(), session.Caller{Key: secret.NewSecret("canary")}, session.Ref{ID: 1})
	if session.KindOf(err) != session.KindUnreachable || strings.Contains(err.Error(), "canary") {
		t.Errorf("%v", err)
	}
}

// roundTripper is a transport in a function.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A dial timeout is no connection, and so is a dial that an open circuit refuses; a late response is a timeout.
func TestQR_TransportErrorKinds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		want session.ErrorKind
	}{
		"refused":        {&net.OpError{Op: "dial", Err: errors.New("connection refused")}, session.KindUnreachable},
		"dial timed out": {&net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}, session.KindUnreachable},
		"not even tried": {&net.OpError{Op: "dial", Err: errors.New("the circuit is open")}, session.KindUnreachable},
		"read timed out": {&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, session.KindTimeout},
	} {
		base := &url.URL{Scheme: "http", Host: "engine.test"}
		engine := inboxhub.New(base, roundTripper(func(*http.Request) (*http.Response, error) { return nil, c.err }))
		if _, err := engine.QR(t.Context(), session.Caller{}, session.Ref{ID: 1}); session.KindOf(err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// A sentence about a paired phone, and an unavailable route, are confirmed by the session's status (faults B1, B3).
func TestQR_AmbiguousErrorIsConfirmedByTheStatus(t *testing.T) {
	t.Parallel()
	const paired, limited = `{"success":false,"error":"Session already connected"}`, "<title>503 Service Unavailable</title>"
	type response struct {
		status int
		body   string
	}
	for name, c := range map[string]struct {
		qr, status response
		want       session.ErrorKind
		calls      int
	}{
		"paired":                   {response{409, paired}, response{200, `{"data":{"status":"connected"}}`}, session.KindAlreadyPaired, 2},
		"waits for a scan":         {response{409, paired}, response{200, `{"data":{"status":"qr_code"}}`}, session.KindNotReady, 2},
		"not connected":            {response{409, paired}, response{200, `{"data":{"isConnected":false,"status":"connected"}}`}, session.KindNotReady, 2},
		"no state":                 {response{409, paired}, response{200, `{"data":{}}`}, session.KindAlreadyPaired, 2},
		"status is denied":         {response{409, paired}, response{404, `{"success":false}`}, session.KindAlreadyPaired, 2},
		"paired by code":           {response{409, `{"success":false,"code":"ALREADY_CONNECTED"}`}, response{}, session.KindAlreadyPaired, 1},
		"not ready":                {response{404, `{"success":false,"error":"QR not available or already connected"}`}, response{}, session.KindNotReady, 1},
		"one route unavailable":    {response{503, limited}, response{200, `{"data":{"status":"connecting"}}`}, session.KindRateLimited, 2},
		"one route fails":          {response{502, limited}, response{200, `{"data":{"status":"disconnected"}}`}, session.KindServerError, 2},
		"one route fails at times": {response{502, limited}, response{200, `{"data":{"status":"connecting"}}`}, session.KindUnreachable, 2},
		"every route unavailable":  {response{503, limited}, response{503, limited}, session.KindUnreachable, 2},
		"no route, another server": {response{503, limited}, response{200, "<title>Maintenance</title>"}, session.KindUnreachable, 2},
	} {
		calls := 0
		engine := inboxhub.New(&url.URL{Scheme: "http", Host: "engine.test"}, roundTripper(func(r *http.Request) (*http.Response, error) {
			calls++
			send := c.qr
			if strings.HasSuffix(r.URL.Path, "/status") {
				send = c.status
			}
			return &http.Response{StatusCode: send.status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(send.body))}, nil
		}))
		if _, err := engine.QR(t.Context(), session.Caller{}, session.Ref{ID: 1}); session.KindOf(err) != c.want || calls != c.calls {
			t.Errorf("%s: %v in %d calls, want %s in %d", name, err, calls, c.want, c.calls)
		}
	}
}

// Every response carries the rate limits, errors included.
func TestQR_ReportsRateLimits(t *testing.T) {
	t.Parallel()
	r := open(t, &enginesim.Engine{Limits: enginesim.RecordedLimits()})
	o, err := r.Engine.QR(t.Context(), r.Caller, r.Create(t, "suite-1"))
	if f, ok := errors.AsType[*session.EngineError](err); !ok || f.Code != compat.CodeQRGenerationError || f.Status != 500 {
		t.Errorf("%v", err)
	}
	if len(o.Limits) != 2 || o.Limits[0].Max != 30 || o.Limits[0].Remaining != 28 || o.Limits[0].Reset > time.Minute+time.Second || o.Limits[1].Max != 1000 {
		t.Errorf("%+v", o.Limits)
	}
}
