package doctor_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"qrgate/compat/inboxhub"
	"qrgate/internal/diagnosis"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/internal/test/enginesim"
	"qrgate/probes/doctor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// examine examines a simulated engine on fake time; change may set it up further, or spoil the way to it.
func examine(t *testing.T, e *enginesim.Engine, change func(*doctor.Config), test func(doctor.Report, time.Duration)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		wire := enginesim.NewWire(e)
		go wire.Run()
		defer wire.Close()
		defer e.Close()
		base, _ := url.Parse("http://engine.test")
		c := doctor.Config{Base: base, Transport: wire.Client().Transport, Key: secret.NewSecret("key-a")}
		c.Engine = inboxhub.New(base, c.Transport)
		if change != nil {
			change(&c)
		}
		began := time.Now()
		test(doctor.Run(t.Context(), c), time.Since(began))
		time.Sleep(time.Second) // net/http lingers on a connection that it closes early
	})
}

// examineAt examines, in a bubble, whoever answers, without a key.
func examineAt(t *testing.T, there http.Handler) doctor.Report {
	t.Helper()
	wire := enginesim.NewWire(there)
	go wire.Run()
	defer wire.Close()
	base, _ := url.Parse("http://engine.test")
	c := doctor.Config{Base: base, Transport: wire.Client().Transport}
	c.Engine = inboxhub.New(base, c.Transport)
	defer time.Sleep(time.Second)
	return doctor.Run(t.Context(), c)
}

// lookThat is a look at WhatsApp that ends with a code.
func lookThat(step session.ConnectivityStep, code diagnosis.Code) func(*doctor.Config) {
	return func(c *doctor.Config) {
		c.CheckWhatsApp = func(_ context.Context, progress func(doctor.Check)) session.ConnectivityResult {
			progress(doctor.Check{Name: string(step), OK: code == diagnosis.None})
			return session.ConnectivityResult{Step: step, Code: code, At: time.Now(), Evidence: []string{"a look"}}
		}
	}
}

