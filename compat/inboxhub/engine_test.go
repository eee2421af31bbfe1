package inboxhub_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"qrgate"
	"qrgate/compat"
	"qrgate/compat/inboxhub"
	"qrgate/internal/enginesim"
	"qrgate/internal/suite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open puts an engine behind a real socket.
func open(t *testing.T, e *enginesim.Engine) suite.EngineRig {
	t.Helper()
	e.Keys = map[string]string{"key-a": "a"}
	server := httptest.NewServer(e)
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(func() { transport.CloseIdleConnections(); server.Close(); e.Close() })
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	caller := qrgate.Caller{Key: qrgate.NewSecret("key-a")}
	return suite.EngineRig{
		Engine: inboxhub.New(base, transport), Caller: caller,
		Create: func(t *testing.T, name string) qrgate.Ref {
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
					return qrgate.Ref{ID: s.ID, Name: s.Name}
				}
			}
			t.Fatalf("create: %d", res.StatusCode)
			return qrgate.Ref{}
		},
	}
}

func TestEveryDialect(t *testing.T) {
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
			suite.Engine(t, func(t *testing.T) suite.EngineRig { return open(t, make()) })
		})
	}
}

// What is wrong with an answer is named by what it is, not by its number alone; and it is read within bounds.
func TestAWrongAnswerIsNamed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault enginesim.FaultKind
		kind  qrgate.ErrorKind
	}{
		"HTML 502":    {enginesim.HTML502, qrgate.KindUnreachable},
		"HTML 504":    {enginesim.HTML504, qrgate.KindTimeout},
		"garbage":     {enginesim.Garbage, qrgate.KindBadResponse},
		"endless":     {enginesim.EndlessBody, qrgate.KindBadResponse},
		"a gzip bomb": {enginesim.GzipBomb, qrgate.KindBadResponse},
		"a huge QR":   {enginesim.HugeQR, qrgate.KindBadResponse},
		"a redirect":  {enginesim.Redirect, qrgate.KindBadResponse},
		"cut short":   {enginesim.TruncatedBody, qrgate.KindUnreachable},
		"cut":         {enginesim.CutConnection, qrgate.KindUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &enginesim.Engine{Faults: map[enginesim.Route]enginesim.Fault{enginesim.RouteQR: {Kind: c.fault}}}
			r := open(t, e)
			ref := r.Create(t, "suite-1")
			if _, err := r.Engine.Connect(t.Context(), r.Caller, ref, qrgate.Connect); err != nil {
				t.Fatal(err)
			}
			o, err := r.Engine.QR(t.Context(), r.Caller, ref)
			if qrgate.KindOf(err) != c.kind || !o.Image.Empty() {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestAnEngineThatIsNotThere(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	base, _ := url.Parse(server.URL)
	server.Close()
	_, err := inboxhub.New(base, &http.Transport{}).QR(t.Context(), qrgate.Caller{Key: qrgate.NewSecret("canary")}, qrgate.Ref{ID: 1})
	if qrgate.KindOf(err) != qrgate.KindUnreachable || strings.Contains(err.Error(), "canary") {
		t.Errorf("%v", err)
	}
}

// roundTripper is a way to an engine.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A dial that took too long is no connection, and so is one that a breaker did not make; an answer that takes
// too long is something else.
func TestWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		want qrgate.ErrorKind
	}{
		"refused":          {&net.OpError{Op: "dial", Err: errors.New("connection refused")}, qrgate.KindUnreachable},
		"dial timed out":   {&net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}, qrgate.KindUnreachable},
		"not even tried":   {&net.OpError{Op: "dial", Err: errors.New("the circuit is open")}, qrgate.KindUnreachable},
		"answer timed out": {&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, qrgate.KindTimeout},
	} {
		base := &url.URL{Scheme: "http", Host: "engine.test"}
		engine := inboxhub.New(base, roundTripper(func(*http.Request) (*http.Response, error) { return nil, c.err }))
		if _, err := engine.QR(t.Context(), qrgate.Caller{}, qrgate.Ref{ID: 1}); qrgate.KindOf(err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// The engine's own limits come with every answer, refusals included.
func TestLimitsAreRead(t *testing.T) {
	t.Parallel()
	r := open(t, &enginesim.Engine{Limits: enginesim.RecordedLimits()})
	o, err := r.Engine.QR(t.Context(), r.Caller, r.Create(t, "suite-1"))
	if f, ok := errors.AsType[*qrgate.EngineError](err); !ok || f.Code != compat.CodeQRGeneration || f.Status != 500 {
		t.Errorf("%v", err)
	}
	if len(o.Limits) != 2 || o.Limits[0].Max != 30 || o.Limits[0].Remaining != 28 || o.Limits[0].Reset > time.Minute+time.Second || o.Limits[1].Max != 1000 {
		t.Errorf("%+v", o.Limits)
	}
}
