package probes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"qrgate/compat"
	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// Result is what one run found. It does not change after a run has returned it.
type Result struct {
	ID                string               `json:"id"` // joins the logs and the spans of one run
	Probe             string               `json:"probe"`
	Target            string               `json:"target"`            // the target's name, never its key
	Session           string               `json:"session,omitempty"` // the session of this run
	StartedAt         time.Time            `json:"started_at"`
	Seconds           float64              `json:"seconds"`               // includes the cleanup
	Outcome           session.Outcome      `json:"outcome"`               // Abandoned when there is a SkipReason
	SkipReason        string               `json:"skip_reason,omitempty"` // one of the Skip constants
	Problem           string               `json:"problem,omitempty"`     // explains the SkipReason
	Diagnosis         *diagnosis.Diagnosis `json:"diagnosis"`             // of a failure; else nil
	TargetUnreachable bool                 `json:"target_unreachable,omitempty"`
	Steps             []Step               `json:"steps"`
}

// Reasons why a run has no result for its target. The first three are normal; the others are failures of the prober.
const (
	SkipOverlap     = "overlap"     // the previous run has not ended
	SkipMaintenance = "maintenance" // a maintenance window
	SkipNotLeader   = "not_leader"  // another replica runs this probe

	SkipLease    = "lease_lost"      // another replica became the leader during the run
	SkipShutdown = "shutdown"        // the run was canceled
	SkipBacklog  = "cleanup_backlog" // too many sessions of earlier runs could not be deleted
	SkipInternal = "internal"        // any other failure of the prober, such as a full disk
	SkipTooShort = "too_short"       // the caller's timeout is too short for a healthy target; never on schedule
)

// Step is the result of one step.
type Step struct {
	Name    string          `json:"name"`
	Seconds float64         `json:"seconds"`
	Outcome session.Outcome `json:"outcome"`
	Detail  string          `json:"detail,omitempty"` // for people; contains no code and no key
}

// Code is the run's diagnosis as metrics count it: None after a success and without a result.
func (r Result) Code() diagnosis.Code {
	if r.Diagnosis == nil {
		return diagnosis.None
	}
	return r.Diagnosis.Code
}

// Healthy reports whether the run proved that its target works.
func (r Result) Healthy() bool { return r.Outcome == session.Success }

// Took is how long the run took.
func (r Result) Took() time.Duration { return time.Duration(r.Seconds * float64(time.Second)) }

// run is one run in progress.
type run struct {
	p        *Prober
	session  *Session
	qr       compat.Response // with the QR, for the validation
	result   Result
	failed   *failure  // of the first step that failed
	until    time.Time // by when the run is over
	isManual bool      // a caller requested the run and may have given it a short timeout
}

// walk runs the steps of a probe up to the first that fails, and then the cleanup. The cleanup changes the result only
// where the deletion is what the probe tests.
func (r *run) walk(ctx context.Context, p probe) {
	for _, s := range p.steps {
		if !r.step(ctx, s) {
			break
		}
	}
	if p.testsCleanup && r.failed == nil {
		r.failed = r.cleanup(ctx)
		r.conclude(ctx)
		return
	}
	r.conclude(ctx)
	r.cleanup(ctx)
}

// step runs one step and records how it ended.
func (r *run) step(ctx context.Context, s step) (ok bool) {
	stepCtx, end := r.p.cfg.Span(ctx, "probe.step "+s.name, slog.String("qrgate.probe.step", s.name))
	stepCtx, cancel := context.WithTimeout(stepCtx, s.timeout)
	defer cancel()
	startedAt := time.Now()
	detail, f := s.do(stepCtx, r)
	took := time.Since(startedAt)
	f = r.ignoreShortTimeout(ctx, f, took)
	out := Step{Name: s.name, Seconds: took.Seconds(), Outcome: session.Success, Detail: detail}
	code := diagnosis.None
	if f != nil {
		out.Outcome, code = session.Failure, cmp.Or(f.code, diagnosis.Internal)
		out.Detail = cmp.Or(detail, f.String())
	}
	end(code)
	r.result.Steps = append(r.result.Steps, out)
	r.p.cfg.Progress(out)
	if f != nil && r.failed == nil && s.name != StepCleanup {
		r.failed = f
	}
	return f == nil
}

// conclude sets the run's outcome from the first failure, or from why the run was canceled.
func (r *run) conclude(ctx context.Context) {
	cause := context.Cause(ctx)
	isCanceled := cause != nil && !errors.Is(cause, context.DeadlineExceeded)
	switch {
	case errors.Is(cause, errLeaseLost):
		r.skip(SkipLease, "Another replica runs the probes now, so this result was dropped.")
	case r.failed == nil:
		r.result.Outcome = session.Success
	case isCanceled:
		r.skip(SkipShutdown, "The run was canceled before it had a result.")
	case r.failed.skip != "":
		r.skip(r.failed.skip, strings.TrimPrefix(r.failed.String(), r.failed.skip+": "))
	default:
		d := diagnosis.New(r.failed.code, r.failed.evidence...)
		r.result.Outcome, r.result.Diagnosis, r.result.TargetUnreachable = session.Failure, &d, r.failed.isUnreachable()
	}
}

func (r *run) skip(reason, problem string) {
	r.result.Outcome, r.result.Diagnosis = session.Abandoned, nil
	r.result.SkipReason, r.result.Problem = reason, problem
}

// fairResponseTime is how long a target may take for one response before its silence counts as a failure: as long as
// the health probe allows.
const fairResponseTime = 5 * time.Second

// ignoreShortTimeout turns a failure into a skip if a manual run's timeout was too short for a healthy target.
func (r *run) ignoreShortTimeout(ctx context.Context, f *failure, took time.Duration) *failure {
	if f == nil || !r.isManual {
		return f
	}
	isTimeout := errors.Is(context.Cause(ctx), context.DeadlineExceeded)
	noResponse := f.code == diagnosis.EngineTimeout || f.code == diagnosis.EngineUnreachable
	awaited, fair := "", time.Duration(0)
	switch {
	case f.code == diagnosis.QRNotEmitted && !f.isReported:
		awaited, fair = "a QR", session.SymptomDelay
	case noResponse && isTimeout:
		awaited, fair = "a response", fairResponseTime
	}
	if took >= fair {
		return f
	}
	text := fmt.Sprintf("the run waited %.1f s for %s, which may take %.0f s; increase the timeout",
		took.Seconds(), awaited, fair.Seconds())
	return &failure{skip: SkipTooShort, evidence: []string{text}}
}
