package doctor

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// Config says what to examine. Without an Engine only the way to WhatsApp is.
type Config struct {
	// Engine asks the engine as the gate would; nil: there is none.
	Engine session.Engine
	// Base and Transport are how the engine is reached; required with Engine.
	Base      *url.URL
	Transport http.RoundTripper
	// Key is the credential to examine with; without one the engine is only asked for its health.
	Key secret.Secret
	// Deep makes a session even without a key, for engines that ask for none.
	Deep bool
	// Patience is how long a QR is waited for once the connect was accepted; 0: 30 s.
	Patience time.Duration
	// RecordIntent is told of a session before it is made and Done when it is gone, so that it can be deleted by
	// somebody else if this process dies in between. Left is told instead of Done when the examination is over
	// and the session is there, or may be. nil: nobody.
	RecordIntent, Done, Left func(ctx context.Context, session string) error
	// Legible says what the image of a QR shows, or why it is none; nil: every image is believed.
	Legible func(image secret.Secret) (string, error)
	// CheckWhatsApp is the gate's own look at WhatsApp, which tells progress of each step; nil: none.
	CheckWhatsApp func(ctx context.Context, progress func(Check)) session.ConnectivityResult
	// Progress is told of every check when it ends; nil: nobody.
	Progress func(Check)
	// Language is that of the verdict, one of qrgate.Languages; "": English. Checks and evidence quote what was
	// seen, and are in English.
	Language string
}

// Check is one thing that was looked at.
type Check struct {
	Name    string  `json:"name"`
	OK      bool    `json:"ok"`
	Seconds float64 `json:"seconds"`
	Detail  string  `json:"detail"`
}

// The names of the checks of the engine. Those of the way to WhatsApp are qrgate.ControlSteps.
const (
	CheckEngine  = "engine"
	CheckKey     = "key"
	CheckOthers  = "others"
	CheckCreate  = "create"
	CheckConnect = "connect"
	CheckQR      = "qr"
	CheckCleanup = "cleanup"
)

// Report is what an examination found.
type Report struct {
	Checks     []Check             `json:"checks"`
	Diagnosis  diagnosis.Diagnosis `json:"diagnosis"` // Code is none when all is well
	Complete   bool                `json:"whole"`     // everything that decides was looked at
	Stopped    bool                `json:"stopped"`   // somebody interrupted it
	Session    string              `json:"session"`   // the session that was made; "" for none
	LeftBehind bool                `json:"left"`      // it could not be deleted
}

// usualPatience is how long a QR is waited for: healthy engines have one within five seconds.
const usualPatience = 30 * time.Second

// Run takes the checks in their order. It ends within the patience and two minutes, or soon after ctx;
// the session that it makes is deleted even then.
func Run(ctx context.Context, c Config) Report {
	if c.Patience == 0 {
		c.Patience = usualPatience
	}
	if c.Progress == nil {
		c.Progress = func(Check) {}
	}
	e := &run{Config: c}
	if c.Engine != nil {
		e.engine(ctx)
	}
	if c.CheckWhatsApp != nil && ctx.Err() == nil {
		e.found.look = c.CheckWhatsApp(ctx, func(k Check) { e.note(unlessStopped(ctx, k)) })
	}
	e.out.Stopped = ctx.Err() != nil
	v := conclude(e.found, time.Now())
	if e.out.Stopped {
		v = stopped(e.found, e.out.Checks)
	}
	e.out.Diagnosis, e.out.Complete = v.in(c.Language), v.whole
	return e.out
}

// run is one run.
type run struct {
	Config
	found findings
	out   Report
}

// note writes a check down.
func (e *run) note(c Check) {
	e.out.Checks = append(e.out.Checks, c)
	e.Progress(c)
}

// check runs one check within ctx, and reports whether it was passed.
func (e *run) check(ctx context.Context, name string, run func() (detail string, failed *session.EngineError)) bool {
	began := time.Now()
	detail, failed := run()
	if failed != nil {
		detail = words(failed)
		if e.found.fault == nil && ctx.Err() == nil {
			e.found.fault = failed
		}
	}
	took := time.Since(began)
	if name != CheckConnect && name != CheckCleanup { // which may be several calls, and pauses
		e.answered(took, failed)
	}
	e.note(unlessStopped(ctx, Check{Name: name, OK: failed == nil, Seconds: took.Round(time.Millisecond).Seconds(), Detail: detail}))
	return failed == nil
}

// answered takes the time of a call into the engine's pace; one without an answer says nothing of it.
func (e *run) answered(took time.Duration, failed *session.EngineError) {
	if failed != nil && (failed.Kind == session.KindUnreachable || failed.Kind == session.KindTimeout) {
		return
	}
	e.found.latencies = append(e.found.latencies, took)
}

// unlessStopped is a check as it ended. One that failed when the examination was stopped says nothing else.
func unlessStopped(ctx context.Context, c Check) Check {
	if !c.OK && ctx.Err() != nil {
		c.Detail = "interrupted"
	}
	return c
}

// engine examines the engine.
func (e *run) engine(ctx context.Context) {
	e.found.engine = true
	if !e.check(ctx, CheckEngine, func() (string, *session.EngineError) { return e.health(ctx) }) {
		return
	}
	if e.Key.Empty() && !e.Deep {
		return
	}
	var others []session.SessionReport
	if !e.check(ctx, CheckKey, func() (string, *session.EngineError) {
		roll, err := e.Engine.List(ctx, e.caller())
		others = roll.Sessions
		return "the list of sessions was given", faultOf(err)
	}) {
		return
	}
	e.found.others(others)
	e.note(Check{Name: CheckOthers, OK: true, Detail: tally(others)})
	e.walk(ctx)
}

func (e *run) caller() session.Caller {
	return session.Caller{Tenant: "doctor", Key: e.Key, Traffic: session.SyntheticTraffic}
}
