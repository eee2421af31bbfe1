package probes

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
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

var (
	createStep = step{StepCreate, callTimeout + intentTimeout, create}

	catalog = map[string]probe{
		EngineHealth: {name: EngineHealth, limit: 5 * time.Second, steps: []step{
			{StepHealth, callTimeout, checkHealth},
		}},
		CreateDelete: {name: CreateDelete, limit: 20 * time.Second, makesSession: true, testsCleanup: true,
			steps: []step{createStep}},
		CreateConnectQR: {name: CreateConnectQR, limit: 45 * time.Second, makesSession: true, steps: []step{
			createStep,
			{StepConnect, callTimeout, connect},
			{StepQR, qrTimeout + statusTimeout, waitForQR},
			{StepValidate, callTimeout, validate},
		}},
	}
)

// Names lists the probes, the cheapest first.
func Names() []string { return []string{EngineHealth, CreateDelete, CreateConnectQR} }

func nameList() string { return strings.Join(Names(), ", ") }

// limit is how long a run may take: the least of the probe's own limit and of those that are set.
func (p *Prober) limit(kind probe, other time.Duration) time.Duration {
	limit := kind.limit
	for _, d := range []time.Duration{p.cfg.Timeout, other} {
		if d > 0 {
			limit = min(limit, d)
		}
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
	const unrecorded = "the intent was not recorded, so no session was created"
	switch err := r.session.Record(ctx, r.result.Target, r.p.instanceID, r.until); {
	case errors.Is(err, store.ErrStoreUnavailable):
		return "", &failure{code: diagnosis.RedisUnavailable, evidence: []string{unrecorded}}
	case err != nil:
		return "", &failure{skip: SkipInternal, evidence: []string{fmt.Sprintf("%s: %v", unrecorded, err)}}
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
	if polls == 1 {
		return "1 request", nil
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
	var body struct {
		Data struct{ Diagnosis diagnosis.Diagnosis }
	}
	if json.Unmarshal(response.Body, &body) != nil {
		return f
	}
	reported := body.Data.Diagnosis
	if !slices.Contains(diagnosis.Codes(), reported.Code) {
		return f
	}
	out := &failure{code: reported.Code, isReported: true}
	for _, line := range reported.Evidence[:min(len(reported.Evidence), 8)] {
		out.evidence = append(out.evidence, redact.Line(line))
	}
	out.evidence = append(out.evidence, f.evidence...) // "not ready" explains nothing, so it comes last
	return out
}

// fingerprint distinguishes codes without storing them.
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
	image, detail := secret.NewSecret(compat.StringOf(data["qrCode"])), "readable"
	text, err := compat.ReadQR(image)
	if errors.Is(err, compat.ErrNotDecoded) {
		text, detail, err = image, err.Error(), nil
	}
	if err != nil {
		return invalid(diagnosis.QRInvalid, err.Error())
	}
	if !r.p.results.recordCode(r.result.Target, sha256.Sum256([]byte(text.Reveal()))) {
		return invalid(diagnosis.QRInvalid, "the code is the same as the last run's")
	}
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
	deletion := func(ctx context.Context, r *run) (string, *failure) {
		_, detail, err := r.session.Delete(ctx)
		failed = callFailure(err)
		return detail, failed
	}
	r.step(context.WithoutCancel(ctx), step{StepCleanup, cleanupTimeout, deletion})
	return failed
}
