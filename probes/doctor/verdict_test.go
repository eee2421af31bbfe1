package doctor_test

import (
	"context"
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

// lastBut is the last check that is not called so.
func lastBut(r doctor.Report, name string) doctor.Check {
	for _, c := range slices.Backward(r.Checks) {
		if c.Name != name {
			return c
		}
	}
	return doctor.Check{}
}

// What was found does not change its meaning with the patience; what too little patience cannot know is not claimed.
func TestPatienceChangesNoCause(t *testing.T) {
	t.Parallel()
	noName, free := lookThat(session.ControlDNS, diagnosis.DNSFailed), lookThat(session.ControlHandshake, diagnosis.None)
	for name, tt := range map[string]struct {
		patience time.Duration
		look     func(*doctor.Config)
		want     diagnosis.Code
		whole    bool
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
			examine(t, &enginesim.Engine{StuckUntilForce: true}, func(c *doctor.Config) { tt.look(c); c.Patience = tt.patience }, func(got doctor.Report, _ time.Duration) {
				if got.Diagnosis.Code != tt.want || got.Complete != tt.whole {
					t.Errorf("%+v, want %s", got, tt.want)
				}
				if strings.Contains(got.Diagnosis.Help, "doctor") {
					t.Errorf("the doctor sends people to the doctor: %s", got.Diagnosis.Help)
				}
				if !tt.whole && !strings.Contains(got.Diagnosis.Help, "--qr-timeout") {
					t.Errorf("what helps is more patience, and not %s", got.Diagnosis.Help)
				}
			})
		})
	}
}

// A create that certainly made nothing is followed by no deletion, and leaves no note.
func TestNothingMadeNothingDeleted(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault enginesim.FaultKind
		none  bool
		left  bool
	}{
		"declined":                 {enginesim.TooMany, true, false},
		"an error, and no session": {enginesim.ServerError, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &enginesim.Engine{Faults: map[enginesim.Route]enginesim.Fault{enginesim.RouteCreate: {Kind: tt.fault}, enginesim.RouteDelete: {Kind: tt.fault, First: 1}}}
			var done, handed []string
			examine(t, e, func(c *doctor.Config) {
				c.Done = func(_ context.Context, s string) error { done = append(done, s); return nil }
				c.Left = func(_ context.Context, s string) error { handed = append(handed, s); return nil }
			}, func(got doctor.Report, took time.Duration) {
				if deletes := e.CountSince(enginesim.RouteDelete, time.Time{}); (deletes == 0) != tt.none || got.LeftBehind || took > 2*time.Second {
					t.Errorf("%d deletions in %s: %+v", deletes, took, got)
				}
				if (got.Session == "") != tt.none || (len(done) == 1) != tt.none || (len(handed) == 1) == tt.none {
					t.Errorf("session %q, done %q, handed over %q", got.Session, done, handed)
				}
			})
		})
	}
}

// answering is a way to a server that answers with these statuses and bodies, by path; else 404 and no JSON.
type answering map[string]string

func (a answering) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status, body, found := strings.Cut(a[r.URL.Path], " ")
	code, known := map[string]int{"200": 200, "401": 401, "404": 404, "500": 500}[status]
	if !found || !known {
		http.NotFound(w, r)
		return
	}
	w.WriteHeader(code)
	_, _ = w.Write([]byte(body))
}

// Somebody else's server is no engine, whatever it answers; an engine without /health is one.
func TestWhoIsAnEngine(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		there answering
		want  diagnosis.Code // Undetermined: an engine, and nothing else is known without a key
	}{
		"a web server":                {answering{}, diagnosis.EngineBadResponse},
		"one that says 200 to all":    {answering{"/health": "200 <html>", "/api/sessions": "200 <html>"}, diagnosis.EngineBadResponse},
		"somebody's API":              {answering{"/health": `404 {"success":false}`, "/api/sessions": `404 {"success":false}`}, diagnosis.EngineBadResponse},
		"a server that fails":         {answering{"/api/sessions": "500 x"}, diagnosis.EngineBadResponse},
		"health as documented":        {answering{"/health": `200 {"status":"ok"}`}, diagnosis.Undetermined},
		"health in the usual frame":   {answering{"/health": `200 {"success":true,"data":{}}`}, diagnosis.Undetermined},
		"not well, in the same frame": {answering{"/health": `500 {"success":false}`}, diagnosis.Undetermined},
		"no health, a guarded list":   {answering{"/api/sessions": `401 {"success":false}`}, diagnosis.Undetermined},
		"a list without a frame":      {answering{"/api/sessions": `200 {"sessions":[]}`}, diagnosis.Undetermined},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				got := examineAt(t, tt.there)
				if got.Diagnosis.Code != tt.want || got.Checks[0].OK != (tt.want == diagnosis.Undetermined) {
					t.Errorf("%+v, want %s", got, tt.want)
				}
			})
		})
	}
}

// The verdict on a healthy engine speaks of a look that failed, and only then.
func TestHealthyAndNoWayFromHere(t *testing.T) {
	t.Parallel()
	for look, want := range map[diagnosis.Code]string{
		diagnosis.None: "Nothing needs to be done.", diagnosis.DNSFailed: "only this machine cannot reach it", diagnosis.ClientOutdated: "only the version of the one in this program",
	} {
		examine(t, &enginesim.Engine{}, lookThat(session.ControlHandshake, look), func(got doctor.Report, _ time.Duration) {
			if got.Diagnosis.Code != diagnosis.None || !strings.Contains(got.Diagnosis.Help, want) {
				t.Errorf("%s: %+v", look, got.Diagnosis)
			}
		})
	}
}

// Whatever the doctor says itself it says in Spanish too.
func TestTheDoctorSpeaksSpanish(t *testing.T) {
	t.Parallel()
	changes := map[string]func(*doctor.Config){
		"healthy":  lookThat(session.ControlHandshake, diagnosis.None),
		"no way":   lookThat(session.ControlDNS, diagnosis.DNSFailed),
		"outdated": lookThat(session.ControlHandshake, diagnosis.ClientOutdated),
		"no key":   func(c *doctor.Config) { c.Key = secret.Secret{} },
		"no note": func(c *doctor.Config) {
			c.RecordIntent = func(context.Context, string) error { return errors.New("full") }
		},
		"no time":   func(c *doctor.Config) { c.Patience = time.Millisecond },
		"no answer": func(c *doctor.Config) { c.Transport = cutting{} },
	}
	said := map[string]diagnosis.Diagnosis{}
	for _, language := range diagnosis.Languages() {
		for name, change := range changes {
			examine(t, &enginesim.Engine{}, func(c *doctor.Config) { change(c); c.Language = language }, func(got doctor.Report, _ time.Duration) {
				if english, twice := said[name]; twice && (english.Title == got.Diagnosis.Title || english.Help == got.Diagnosis.Help || english.Code != got.Diagnosis.Code) {
					t.Errorf("%s: %+v is the same in %s", name, got.Diagnosis, language)
				}
				said[name] = got.Diagnosis
			})
		}
	}
}

// cutting is a way that leads nowhere.
type cutting struct{}

func (cutting) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("cut") }
