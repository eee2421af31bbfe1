package probes

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"qrgate/compat"
	"qrgate/internal/diagnosis"
	"qrgate/internal/redact"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/internal/store"
)

// The probes.
const (
	EngineHealth    = "engine_health"     // the engine responds; no session
	CreateDelete    = "create_delete"     // a session can be created and deleted; no contact with WhatsApp
	CreateConnectQR = "create_connect_qr" // from the create to a readable QR
)

// The steps of a run, as metrics and spans name them.
const (
	StepHealth   = "health"
	StepCreate   = "create"
	StepConnect  = "connect"
	StepQR       = "qr"
	StepValidate = "validate"
	StepCleanup  = "cleanup"
)

// probe is a sequence of steps. A probe that makes a session ends with the cleanup.
type probe struct {
	name         string
	limit        time.Duration // of one run without its cleanup
	makesSession bool          // one replica at a time runs it, and never without an intent
	testsCleanup bool          // the cleanup decides the result too
	steps        []step
}

// step is one step of a probe. The detail is for people.
type step struct {
	name    string
	timeout time.Duration
	do      func(context.Context, *run) (detail string, f *failure)
}

// Bounds of the steps.
const (
	qrTimeout      = 30 * time.Second // from the connect on
	statusTimeout  = 3 * time.Second
	intentTimeout  = 2 * time.Second
	cleanupTimeout = 5 * time.Second
)

func catalog() map[string]probe {
	health := step{StepHealth, callTimeout, checkHealth}
	create := step{StepCreate, callTimeout + intentTimeout, create}
	connect := step{StepConnect, callTimeout, connect}
	qr := step{StepQR, qrTimeout + statusTimeout, waitForQR}
	validate := step{StepValidate, callTimeout, validate}
	return map[string]probe{
		EngineHealth:    {EngineHealth, 5 * time.Second, false, false, []step{health}},
		CreateDelete:    {CreateDelete, 20 * time.Second, true, true, []step{create}},
		CreateConnectQR: {CreateConnectQR, 45 * time.Second, true, false, []step{create, connect, qr, validate}},
	}
}

// Names lists the probes, the cheapest first.
func Names() []string { return []string{EngineHealth, CreateDelete, CreateConnectQR} }

func nameList() string { return strings.Join(slices.Sorted(maps.Keys(catalog())), ", ") }

// limitOf is how long a run may take: the probe's own limit, the configured one, and on a schedule less than the
// interval, so that the next run does not overlap.
func limitOf(p probe, configured, every time.Duration) time.Duration {
	limit := p.limit
	if configured > 0 {
		limit = min(limit, configured)
	}
	if every > 0 {
		limit = min(limit, every*4/5)
	}
	return limit
}

// checkHealth asks for GET /health, and for the list of sessions if the engine does not serve that.
func checkHealth(ctx context.Context, r *run) (string, *failure) {
	response, err := r.session.Do(ctx, compat.HealthRequest())
	f := callFailure(err)
	switch {
	case f == nil && isHealthy(response):
		return "GET /health succeeds", nil
	case f == nil:
		evidence := []string{"GET /health reports that the engine is not healthy"}
		return "", &failure{code: diagnosis.Engine5xx, evidence: evidence}
	case response.Status == 0 || response.Status/100 == 5 || f.code == diagnosis.EngineTimeout:
		return "", f
	}
	if _, err := r.session.Do(ctx, compat.ListRequest(1)); err != nil {
		return "", callFailure(err)
	}
	return "the list of sessions succeeds", nil
}

// isHealthy reads the body of a successful health response: engines send {"success":true}, {"status":"ok"} or neither.
func isHealthy(r compat.Response) bool {
	body, _ := compat.Parse(r.Body)
	status, ok := body["status"].(string)
	return !ok || slices.Contains([]string{"ok", "up", "healthy", "pass"}, strings.ToLower(status))
}

// create records the intent and creates the session. Nothing is created before the intent is durable.
func create(ctx context.Context, r *run) (string, *failure) {
	r.intent = Intent{
		Session: r.result.Session, Target: r.result.Target, Owner: r.p.instanceID, At: time.Now(), Until: r.until,
	}
	switch err := r.p.cfg.Intents.Record(ctx, r.intent); {
	case errors.Is(err, store.ErrStoreUnavailable):
		evidence := []string{"the intent was not recorded, so no session was created"}
		return "", &failure{code: diagnosis.RedisUnavailable, evidence: evidence}
	case err != nil:
		evidence := fmt.Sprintf("the intent was not recorded, so no session was created: %v", err)
		return "", &failure{skip: SkipInternal, evidence: []string{evidence}}
	}
	return "", callFailure(r.session.Create(ctx, "qrgate probe"))
}

func connect(ctx context.Context, r *run) (string, *failure) {
	return "", callFailure(r.session.Connect(ctx))
}

