package probes

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"qrgate/compat"
	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// createConnectQR walks the whole way to a QR. It never scans it. That the session cannot be deleted
// afterwards makes an orphan, which has an alert of its own, and no QR less.
func createConnectQR(ctx context.Context, j *run) {
	if j.create(ctx) && j.connect(ctx) {
		if a, ok := j.await(ctx); ok {
			j.validate(ctx, a)
		}
	}
	j.verdict(ctx)
	j.cleanup(ctx)
}

func (j *run) connect(ctx context.Context) bool {
	return j.step(ctx, StepConnect, callTime, func(ctx context.Context) (string, *failure) {
		c := onSession(session.OpConnect, http.MethodPost, j.ref, "connect")
		c.body = "{}"
		_, f := j.door.ask(ctx, c)
		return "", f
	})
}

// Bounds of the wait for a QR.
const (
	codeTime   = 30 * time.Second // from the connect on
	firstPause = 500 * time.Millisecond
	lastPause  = 4 * time.Second
	statusTime = 3 * time.Second
)

// await asks for the QR until there is one. A gate holds each request; an engine answers at once, and the
// pauses keep the whole wait within a third of its budget of thirty calls a minute.
func (j *run) await(ctx context.Context) (compat.Response, bool) {
	var a compat.Response
	ok := j.step(ctx, StepQR, codeTime+statusTime, func(ctx context.Context) (string, *failure) {
		waiting, cancel := context.WithTimeout(ctx, qrTimeout(ctx, time.Now()))
		defer cancel()
		answer, looks, f := j.poll(waiting)
		a = answer
		if f == nil {
			return fmt.Sprintf("%d requests", looks), nil
		}
		return "", j.fetchDiagnosis(ctx, f)
	})
	return a, ok
}

// qrTimeout is how long to wait for the code, so that there is time left to ask why it did not come.
func qrTimeout(ctx context.Context, now time.Time) time.Duration {
	end, bounded := ctx.Deadline()
	if !bounded {
		return codeTime
	}
	left := end.Sub(now)
	return min(codeTime, max(left-statusTime, left*2/3))
}

// preferHeader says for how long the next request for the QR may be held: a gate's own time, as every client gets,
// unless that would end after the wait. An engine does not know the header.
func preferHeader(ctx context.Context, now time.Time) (prefer string) {
	end, bounded := ctx.Deadline()
	if left := end.Sub(now); bounded && left < callTime {
		return fmt.Sprintf("wait=%d", int(left.Seconds()))
	}
	return ""
}

func (j *run) poll(ctx context.Context) (a compat.Response, looks int, last *failure) {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		looks++
		c := onSession(session.OpQR, http.MethodGet, j.ref, "qr")
		c.prefer = preferHeader(ctx, time.Now())
		answer, f := j.door.ask(ctx, c)
		switch {
		case f == nil && hasCode(answer):
			return answer, looks, nil
		case f == nil:
			f = &failure{code: diagnosis.QRNotEmitted, evidence: []string{"GET …/qr succeeds without a code"}}
		case f.code == diagnosis.EngineTimeout && ctx.Err() != nil && last != nil:
			return answer, looks, last // the wait was over; what was said before it tells more
		}
		last = f
		if f.final || !wait(ctx, nextDelay(ctx, pause, f.pause)) {
			return answer, looks, f
		}
	}
}

// nextDelay is the pause before the next look. The last one is just before the end of the wait instead of after
// it, unless the target wished for a longer pause.
func nextDelay(ctx context.Context, pause, wished time.Duration) time.Duration {
	pause = max(pause, wished)
	end, bounded := ctx.Deadline()
	last := time.Until(end) - firstPause
	if bounded && pause > last && last >= max(firstPause, wished) {
		return last
	}
	return pause
}

func hasCode(a compat.Response) bool {
	body, _ := compat.Parse(a.Body)
	return compat.StringOf(compat.Data(body)["qrCode"]) != ""
}

// fetchDiagnosis asks a gate why there is no QR. An engine does not know that route, and the failure stays.
func (j *run) fetchDiagnosis(ctx context.Context, f *failure) *failure {
	if f.final || ctx.Err() != nil {
		return f
	}
	ctx, cancel := context.WithTimeout(ctx, statusTime)
	defer cancel()
	a, refused := j.door.ask(ctx, onSession(session.OpStatus, http.MethodGet, j.ref, "qr/status"))
	if refused != nil {
		return f
	}
	body, _ := compat.Parse(a.Body)
	said, _ := compat.Data(body)["diagnosis"].(compat.Object)
	code := diagnosis.Code(compat.StringOf(said["code"]))
	if !slices.Contains(diagnosis.Codes(), code) {
		return f
	}
	why := &failure{code: code, told: true}
	for _, e := range evidenceOf(said) {
		why.evidence = append(why.evidence, compat.Scrub(e))
	}
	why.evidence = append(why.evidence, f.evidence...) // "not yet" explains nothing, so it comes last
	return why
}

// evidenceOf reads a few lines of somebody else's evidence.
func evidenceOf(diagnosis compat.Object) (lines []string) {
	all, _ := diagnosis["evidence"].([]any)
	for _, e := range all[:min(len(all), 8)] {
		if text := compat.StringOf(e); text != "" {
			lines = append(lines, text)
		}
	}
	return lines
}

// validate looks at the QR itself. A status of 200 is no QR.
func (j *run) validate(ctx context.Context, a compat.Response) {
	j.step(ctx, StepValidate, callTime, func(context.Context) (string, *failure) {
		print, detail, f := inspect(a, j.ref)
		if f == nil && !j.p.ledger.fresh(j.run.Target, print) {
			f = &failure{code: diagnosis.QRInvalid, evidence: []string{"the code is the same as the last run's"}}
		}
		return detail, f
	})
}
