// Package doctor checks an engine and the connection to WhatsApp on request, the cheapest and most telling check first,
// and ends with one diagnosis.
//
//	engine    does it respond?
//	kind      does it respond as engines of its kind do?
//	key       does it accept the key?
//	others    what are the states of the caller's other sessions?
//	create → connect → qr → cleanup           on a test session that is always deleted
//	dns → tcp → tls → upgrade → handshake     the connectivity check from this host to WhatsApp
//
// A failed check skips those that depend on it. The steps on the test session are those of package probes. The results
// go through [session.Diagnose], as they do in qrgate itself. No other session is touched, and nothing is paired.
package doctor

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"qrgate/compat"
	"qrgate/internal/diagnosis"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/probes"
)

// Config configures the checks. Without an Engine only the connection to WhatsApp is checked.
type Config struct {
	// Engine calls the engine; may be nil.
	Engine *compat.Client
	// Key is the credential; without one only the engine's health is checked.
	Key secret.Secret
	// Deep creates a session even without a key, for engines that need none.
	Deep bool
	// QRTimeout is how long to wait for the QR after the connect was accepted; 0: 30 s.
	QRTimeout time.Duration
	// Intents are where the session is recorded before it is created, as one of the named Target; nil: nowhere.
	Intents probes.Intents
	Target  string
	// Kind is the check of the engine's kind, which only its responses show; the zero Check: its kind is the default.
	Kind Check
	// Version is the version that the embedded engine presents to WhatsApp, and its age; "": none.
	Version string
	// CheckWhatsApp is the connectivity check from this host, which reports each of its steps; may be nil.
	CheckWhatsApp func(ctx context.Context, progress func(Check)) session.ConnectivityResult
	// Progress receives every check when it ends; may be nil.
	Progress func(Check)
	// Language of the diagnosis, one of diagnosis.Languages; "": English. Checks and evidence are English.
	Language string
}

// Check is the result of one check.
type Check struct {
	Name    string  `json:"name"`
	OK      bool    `json:"ok"`
	Seconds float64 `json:"seconds"`
	Detail  string  `json:"detail"`
}

// The checks of the engine. Those of the connection to WhatsApp are session.ConnectivityStep.
const (
	CheckVersion = "version" // always succeeds: only WhatsApp can refuse a version
	CheckEngine  = "engine"
	CheckKind    = "kind"
	CheckKey     = "key"
	CheckOthers  = "others"
	CheckCreate  = "create"
	CheckConnect = "connect"
	CheckQR      = "qr"
	CheckCleanup = "cleanup"
)

// Report is the result of Run.
type Report struct {
	Checks     []Check             `json:"checks"`
	Diagnosis  diagnosis.Diagnosis `json:"diagnosis"`   // Code is none when all is well
	Complete   bool                `json:"complete"`    // every check that decides was made
	Stopped    bool                `json:"stopped"`     // ctx ended before Run did
	Session    string              `json:"session"`     // the test session; "" for none
	LeftBehind bool                `json:"left_behind"` // it could not be deleted
}

// defaultQRTimeout suits slow engines; healthy ones have a QR within five seconds.
const defaultQRTimeout = 30 * time.Second

// maxOverhead is the most that a run takes beside the wait for the QR.
const maxOverhead = 2 * time.Minute

// Run makes the checks in their order. It ends within QRTimeout and two minutes, or soon after ctx; the test session is
// deleted in any case.
func Run(ctx context.Context, c Config) Report {
	if c.QRTimeout == 0 {
		c.QRTimeout = defaultQRTimeout
	}
	if c.Progress == nil {
		c.Progress = func(Check) {}
	}
	r := &run{Config: c}
	if c.Version != "" {
		r.add(Check{Name: CheckVersion, OK: true, Detail: c.Version})
	}
	if c.Engine != nil {
		r.checkEngine(ctx)
	}
	if c.CheckWhatsApp != nil && ctx.Err() == nil {
		r.found.whatsapp = c.CheckWhatsApp(ctx, func(k Check) { r.add(markInterrupted(ctx, k)) })
		r.found.whatsapp.Elsewhere = c.Engine != nil && session.IsElsewhere(c.Engine.BaseURL)
	}
	r.report.Stopped = ctx.Err() != nil
	v := conclude(r.found, time.Now())
	if r.report.Stopped {
		v = interrupted(r.found, r.report.Checks)
	}
	r.report.Diagnosis, r.report.Complete = v.localize(c.Language), v.isComplete
	return r.report
}

// run is one run in progress.
type run struct {
	Config
	found  findings
	report Report
}

func (r *run) add(c Check) {
	r.report.Checks = append(r.report.Checks, c)
	r.Progress(c)
}

