package probes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/internal/store"
)

// run is one run on its way. Probes call its steps; the first that fails is the run's verdict, and
// only the cleanup comes after it.
type run struct {
	p      *Prober
	door   client
	run    Result
	failed *failure
	made   existence
	ref    session.Ref
	until  time.Time // by when the run is over
	intent Intent    // what was recorded
	manual bool      // somebody asked for this run and may have given it little time
}

// existence is what is known of the session.
type existence int

const (
	nothing  existence = iota // none was asked for
	possible                  // one was, and the answer does not say
	certain                   // it exists
	refused                   // one was, and the target certainly made none
)

// step does one part of the run within limit and notes how it ended. It reports whether to go on.
func (j *run) step(ctx context.Context, name string, limit time.Duration, do func(context.Context) (string, *failure)) bool {
	walking := ctx
	ctx, end := j.p.cfg.Span(ctx, "qr.journey."+name, slog.String("qrgate.probe.step", name))
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	began := time.Now()
	detail, f := do(ctx)
	f = j.ignoreShortTimeout(walking, f, time.Since(began))
	s := Step{Name: name, Seconds: time.Since(began).Seconds(), Outcome: session.Success, Detail: detail}
	code := diagnosis.None
	if f != nil {
		s.Outcome, code = session.Failure, orElse(f.code, diagnosis.Internal)
		if s.Detail == "" {
			s.Detail = f.words()
		}
	}
	end(code)
	j.run.Steps = append(j.run.Steps, s)
	j.p.cfg.Progress(s)
	if f != nil && j.failed == nil && name != StepCleanup {
		j.failed = f
	}
	return f == nil
}

// words is a failure in a few words, for people.
func (f *failure) words() string {
	what := string(f.code)
	if f.missed != "" {
		what = f.missed
	}
	if len(f.evidence) > 0 {
		return what + ": " + f.evidence[0]
	}
	return what
}

// recordIntent writes the intent. Nothing is created before it is durable.
func (j *run) recordIntent(ctx context.Context) *failure {
	j.intent = Intent{Session: j.run.Session, Target: j.run.Target, Owner: j.p.instanceID, At: time.Now(), Until: j.until}
	err := j.p.cfg.Intents.Record(ctx, j.intent)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrStoreUnavailable):
		return &failure{code: diagnosis.RedisUnavailable, evidence: []string{"what is about to be created could not be recorded, so nothing was created"}}
	}
	return &failure{missed: SkipInternal, evidence: []string{fmt.Sprintf("the intent could not be recorded, so nothing was created: %v", err)}}
}

// verdict ends the run: its outcome follows from the first failure, and from why the run was cancelled if
// it was. It is called before the cleanup, which changes no verdict.
func (j *run) verdict(ctx context.Context) {
	cause := context.Cause(ctx)
	cancelled := cause != nil && !errors.Is(cause, context.DeadlineExceeded)
	switch {
	case errors.Is(cause, errLeaseLost):
		j.miss(SkipLease, "Another replica runs the probes now, so this result was dropped.")
	case j.failed == nil:
		j.run.Outcome = session.Success
	case cancelled:
		j.miss(SkipShutdown, "The run was cancelled before it knew.")
	case j.failed.missed != "":
		j.miss(j.failed.missed, strings.TrimPrefix(j.failed.words(), j.failed.missed+": "))
	default:
		d := diagnosis.New(j.failed.code, j.failed.evidence...)
		j.run.Outcome, j.run.Diagnosis, j.run.TargetUnreachable = session.Failure, &d, j.failed.noConnection
	}
}

func (j *run) miss(reason, why string) {
	j.run.Outcome, j.run.SkipReason, j.run.Problem, j.run.Diagnosis = session.Abandoned, reason, why, nil
}
