package doctor_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/internal/test/enginesim"
	"qrgate/probes/doctor"
)

// lastBut is the last check that has another name.
func lastBut(r doctor.Report, name string) doctor.Check {
	for _, c := range slices.Backward(r.Checks) {
		if c.Name != name {
			return c
		}
	}
	return doctor.Check{}
}

// The timeout does not change the cause; a short one makes the report incomplete.
func TestConclusion_TimeoutDoesNotChangeCause(t *testing.T) {
	t.Parallel()
	noName, free := whatsAppCheck(session.StepDNS, diagnosis.DNSFailed), whatsAppCheck(session.StepHandshake, diagnosis.None)
	for name, tt := range map[string]struct {
		timeout  time.Duration
		check    func(*doctor.Config)
		want     diagnosis.Code
		complete bool
	}{
		"3 s, no name":   {3 * time.Second, noName, diagnosis.DNSFailed, true},
		"8 s, no name":   {8 * time.Second, noName, diagnosis.DNSFailed, true},
		"30 s, no name":  {30 * time.Second, noName, diagnosis.DNSFailed, true},
		"8 s, way free":  {8 * time.Second, free, diagnosis.QRNotEmitted, true},
		"30 s, way free": {30 * time.Second, free, diagnosis.QRNotEmitted, true},
		"3 s, way free":  {3 * time.Second, free, diagnosis.Undetermined, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runDoctor(t, &enginesim.Engine{StuckUntilForce: true}, func(c *doctor.Config) { tt.check(c); c.QRTimeout = tt.timeout }, func(got doctor.Report, _ time.Duration) {
				if got.Diagnosis.Code != tt.want || got.Complete != tt.complete {
					t.Errorf("%+v, want %s", got, tt.want)
				}
				if strings.Contains(got.Diagnosis.Help, "doctor") {
					t.Errorf("the help names doctor itself: %s", got.Diagnosis.Help)
				}
				if !tt.complete && !strings.Contains(got.Diagnosis.Help, "--qr-timeout") {
					t.Errorf("the help must be a longer timeout, not %s", got.Diagnosis.Help)
				}
			})
		})
	}
}

// A rejected create needs no deletion and leaves no intent.
func TestRun_RejectedCreateDeletesNothing(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault enginesim.FaultKind
		none  bool
		left  bool
	}{
		"rejected":                 {enginesim.TooMany, true, false},
		"an error, and no session": {enginesim.ServerError, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &enginesim.Engine{Faults: map[enginesim.Route]enginesim.Fault{enginesim.RouteCreate: {Kind: tt.fault}, enginesim.RouteDelete: {Kind: tt.fault, First: 1}}}
			kept := &intents{}
			runDoctor(t, e, func(c *doctor.Config) { c.Intents = kept }, func(got doctor.Report, took time.Duration) {
				if deletes := e.CountSince(enginesim.RouteDelete, time.Time{}); (deletes == 0) != tt.none || got.LeftBehind || took > 2*time.Second {
					t.Errorf("%d deletions in %s: %+v", deletes, took, got)
				}
				if (got.Session == "") != tt.none || (len(kept.done) == 1) != tt.none || (len(kept.left) == 1) == tt.none {
					t.Errorf("session %q, %+v", got.Session, kept)
				}
			})
		})
	}
}

// staticServer responds with a status and a body by path, otherwise with 404 and no JSON.
type staticServer map[string]string

func (a staticServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status, body, found := strings.Cut(a[r.URL.Path], " ")
	code, known := map[string]int{"200": 200, "401": 401, "404": 404, "500": 500}[status]
	if !found || !known {
		http.NotFound(w, r)
		return
	}
	w.WriteHeader(code)
	_, _ = w.Write([]byte(body))
}

// Another server is not an engine; an engine without /health is one.
func TestIdentify(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		server staticServer
		want   diagnosis.Code // Undetermined: an engine, and nothing else is known without a key
	}{
		"a web server":                {staticServer{}, diagnosis.EngineBadResponse},
		"one that says 200 to all":    {staticServer{"/health": "200 <html>", "/api/sessions": "200 <html>"}, diagnosis.EngineBadResponse},
		"another API":                 {staticServer{"/health": `404 {"success":false}`, "/api/sessions": `404 {"success":false}`}, diagnosis.EngineBadResponse},
		"a server that fails":         {staticServer{"/api/sessions": "500 x"}, diagnosis.EngineBadResponse},
		"health as documented":        {staticServer{"/health": `200 {"status":"ok"}`}, diagnosis.Undetermined},
		"health in the usual frame":   {staticServer{"/health": `200 {"success":true,"data":{}}`}, diagnosis.Undetermined},
		"not well, in the same frame": {staticServer{"/health": `500 {"success":false}`}, diagnosis.Undetermined},
		"no health, a guarded list":   {staticServer{"/api/sessions": `401 {"success":false}`}, diagnosis.Undetermined},
		"a list without a frame":      {staticServer{"/api/sessions": `200 {"sessions":[]}`}, diagnosis.Undetermined},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				got := runDoctorAt(t, tt.server)
				if got.Diagnosis.Code != tt.want || got.Checks[0].OK != (tt.want == diagnosis.Undetermined) {
					t.Errorf("%+v, want %s", got, tt.want)
				}
			})
		})
	}
}

// The conclusion on a healthy engine mentions a failed connectivity check.
func TestConclusion_HealthyEngineWithFailedWhatsAppCheck(t *testing.T) {
	t.Parallel()
	for code, want := range map[diagnosis.Code]string{
		diagnosis.None: "Nothing needs to be done.", diagnosis.DNSFailed: "only this host cannot reach WhatsApp", diagnosis.ClientOutdated: "only the version of this program's library",
	} {
		runDoctor(t, &enginesim.Engine{}, whatsAppCheck(session.StepHandshake, code), func(got doctor.Report, _ time.Duration) {
			if got.Diagnosis.Code != diagnosis.None || !strings.Contains(got.Diagnosis.Help, want) {
				t.Errorf("%s: %+v", code, got.Diagnosis)
			}
		})
	}
}

// Every text of doctor's own is translated.
func TestConclusion_EveryTextIsTranslated(t *testing.T) {
	t.Parallel()
	changes := map[string]func(*doctor.Config){
		"healthy":                whatsAppCheck(session.StepHandshake, diagnosis.None),
		"WhatsApp not reachable": whatsAppCheck(session.StepDNS, diagnosis.DNSFailed),
		"outdated":               whatsAppCheck(session.StepHandshake, diagnosis.ClientOutdated),
		"no key":                 func(c *doctor.Config) { c.Key = secret.Secret{} },
		"not recorded": func(c *doctor.Config) {
			c.Intents = &intents{err: errors.New("full")}
		},
		"timeout":     func(c *doctor.Config) { c.QRTimeout = time.Millisecond },
		"no response": func(c *doctor.Config) { c.Engine.Transport = failingTransport{} },
	}
	seen := map[string]diagnosis.Diagnosis{}
	for _, language := range diagnosis.Languages() {
		for name, change := range changes {
			runDoctor(t, &enginesim.Engine{}, func(c *doctor.Config) { change(c); c.Language = language }, func(got doctor.Report, _ time.Duration) {
				if english, twice := seen[name]; twice && (english.Title == got.Diagnosis.Title || english.Help == got.Diagnosis.Help || english.Code != got.Diagnosis.Code) {
					t.Errorf("%s: %+v is the same in %s", name, got.Diagnosis, language)
				}
				seen[name] = got.Diagnosis
			})
		}
	}
}

// failingTransport never connects.
type failingTransport struct{}

func (failingTransport) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("cut")
}
