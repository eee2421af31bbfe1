package session_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"qrgate/internal/diagnosis"
	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// Before the time that DiagnoseUntil names, time alone changes nothing: a waiter may sleep until
// then.
func TestDiagnoseUntil_ResultIsConstantUntilThen(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		s := session.Session{Ref: session.Ref{ID: 1}, CreatedHere: rapid.Bool().Draw(rt, "created")}
		for range rapid.IntRange(0, 12).Draw(rt, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(1, 9000).Draw(rt, "ms")) * time.Millisecond)
			s = drawStep(rt, s, now)
		}
		env := session.Environment{
			FailingSessions: rapid.IntRange(0, 4).Draw(rt, "failing"), PeerSuccesses: rapid.IntRange(0, 2).Draw(rt, "peers"),
			RateLimitWait: time.Duration(rapid.IntRange(0, 9).Draw(rt, "wait")) * time.Second,
			MinLatency:    time.Duration(rapid.IntRange(0, 4).Draw(rt, "latency")) * time.Second,
		}
		if rapid.Bool().Draw(rt, "checked") {
			env.Connectivity = session.ConnectivityResult{Step: session.StepDNS, Code: diagnosis.DNSFailed, At: now.Add(-time.Duration(rapid.IntRange(0, 700).Draw(rt, "ago")) * time.Second)}
		}
		d, until := session.DiagnoseUntil(s, env, now)
		end := until
		if until.IsZero() {
			end = now.Add(time.Hour)
		}
		if !end.After(now) {
			rt.Fatalf("until %v, which is not after %v", until, now)
		}
		later := now.Add(time.Duration(rapid.Int64Range(0, int64(end.Sub(now))-1).Draw(rt, "later")))
		if got := session.Diagnose(s, env, later); got.Code != d.Code {
			rt.Fatalf("%s became %s after %v, before %v: %+v", d.Code, got.Code, later.Sub(now), end.Sub(now), s)
		}
	})
}

// drawStep is s after something happened at now.
func drawStep(rt *rapid.T, s session.Session, now time.Time) session.Session {
	kinds := session.Kinds()
	op := rapid.SampledFrom([]string{session.OpQR, session.OpStatus, session.OpList, session.OpConnect}).Draw(rt, "op")
	failure := &session.EngineError{Op: op, Kind: rapid.SampledFrom(kinds).Draw(rt, "kind"), Status: 500,
		Text: rapid.SampledFrom([]string{"", "ENOTFOUND", "405 Connection Failure", "restart required"}).Draw(rt, "text")}
	report := session.SessionReport{State: rapid.SampledFrom(session.States()).Draw(rt, "state"), Reason: rapid.SampledFrom([]string{"", "503 Connection Failure"}).Draw(rt, "reason")}
	switch rapid.IntRange(0, 6).Draw(rt, "step") {
	case 0:
		return s.RequestQR(now)
	case 1:
		return s.AfterConnect(now)
	case 2:
		return s.AfterConnectError(failure, now)
	case 3:
		return s.AfterPoll(session.SessionReport{}, failure, now)
	case 4:
		report.Image = secret.NewSecret(rapid.StringN(1, 2, 2).Draw(rt, "image"))
		return s.AfterPoll(report, nil, now)
	case 5:
		return s.GiveUp(now)
	}
	return s.AfterPoll(report, nil, now)
}
