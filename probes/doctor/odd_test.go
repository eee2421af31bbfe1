package doctor_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"qrgate/compat/inboxhub"
	"qrgate/internal/diagnosis"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/internal/test/enginesim"
	"qrgate/probes/doctor"
)

// passing is a way to the engine that does something to what passes.
type passing func(r *http.Request, next http.RoundTripper) (*http.Response, error)

// over puts it before the way of a configuration, for its engine too.
func (p passing) over(c *doctor.Config) {
	c.Transport = through{p, c.Transport}
	c.Engine = inboxhub.New(c.Base, c.Transport)
}

type through struct {
	does passing
	next http.RoundTripper
}

func (t through) RoundTrip(r *http.Request) (*http.Response, error) { return t.does(r, t.next) }

// saying answers in the engine's place.
func saying(status int, body string) (*http.Response, error) {
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body))}, nil
}

const unknown = `{"success":false,"error":"Sesión no encontrada","code":"SESSION_NOT_FOUND"}`

// Engines that are odd in a way which the words of the catalogue, made for a customer's session, would blame on
// somebody else.
func TestOddEngines(t *testing.T) {
	t.Parallel()
	turn := 0
	for name, tt := range map[string]struct {
		engine *enginesim.Engine
		way    passing
		change func(*doctor.Config)
		want   diagnosis.Code
		who    diagnosis.Actor
		says   string // in the help or the evidence
	}{
		"it denies at connect what it has created": {way: func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/connect") {
				return saying(404, unknown)
			}
			return next.RoundTrip(r)
		}, want: diagnosis.EngineBadResponse, who: diagnosis.Operator, says: "behind a balancer"},
		"it denies at qr what it has connected": {way: func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/qr") || strings.HasSuffix(r.URL.Path, "/status") {
				return saying(404, unknown)
			}
			return next.RoundTrip(r)
		}, want: diagnosis.EngineBadResponse, who: diagnosis.Operator, says: "behind a balancer"},
		"every second call goes to another engine": {way: func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/qr") {
				if turn++; turn%2 == 1 {
					return saying(404, unknown)
				}
			}
			return next.RoundTrip(r)
		}, engine: &enginesim.Engine{QRDelay: time.Second}, want: diagnosis.None, who: diagnosis.Nobody, says: "looks failed before: qr: session not found"},
		"it dies in the middle, and comes back": {way: func() passing {
			asked := 0
			return func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
				if strings.HasSuffix(r.URL.Path, "/qr") {
					if asked++; asked == 1 {
						return nil, errors.New("gone")
					}
					return saying(404, unknown)
				}
				return next.RoundTrip(r)
			}
		}(), want: diagnosis.EngineRestarted, who: diagnosis.Operator, says: "the engine dies"},
		"each answer takes four seconds": {engine: &enginesim.Engine{StuckUntilForce: true}, way: func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
			time.Sleep(4 * time.Second)
			return next.RoundTrip(r)
		}, want: diagnosis.EngineOverloaded, who: diagnosis.Operator, says: "took 4s"},
		"others have codes, and a new session gets none": {engine: &enginesim.Engine{StuckUntilForce: true}, way: func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
			if r.Method == http.MethodGet && r.URL.Path == "/api/sessions" {
				return saying(200, `{"success":true,"data":{"sessions":[{"id":901,"sessionId":"a","status":"qr_code","hasQR":true},{"id":902,"sessionId":"b","status":"qr_code","hasQR":true}]}}`)
			}
			return next.RoundTrip(r)
		}, want: diagnosis.QRNotEmitted, who: diagnosis.Operator, says: "a limit of the engine"},
		"no phone could read its picture": {change: func(c *doctor.Config) {
			c.Legible = func(secret.Secret) (string, error) { return "", errors.New("the picture is blank") }
		}, want: diagnosis.QRInvalid, who: diagnosis.Operator, says: "the picture is blank"},
		"its codes have expired when it hands them out": {way: func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/qr") {
				return saying(200, `{"success":true,"data":{"qrCode":"2@a,b,c,d","expiresAt":"2000-01-01T00:00:00Z","status":"qr_code"}}`)
			}
			return next.RoundTrip(r)
		}, want: diagnosis.QRInvalid, who: diagnosis.Operator, says: "has expired"},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.engine == nil {
				tt.engine = &enginesim.Engine{}
			}
			late := lookThat(session.ControlHandshake, diagnosis.None)
			examine(t, tt.engine, func(c *doctor.Config) {
				late(c)
				if tt.way != nil {
					tt.way.over(c)
				}
				if tt.change != nil {
					tt.change(c)
				}
			}, func(got doctor.Report, _ time.Duration) {
				d := got.Diagnosis
				if all := d.Help + strings.Join(d.Evidence, "\n"); d.Code != tt.want || d.Who != tt.who || !strings.Contains(all, tt.says) {
					t.Errorf("%+v\n%+v", d, got.Checks)
				}
				if left := tt.engine.Snapshot(); len(left) != 0 {
					t.Errorf("left %+v", left)
				}
			})
		})
	}
}
