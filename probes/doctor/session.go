package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"qrgate/compat"
	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/probes"
)

// Prefix begins the name of every test session. It is for people; nothing is ever deleted because of its name.
const Prefix = "doctor-"

// Bounds of the checks on the test session.
const (
	connectTimeout = 30 * time.Second // of all attempts
	cleanupTimeout = 10 * time.Second
	minCodeTTL     = 2 * time.Second // of the first code
)

// connectDelays are the pauses before the attempts to connect: engines are known to fail once.
var connectDelays = []time.Duration{0, time.Second, 2 * time.Second}

// checkSession creates the test session, connects it, waits for its QR and deletes it.
func (r *run) checkSession(ctx context.Context, s *probes.Session) {
	if err := s.Record(ctx, r.Target, "doctor", time.Now().Add(r.QRTimeout+maxOverhead)); err != nil {
		r.found.isUnrecorded = true
		detail := "skipped: the session could not be recorded for its deletion: " + err.Error()
		r.add(Check{Name: CheckCreate, Detail: detail})
		return
	}
	isCreated := r.check(ctx, CheckCreate, func() (string, error) {
		return "created " + s.Ref.Name, s.Create(ctx, "qrgate doctor")
	})
	if s.IsRejected() {
		_, _, _ = s.Delete(ctx) // only the record
		return
	}
	r.report.Session = s.Ref.Name
	if isCreated {
		r.found.isCreated = true
		r.checkQR(ctx, s)
	}
	r.cleanup(context.WithoutCancel(ctx), s)
}

// cleanup deletes the test session, or reports that it exists or may still appear.
func (r *run) cleanup(ctx context.Context, s *probes.Session) {
	r.report.LeftBehind = !r.check(ctx, CheckCleanup, func() (string, error) {
		ctx, cancel := context.WithTimeout(ctx, cleanupTimeout)
		defer cancel()
		_, detail, err := s.Delete(ctx)
		return s.Ref.Name + " " + detail, err
	})
}

// checkQR connects the session and waits for its QR. It tracks the session's state as qrgate does.
func (r *run) checkQR(ctx context.Context, s *probes.Session) {
	state := session.Session{Ref: s.Ref, State: session.Created, CreatedHere: true}
	isConnected := r.check(ctx, CheckConnect, func() (string, error) {
		ctx, cancel := context.WithTimeout(ctx, connectTimeout)
		defer cancel()
		var err error
		state, err = connect(ctx, s, state)
		return "accepted", err
	})
	if isConnected && ctx.Err() == nil {
		state = r.waitForQR(ctx, s, state)
	}
	r.found.session, r.found.seenAt = state, time.Now()
}

// connect connects the session and retries after an error that may pass.
func connect(ctx context.Context, s *probes.Session, state session.Session) (session.Session, error) {
	var err error
	for _, delay := range connectDelays {
		if !compat.Sleep(ctx, delay) {
			break
		}
		if err = s.Connect(ctx); err == nil {
			return state.AfterConnect(time.Now()), nil
		}
		state = state.AfterConnectError(err, time.Now())
		if kind := session.KindOf(err); kind != session.KindServerError && kind != session.KindTimeout {
			break
		}
	}
	return state, err
}

// waitForQR polls for the QR, and every third time for the state, where engines report why there is none. It ends with
// a QR, with a cause that waiting does not change, or with the timeout, which counts from the connect on.
func (r *run) waitForQR(ctx context.Context, s *probes.Session, state session.Session) session.Session {
	startedAt := time.Now()
	waitCtx, cancel := context.WithTimeout(ctx, r.QRTimeout)
	defer cancel()
	var sentAt time.Time
	request := func(poll int) compat.Request {
		sentAt = time.Now()
		op := session.OpQR
		if poll%3 == 0 {
			op = session.OpStatus
		}
		out := compat.SessionRequest(op, http.MethodGet, s.Ref, op)
		out.Prefer = "wait=0" // a gateway must not wait too
		return out
	}
	isDone := false
	s.Poll(waitCtx, request, func(req compat.Request, response compat.Response, err error) bool {
		if waitCtx.Err() != nil {
			return true
		}
		report, err := response.SessionReport(req.Op, s.Ref, err)
		state = r.afterPoll(state, report, err)
		r.addLatency(response.At.Sub(sentAt), session.AsEngineError(err))
		isDone = state.QR.Present() || isDecided(state)
		return isDone
	})
	if !isDone {
		<-waitCtx.Done() // how long the engine was silent decides the conclusion
	}
	took := time.Since(startedAt)
	ok, detail := r.readQR(state.QR)
	if ok && !r.isCodeStable(ctx, s, state.QR) {
		r.found.invalidQR = "the engine replaces its codes within seconds; a first code of WhatsApp lasts a minute"
		ok, detail = false, r.found.invalidQR
	}
	switch {
	case ok:
		detail = fmt.Sprintf("a readable code after %.1f s, in %d polls", took.Seconds(), state.Polls)
	case detail == "":
		detail = fmt.Sprintf("none in %d polls", state.Polls)
	}
	r.add(markInterrupted(ctx, Check{CheckQR, ok, took.Round(time.Millisecond).Seconds(), detail}))
	return state
}

// afterPoll applies the result of a poll. A status error is no failed poll: some engines deny there a session that they
// serve elsewhere (contract C18).
func (r *run) afterPoll(state session.Session, report session.SessionReport, err error) session.Session {
	failure := session.AsEngineError(err)
	if failure != nil && failure.Kind != session.KindNotReady && failure.Op != session.OpStatus {
		r.found.pollErrors = append(r.found.pollErrors, failure)
	}
	state = state.AfterPoll(report, err, time.Now())
	if err == nil {
		state.History = state.History.RecordDisconnect(report, time.Now())
	}
	return state
}

// readQR decodes the QR, if there is one. The detail states why it is not readable.
func (r *run) readQR(q session.QR) (ok bool, detail string) {
	if !q.Present() {
		return false, ""
	}
	if _, err := compat.ReadQR(q.Image); err != nil && !errors.Is(err, compat.ErrNotDecoded) {
		r.found.invalidQR = err.Error()
		return false, err.Error()
	}
	return true, ""
}

// isCodeStable polls once more, and reports whether the engine still returns the code, or none.
func (r *run) isCodeStable(ctx context.Context, s *probes.Session, q session.QR) bool {
	if !compat.Sleep(ctx, minCodeTTL) {
		return true
	}
	response, err := s.Do(ctx, compat.SessionRequest(session.OpQR, http.MethodGet, s.Ref, session.OpQR))
	report, err := response.SessionReport(session.OpQR, s.Ref, err)
	if err != nil || report.Image.Empty() {
		return true
	}
	first, _ := compat.ReadQR(q.Image)
	second, err := compat.ReadQR(report.Image)
	return err != nil || first.Equal(second)
}

// isDecided reports whether waiting longer would change nothing.
func isDecided(s session.Session) bool {
	switch session.Diagnose(s, session.Environment{}, time.Now()).Code {
	case diagnosis.None, diagnosis.QRNotEmitted, diagnosis.Undetermined:
		return false
	}
	return true
}