// What is wrong with an engine is found at its check, named, and nothing is left behind.
func TestExamine(t *testing.T) {
	t.Parallel()
	fault := func(k enginesim.FaultKind) map[enginesim.Route]enginesim.Fault {
		return map[enginesim.Route]enginesim.Fault{enginesim.AnyRoute: {Kind: k}}
	}
	on := func(r enginesim.Route, k enginesim.FaultKind) map[enginesim.Route]enginesim.Fault {
		return map[enginesim.Route]enginesim.Fault{r: {Kind: k}}
	}
	clean := lookThat(session.ControlHandshake, diagnosis.None)
	for name, tt := range map[string]struct {
		engine *enginesim.Engine
		change func(*doctor.Config)
		want   diagnosis.Code
		failed string // the checks that failed
		within time.Duration
	}{
		"healthy":            {&enginesim.Engine{}, clean, diagnosis.None, "", time.Second},
		"slow":               {&enginesim.Engine{QRDelay: 10 * time.Second}, clean, diagnosis.None, "", 20 * time.Second},
		"first connect 500":  {&enginesim.Engine{ConnectFailures: 1}, clean, diagnosis.None, "", 5 * time.Second},
		"every connect 500":  {&enginesim.Engine{ConnectFailures: -1}, clean, diagnosis.ConnectFailing, "connect", 5 * time.Second},
		"engine away":        {&enginesim.Engine{Faults: fault(enginesim.HTML502)}, clean, diagnosis.EngineUnreachable, "engine", time.Second},
		"engine cuts":        {&enginesim.Engine{Faults: fault(enginesim.CutConnection)}, clean, diagnosis.EngineUnreachable, "engine", time.Second},
		"engine hangs":       {&enginesim.Engine{Faults: fault(enginesim.Hang)}, clean, diagnosis.EngineTimeout, "engine", 11 * time.Second},
		"not the engine":     {&enginesim.Engine{Faults: fault(enginesim.Garbage)}, clean, diagnosis.EngineBadResponse, "engine", time.Second},
		"key refused":        {&enginesim.Engine{Keys: map[string]string{"key-z": "z"}}, clean, diagnosis.KeyRefused, "key", time.Second},
		"budget spent":       {&enginesim.Engine{Faults: on(enginesim.RouteList, enginesim.TooMany)}, clean, diagnosis.RateLimited, "key", time.Second},
		"create fails":       {&enginesim.Engine{Faults: on(enginesim.RouteCreate, enginesim.ServerError)}, clean, diagnosis.Engine5xx, "create", time.Second},
		"qr route fails":     {&enginesim.Engine{Faults: on(enginesim.RouteQR, enginesim.ServerError)}, clean, diagnosis.Engine5xx, "qr", 5 * time.Second},
		"qr route hangs":     {&enginesim.Engine{Faults: on(enginesim.RouteQR, enginesim.Hang)}, clean, diagnosis.EngineTimeout, "qr", 20 * time.Second},
		"no QR, way free":    {&enginesim.Engine{StuckUntilForce: true}, clean, diagnosis.QRNotEmitted, "qr", 31 * time.Second},
		"no QR, TLS broken":  {&enginesim.Engine{StuckUntilForce: true}, lookThat(session.ControlTLS, diagnosis.TLSIntercepted), diagnosis.TLSIntercepted, "qr tls", 31 * time.Second},
		"QR, though no way":  {&enginesim.Engine{}, lookThat(session.ControlTCP, diagnosis.NetworkBlocked), diagnosis.None, "tcp", time.Second},
		"numbers only":       {&enginesim.Engine{NumericIDsOnly: true}, clean, diagnosis.None, "", time.Second},
		"delete fails twice": {&enginesim.Engine{Faults: map[enginesim.Route]enginesim.Fault{enginesim.RouteDelete: {Kind: enginesim.ServerError, First: 2}}}, clean, diagnosis.None, "", 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			examine(t, tt.engine, tt.change, func(got doctor.Report, took time.Duration) {
				var failed []string
				for _, c := range got.Checks {
					if !c.OK {
						failed = append(failed, c.Name)
					}
				}
				if got.Diagnosis.Code != tt.want || strings.Join(failed, " ") != tt.failed {
					t.Errorf("%s, failed %q; want %s, %q\n%+v", got.Diagnosis.Code, failed, tt.want, tt.failed, got)
				}
				if len(got.Diagnosis.Evidence) == 0 || took > tt.within {
					t.Errorf("after %s: %+v", took, got.Diagnosis)
				}
				if left := tt.engine.Snapshot(); len(left) != 0 || got.LeftBehind {
					t.Errorf("%d sessions are left, and the report says %t", len(left), got.LeftBehind)
				}
			})
		})
	}
}

