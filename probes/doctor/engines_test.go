package doctor_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/internal/test/enginesim"
	"qrgate/probes/doctor"
)

// middleware changes requests to the engine or its responses.
type middleware func(r *http.Request, next http.RoundTripper) (*http.Response, error)

func (m middleware) wrap(c *doctor.Config) { c.Engine.Transport = wrapped{m, c.Engine.Transport} }

type wrapped struct {
	middleware middleware
	next       http.RoundTripper
}

func (w wrapped) RoundTrip(r *http.Request) (*http.Response, error) { return w.middleware(r, w.next) }

// respond is a response in place of the engine's.
func respond(status int, body string) (*http.Response, error) {
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body))}, nil
}

// dot is a PNG of one pixel.
const dot = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="

const unknown = `{"success":false,"error":"Sesión no encontrada","code":"SESSION_NOT_FOUND"}`

// Faults of the engine that the catalog, worded for a customer's session, would blame on another party.
func TestConclusion_UnusualEngines(t *testing.T) {
	t.Parallel()
	turn := 0
	for name, tt := range map[string]struct {
		engine     *enginesim.Engine
		middleware middleware
		want       diagnosis.Code
		who        diagnosis.Actor
		text       string // in the help or the evidence
	}{
		"connect does not know the created session": {middleware: func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/connect") {
				return respond(404, unknown)
			}
			return next.RoundTrip(r)
		}, want: diagnosis.EngineBadResponse, who: diagnosis.Operator, text: "behind a load balancer"},
		"qr does not know the connected session": {middleware: func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/qr") || strings.HasSuffix(r.URL.Path, "/status") {
				return respond(404, unknown)
			}
			return next.RoundTrip(r)
		}, want: diagnosis.EngineBadResponse, who: diagnosis.Operator, text: "behind a load balancer"},
		"every second call goes to another engine": {middleware: func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/qr") {
				if turn++; turn%2 == 1 {
					return respond(404, unknown)
				}
			}
			return next.RoundTrip(r)
		}, engine: &enginesim.Engine{QRDelay: time.Second}, want: diagnosis.None, who: diagnosis.Nobody, text: "polls failed before: qr: session_not_found"},
		"it restarts during the run": {middleware: func() middleware {
			polls := 0
			return func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
				if strings.HasSuffix(r.URL.Path, "/qr") {
					if polls++; polls == 1 {
						return nil, errors.New("gone")
					}
					return respond(404, unknown)
				}
				return next.RoundTrip(r)
			}
		}(), want: diagnosis.EngineRestarted, who: diagnosis.Operator, text: "the engine crashes"},
		"each response takes four seconds": {engine: &enginesim.Engine{StuckUntilForce: true}, middleware: func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
			time.Sleep(4 * time.Second)
			return next.RoundTrip(r)
		}, want: diagnosis.EngineOverloaded, who: diagnosis.Operator, text: "took 4s"},
		"other sessions have codes, a new one gets none": {engine: &enginesim.Engine{StuckUntilForce: true}, middleware: func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
			if r.Method == http.MethodGet && r.URL.Path == "/api/sessions" {
				return respond(200, `{"success":true,"data":{"sessions":[{"id":901,"sessionId":"a","status":"qr_code","hasQR":true},{"id":902,"sessionId":"b","status":"qr_code","hasQR":true}]}}`)
			}
			return next.RoundTrip(r)
		}, want: diagnosis.QRNotEmitted, who: diagnosis.Operator, text: "the engine's limits"},
		"its picture is blank": {middleware: func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/qr") {
				return respond(200, `{"success":true,"data":{"qrCode":"`+dot+`","status":"qr_code"}}`)
			}
			return next.RoundTrip(r)
		}, want: diagnosis.QRInvalid, who: diagnosis.Operator, text: "the image is blank"},
		"its codes have already expired": {middleware: func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/qr") {
				return respond(200, `{"success":true,"data":{"qrCode":"2@a,b,c,d","expiresAt":"2000-01-01T00:00:00Z","status":"qr_code"}}`)
			}
			return next.RoundTrip(r)
		}, want: diagnosis.QRInvalid, who: diagnosis.Operator, text: "has expired"},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.engine == nil {
				tt.engine = &enginesim.Engine{}
			}
			check := whatsAppCheck(session.StepHandshake, diagnosis.None)
			runDoctor(t, tt.engine, func(c *doctor.Config) {
				check(c)
				if tt.middleware != nil {
					tt.middleware.wrap(c)
				}
			}, func(got doctor.Report, _ time.Duration) {
				d := got.Diagnosis
				if all := d.Help + strings.Join(d.Evidence, "\n"); d.Code != tt.want || d.Who != tt.who || !strings.Contains(all, tt.text) {
					t.Errorf("%+v\n%+v", d, got.Checks)
				}
				if left := tt.engine.Snapshot(); len(left) != 0 {
					t.Errorf("left %+v", left)
				}
			})
		})
	}
}
