package metrics_test

import (
	"context"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"qrgate/internal/session"
	"qrgate/metrics"
)

// moody is an engine all of whose calls end in the same way.
type moody struct{ kind session.ErrorKind }

func (e *moody) end() error {
	if e.kind == "" {
		return nil
	}
	return &session.EngineError{Kind: e.kind}
}

func (e *moody) Connect(context.Context, session.Caller, session.Ref, session.ConnectMode) (session.SessionReport, error) {
	return session.SessionReport{}, e.end()
}

func (e *moody) QR(context.Context, session.Caller, session.Ref) (session.SessionReport, error) {
	return session.SessionReport{}, e.end()
}

func (e *moody) Status(context.Context, session.Caller, session.Ref) (session.SessionReport, error) {
	return session.SessionReport{}, e.end()
}

func (e *moody) List(context.Context, session.Caller) (session.SessionList, error) {
	return session.SessionList{}, e.end()
}

// caller makes calls to an engine through the counter of retries.
type caller struct {
	*testing.T
	m      *metrics.Metrics
	mood   *moody
	engine session.Engine
}

func newCaller(t *testing.T) *caller {
	c := &caller{T: t, m: full(t), mood: &moody{}}
	c.engine = c.m.Engine(c.mood)
	return c
}

// ask makes one call for a session, which ends as kind, and reports whether it counted as a retry.
func (c *caller) ask(op string, tenant session.Tenant, sess string, kind session.ErrorKind) bool {
	c.Helper()
	c.mood.kind = kind
	name := "qrgate_engine_retries_total{" + op + "}"
	before := series(c, c.m)[name]
	who, which := session.Caller{Tenant: tenant}, session.Ref{Name: sess}
	var err error
	switch op {
	case session.OpConnect:
		_, err = c.engine.Connect(c.Context(), who, which, session.Connect)
	case session.OpQR:
		_, err = c.engine.QR(c.Context(), who, which)
	case session.OpStatus:
		_, err = c.engine.Status(c.Context(), who, which)
	case session.OpList:
		_, err = c.engine.List(c.Context(), who)
	}
	if session.KindOf(err) != kind {
		c.Errorf("%s ended as %v, want %s", op, err, kind)
	}
	return series(c, c.m)[name] != before
}

// A retry is a call after a failed one with the same aim, whatever lies between.
func TestRetries_FollowFailuresOfSamePurpose(t *testing.T) {
	t.Parallel()
	type call struct {
		op, tenant, session string
		ends                session.ErrorKind
		retry               bool
	}
	for name, calls := range map[string][]call{
		"a failure, and again": {{"qr", "a", "s", session.KindUnreachable, false}, {"qr", "a", "s", "", true}, {"qr", "a", "s", "", false}},
		"again and again":      {{"connect", "a", "s", session.KindServerError, false}, {"connect", "a", "s", session.KindTimeout, true}, {"connect", "a", "s", "", true}},
		"not yet, and again":   {{"qr", "a", "s", session.KindNotReady, false}, {"qr", "a", "s", session.KindNotReady, false}},
		"another operation":    {{"connect", "a", "s", session.KindTimeout, false}, {"qr", "a", "s", "", false}, {"status", "a", "s", "", false}},
		"another session":      {{"qr", "a", "s", session.KindTimeout, false}, {"qr", "a", "other", "", false}},
		"another tenant":       {{"list", "a", "", session.KindRateLimited, false}, {"list", "b", "", "", false}, {"list", "a", "", "", true}},
		"given up between":     {{"status", "a", "s", session.KindTimeout, false}, {"status", "a", "s", session.KindCanceled, true}, {"status", "a", "s", "", true}},
		"given up, and again":  {{"status", "a", "s", session.KindCanceled, false}, {"status", "a", "s", "", false}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCaller(t)
			for i, x := range calls {
				if got := c.ask(x.op, session.Tenant(x.tenant), x.session, x.ends); got != x.retry {
					t.Errorf("call %d: a retry is %t", i, got)
				}
			}
		})
	}
}

// What failed is remembered for as long as an acquisition lasts, and forgotten before two of them are over.
func TestRetries_OldFailuresExpire(t *testing.T) {
	t.Parallel()
	for after, want := range map[time.Duration]bool{
		time.Second: true, session.AcquireTimeout - time.Second: true, 2*session.AcquireTimeout + time.Second: false, time.Hour: false,
	} {
		synctest.Test(t, func(t *testing.T) {
			c := newCaller(t)
			c.ask(session.OpQR, "a", "s", session.KindTimeout)
			time.Sleep(after)
			if got := c.ask(session.OpQR, "a", "s", ""); got != want {
				t.Errorf("after %v: a retry is %t", after, got)
			}
		})
	}
}

// However many fail, only the last of them are remembered.
func TestRetries_MemoryIsBounded(t *testing.T) {
	t.Parallel()
	m, mood := full(t), &moody{session.KindUnreachable}
	engine := m.Engine(mood)
	for i := range 15_000 {
		_, _ = engine.QR(t.Context(), session.Caller{}, session.Ref{Name: strconv.Itoa(i)})
	}
	again := func(sess string) bool {
		before := series(t, m)["qrgate_engine_retries_total{qr}"]
		_, _ = engine.QR(t.Context(), session.Caller{}, session.Ref{Name: sess})
		return series(t, m)["qrgate_engine_retries_total{qr}"] != before
	}
	if again("0") || !again("14999") {
		t.Error("the first is remembered, or the last is not")
	}
}