// waitForQR polls for the QR. A gateway waits within each request; an engine responds at once.
func waitForQR(ctx context.Context, r *run) (string, *failure) {
	waitCtx, cancel := context.WithTimeout(ctx, pollTimeout(ctx, time.Now()))
	defer cancel()
	var last *failure
	request := func(int) compat.Request {
		request := r.session.qrRequest()
		request.Prefer = preferHeader(waitCtx, time.Now())
		return request
	}
	polls := r.session.Poll(waitCtx, request, func(_ compat.Request, response compat.Response, err error) bool {
		f := callFailure(err)
		switch {
		case f == nil && hasQR(response):
			r.qr, last = response, nil
			return true
		case f == nil:
			f = &failure{code: diagnosis.QRNotEmitted, evidence: []string{"GET …/qr succeeds without a code"}}
		case f.code == diagnosis.EngineTimeout && waitCtx.Err() != nil && last != nil:
			return true // the end of the wait cut this poll off; the one before it is more exact
		}
		last = f
		return f.isFinal
	})
	if last != nil {
		return "", fetchDiagnosis(ctx, r, last)
	}
	return fmt.Sprintf("%d requests", polls), nil
}

// pollTimeout is how long to wait for the QR, so that there is time left to ask why there is none.
func pollTimeout(ctx context.Context, now time.Time) time.Duration {
	end, ok := ctx.Deadline()
	if !ok {
		return qrTimeout
	}
	left := end.Sub(now)
	return min(qrTimeout, max(left-statusTimeout, left*2/3))
}

// preferHeader shortens the wait of the next request if a gateway's usual wait would end after ctx. An engine does not
// know the header.
func preferHeader(ctx context.Context, now time.Time) string {
	end, ok := ctx.Deadline()
	if left := end.Sub(now); ok && left < callTimeout {
		return fmt.Sprintf("wait=%d", int(left.Seconds()))
	}
	return ""
}

func hasQR(r compat.Response) bool {
	body, _ := compat.Parse(r.Body)
	return compat.StringOf(compat.Data(body)["qrCode"]) != ""
}

// fetchDiagnosis asks a gateway why there is no QR. An engine does not have that route, and the failure stays.
func fetchDiagnosis(ctx context.Context, r *run, f *failure) *failure {
	if f.isFinal || ctx.Err() != nil {
		return f
	}
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	request := compat.SessionRequest(session.OpStatus, http.MethodGet, r.session.Ref, "qr/status")
	response, err := r.session.Do(ctx, request)
	if err != nil {
		return f
	}
	body, _ := compat.Parse(response.Body)
	reported, _ := compat.Data(body)["diagnosis"].(compat.Object)
	code := diagnosis.Code(compat.StringOf(reported["code"]))
	if !slices.Contains(diagnosis.Codes(), code) {
		return f
	}
	out := &failure{code: code, isReported: true}
	lines, _ := reported["evidence"].([]any)
	for _, line := range lines[:min(len(lines), 8)] {
		if text := compat.StringOf(line); text != "" {
			out.evidence = append(out.evidence, redact.Line(text))
		}
	}
	out.evidence = append(out.evidence, f.evidence...) // "not ready" explains nothing, so it comes last
	return out
}

// fingerprint tells two codes apart without storing either.
type fingerprint [sha256.Size]byte

// validate checks that the QR is this session's, has not expired, is readable, and differs from the last run's.
func validate(_ context.Context, r *run) (string, *failure) {
	invalid := func(code diagnosis.Code, reason string) (string, *failure) {
		return "", &failure{code: code, evidence: []string{reason}}
	}
	body, _ := compat.Parse(r.qr.Body)
	data := compat.Data(body)
	want := r.session.Ref
	if got := compat.RefOf(data); got.Name != "" && got.Name != want.Name && got.Name != fmt.Sprint(want.ID) {
		return invalid(diagnosis.QRInvalid, "the response is about another session")
	}
	expiry := compat.ExpiryOf(data, compat.EngineClock(r.qr.Header, r.qr.At))
	if expiry.Known && expiry.In <= 0 {
		text := fmt.Sprintf("the code had expired %.0f s before the response", -expiry.In.Seconds())
		return invalid(diagnosis.QRExpired, text)
	}
	text, err := compat.ReadQR(secret.NewSecret(compat.StringOf(data["qrCode"])))
	if err != nil {
		return invalid(diagnosis.QRInvalid, err.Error())
	}
	if !r.p.results.recordCode(r.result.Target, sha256.Sum256([]byte(text.Reveal()))) {
		return invalid(diagnosis.QRInvalid, "the code is the same as the last run's")
	}
	detail := "readable"
	if expiry.Known {
		detail += fmt.Sprintf(", expires in %.0f s", expiry.In.Seconds())
	}
	return detail, nil
}

// cleanup deletes the session, whatever the result of the run, and removes its intent. A canceled run does not cancel
// it.
func (r *run) cleanup(ctx context.Context) (failed *failure) {
	if r.session.existence == notRequested {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	isGone := false
	r.step(ctx, step{StepCleanup, cleanupTimeout, func(ctx context.Context, r *run) (detail string, f *failure) {
		var err error
		if isGone, detail, err = r.session.Delete(ctx); !isGone {
			failed = callFailure(err)
			return detail, failed
		}
		if err := r.p.cfg.Intents.Done(ctx, r.result.Session); err != nil {
			return "deleted; the janitor removes the intent", nil
		}
		return detail, nil
	}})
	if !isGone {
		r.deferCleanup(ctx)
	}
	return failed
}

// deferCleanup makes the intent due now, so that the janitor need not wait until the run must have ended.
func (r *run) deferCleanup(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, intentTimeout)
	defer cancel()
	r.intent.Until = time.Now()
	_ = r.p.cfg.Intents.Record(ctx, r.intent) // else it becomes due as recorded
}