// The checks come in the order in which they are worth knowing.
func TestOrder(t *testing.T) {
	t.Parallel()
	var told []string
	examine(t, &enginesim.Engine{}, func(c *doctor.Config) {
		lookThat(session.ControlHandshake, diagnosis.None)(c)
		c.Progress = func(check doctor.Check) { told = append(told, check.Name) }
	}, func(got doctor.Report, _ time.Duration) {
		want := []string{doctor.CheckEngine, doctor.CheckKey, doctor.CheckOthers, doctor.CheckCreate, doctor.CheckConnect, doctor.CheckQR, doctor.CheckCleanup, "handshake"}
		if diff := cmp.Diff(want, told); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

// Sessions of others are counted, and not touched.
func TestOthersAreLeftAlone(t *testing.T) {
	t.Parallel()
	e := &enginesim.Engine{}
	examine(t, e, func(c *doctor.Config) {
		for _, call := range [][2]string{{"/api/sessions", `{"sessionId":"shop-1","sessionName":"Shop"}`}, {"/api/sessions/shop-1/connect", "{}"}} {
			req, _ := http.NewRequest(http.MethodPost, "http://engine.test"+call[0], strings.NewReader(call[1]))
			req.Header.Set("X-API-Key", "key-a")
			req.Header.Set("Content-Type", "application/json")
			res, err := c.Transport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
		}
	}, func(got doctor.Report, _ time.Duration) {
		i := slices.IndexFunc(got.Checks, func(c doctor.Check) bool { return c.Name == doctor.CheckOthers })
		if i < 0 || got.Checks[i].Detail != "1 awaiting_scan" {
			t.Errorf("%+v", got.Checks)
		}
		if left := e.Snapshot(); len(left) != 1 || left[0].Name != "shop-1" || left[0].Phase != enginesim.Showing || left[0].Connects != 1 {
			t.Errorf("%+v", left)
		}
		for _, call := range e.Calls()[2:] {
			if strings.Contains(call.Path, "shop-1") {
				t.Errorf("%s %s", call.Method, call.Path)
			}
		}
	})
}

// Without a key nothing is asked that needs one, and the report does not claim more than it saw.
func TestWithoutAKey(t *testing.T) {
	t.Parallel()
	e := &enginesim.Engine{}
	examine(t, e, func(c *doctor.Config) { c.Key = secret.Secret{} }, func(got doctor.Report, _ time.Duration) {
		if got.Complete || got.Diagnosis.Code != diagnosis.Undetermined || e.CountSince(enginesim.AnyRoute, time.Time{}) != 1 {
			t.Errorf("%+v, after %d calls", got, len(e.Calls()))
		}
	})
}

// A session that cannot be written down is not made.
func TestNoNoteNoSession(t *testing.T) {
	t.Parallel()
	e := &enginesim.Engine{}
	examine(t, e, func(c *doctor.Config) {
		c.RecordIntent = func(context.Context, string) error { return errors.New("the disk is full") }
	}, func(got doctor.Report, _ time.Duration) {
		if e.CountSince(enginesim.RouteCreate, time.Time{}) != 0 || got.Session != "" || got.Complete || !strings.Contains(got.Diagnosis.Help, "--data-dir") {
			t.Errorf("%+v", got)
		}
	})
}

// Somebody who presses Ctrl-C leaves no session behind either; one that cannot be deleted is named.
func TestCutShort(t *testing.T) {
	t.Parallel()
	e := &enginesim.Engine{StuckUntilForce: true}
	synctest.Test(t, func(t *testing.T) {
		wire := enginesim.NewWire(e)
		go wire.Run()
		defer wire.Close()
		defer e.Close()
		base, _ := url.Parse("http://engine.test")
		c := doctor.Config{Base: base, Transport: wire.Client().Transport, Key: secret.NewSecret("key-a")}
		c.Engine = inboxhub.New(base, c.Transport)
		var promised, kept []string
		c.RecordIntent = func(_ context.Context, s string) error { promised = append(promised, s); return nil }
		c.Done = func(_ context.Context, s string) error { kept = append(kept, s); return nil }
		var handed []string
		c.Left = func(_ context.Context, s string) error { handed = append(handed, s); return nil }
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		got := doctor.Run(ctx, c)
		if len(e.Snapshot()) != 0 || got.LeftBehind || !slices.Equal(promised, kept) || len(kept) != 1 {
			t.Errorf("%+v, promised %q, kept %q", got, promised, kept)
		}
		if !got.Stopped || got.Complete || !strings.Contains(got.Diagnosis.Title, "interrupted") || !strings.Contains(lastBut(got, doctor.CheckCleanup).Detail, "interrupted") {
			t.Errorf("it does not say that it was interrupted: %+v", got)
		}
		e.Change(func(e *enginesim.Engine) {
			e.Faults = map[enginesim.Route]enginesim.Fault{enginesim.RouteDelete: {Kind: enginesim.ServerError}}
		})
		if got := doctor.Run(t.Context(), c); !got.LeftBehind || len(kept) != 1 || got.Diagnosis.Code != diagnosis.QRNotEmitted || !strings.Contains(got.Checks[len(got.Checks)-1].Detail, "HTTP 500") || !slices.Equal(handed, []string{got.Session}) {
			t.Errorf("%+v, kept %q, handed over %q", got, kept, handed)
		}
		time.Sleep(time.Second)
	})
}