// check makes one check and reports whether it succeeded.
func (r *run) check(ctx context.Context, name string, do func() (detail string, err error)) bool {
	startedAt := time.Now()
	detail, err := do()
	took := time.Since(startedAt)
	failure := session.AsEngineError(err)
	if failure != nil {
		detail = describe(failure)
		if r.found.failure == nil && ctx.Err() == nil {
			r.found.failure = failure
		}
	}
	if name != CheckConnect && name != CheckCleanup { // these may be several calls with pauses
		r.addLatency(took, failure)
	}
	seconds := took.Round(time.Millisecond).Seconds()
	r.add(markInterrupted(ctx, Check{Name: name, OK: failure == nil, Seconds: seconds, Detail: detail}))
	return failure == nil
}

// addLatency records how long a response took. A call without a response has no latency.
func (r *run) addLatency(took time.Duration, failure *session.EngineError) {
	if failure != nil && (failure.Kind == session.KindUnreachable || failure.Kind == session.KindTimeout) {
		return
	}
	r.found.latencies = append(r.found.latencies, took)
}

// markInterrupted replaces the detail of a check that failed because ctx ended.
func markInterrupted(ctx context.Context, c Check) Check {
	if !c.OK && ctx.Err() != nil {
		c.Detail = "interrupted"
	}
	return c
}

// describe is a failed call in one line, with the engine's own message.
func describe(e *session.EngineError) string {
	if e.Text == "" {
		return e.String()
	}
	return e.String() + ": " + e.Text
}

// checkEngine makes the checks of the engine.
func (r *run) checkEngine(ctx context.Context) {
	r.found.hasEngine = true
	s := probes.NewSession(r.Engine, session.Caller{Key: r.Key, Traffic: session.SyntheticTraffic}, Prefix)
	s.Intents = r.Intents
	isEngine := r.check(ctx, CheckEngine, func() (string, error) { return identify(ctx, s) })
	if isEngine && r.Kind.Name != "" {
		r.add(r.Kind)
		defer r.blameKind()
	}
	if !isEngine || r.Key.Empty() && !r.Deep {
		return
	}
	var others []session.SessionReport
	if !r.check(ctx, CheckKey, func() (string, error) {
		response, err := s.Do(ctx, compat.ListRequest(1))
		others = response.SessionReports()
		return "the engine lists the sessions of this key", err
	}) {
		return
	}
	r.found.addOthers(others)
	r.add(Check{Name: CheckOthers, OK: true, Detail: countStates(others)})
	r.checkSession(ctx, s)
}

// blameKind makes the engine's kind the failure of an engine that responds, but not as the configured kind does.
func (r *run) blameKind() {
	if r.found.failure != nil && !r.Kind.OK {
		r.found.failure = &session.EngineError{Op: session.OpHealth, Kind: session.KindBadResponse, Reason: r.Kind.Detail}
	}
}

// identify checks whether an engine of the documented API responds, whatever its health: the list shows that. Another
// service must not pass for an engine.
func identify(ctx context.Context, s *probes.Session) (string, error) {
	response, err := s.Do(ctx, compat.HealthRequest())
	kind := session.KindOf(err)
	switch {
	case kind == session.KindUnreachable, kind == session.KindTimeout:
		return "", err
	case isEngineAPI(response):
		return fmt.Sprintf("GET /health returns %d", response.Status), nil
	}
	// An engine without /health has a list, which may need a key.
	response, err = s.Do(ctx, compat.ListRequest(1))
	body, _ := compat.Parse(response.Body)
	isList := response.Status == http.StatusOK && compat.SessionsOf(body) != nil
	failure := session.AsEngineError(err)
	switch {
	case isEngineAPI(response), response.Status == http.StatusUnauthorized, isList:
		return fmt.Sprintf("GET /api/sessions returns %d", response.Status), nil
	case failure == nil:
	case response.Status == 0, response.Status/100 == 5, failure.Kind == session.KindRateLimited:
		return "", err
	}
	return "", &session.EngineError{Op: session.OpList, Kind: session.KindBadResponse, Status: response.Status}
}

// isEngineAPI reports whether a response has the documented envelope. A 404 proves nothing, whatever its body.
func isEngineAPI(r compat.Response) bool {
	body, err := compat.Parse(r.Body)
	if err != nil || !r.Complete || r.Status == http.StatusNotFound {
		return false
	}
	_, hasSuccess := body["success"].(bool)
	_, hasStatus := body["status"].(string)
	return hasSuccess || hasStatus
}

// countStates counts the other sessions by state, and by the cause that the engine names for them.
func countStates(others []session.SessionReport) string {
	if len(others) == 0 {
		return "none"
	}
	counts := map[string]int{}
	for _, o := range others {
		name := string(o.State)
		d := session.Diagnose(session.Session{State: o.State, Reason: o.Reason}, session.Environment{}, o.At)
		if !d.Healthy() && d.Code != diagnosis.AlreadyPaired {
			name += " (" + string(d.Code) + ")"
		}
		counts[name]++
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[name], name))
	}
	return strings.Join(parts, ", ")
}
