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

	"qrgate/compat"
	"qrgate/internal/diagnosis"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/internal/test/enginesim"
	"qrgate/probes"
	"qrgate/probes/doctor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// runDoctor runs doctor against a simulated engine in fake time; change may adapt its configuration.
func runDoctor(t *testing.T, e *enginesim.Engine, change func(*doctor.Config), test func(doctor.Report, time.Duration)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		wire := enginesim.NewWire(e)
		go wire.Run()
		defer wire.Close()
		defer e.Close()
		base, _ := url.Parse("http://engine.test")
		client := &compat.Client{BaseURL: base, Transport: wire.Client().Transport}
		c := doctor.Config{Engine: client, Key: secret.NewSecret("key-a")}
		if change != nil {
			change(&c)
		}
		began := time.Now()
		test(doctor.Run(t.Context(), c), time.Since(began))
		time.Sleep(time.Second) // net/http keeps a connection open that it closes early
	})
}

// runDoctorAt runs doctor in a bubble, without a key, against any server.
func runDoctorAt(t *testing.T, server http.Handler) doctor.Report {
	t.Helper()
	wire := enginesim.NewWire(server)
	go wire.Run()
	defer wire.Close()
	base, _ := url.Parse("http://engine.test")
	c := doctor.Config{Engine: &compat.Client{BaseURL: base, Transport: wire.Client().Transport}}
	defer time.Sleep(time.Second)
	return doctor.Run(t.Context(), c)
}

// whatsAppCheck is a connectivity check with the given result.
func whatsAppCheck(step session.ConnectivityStep, code diagnosis.Code) func(*doctor.Config) {
	return func(c *doctor.Config) {
		c.CheckWhatsApp = func(_ context.Context, progress func(doctor.Check)) session.ConnectivityResult {
			progress(doctor.Check{Name: string(step), OK: code == diagnosis.None})
			return session.ConnectivityResult{Step: step, Code: code, At: time.Now(), Evidence: []string{"a check"}}
		}
	}
}

// Each fault fails its check and has its diagnosis, and no session is left.
func TestRun_FaultsNameCauseAndCheck(t *testing.T) {
	t.Parallel()
	fault := func(k enginesim.FaultKind) map[enginesim.Route]enginesim.Fault {
		return map[enginesim.Route]enginesim.Fault{enginesim.AnyRoute: {Kind: k}}
	}
	on := func(r enginesim.Route, k enginesim.FaultKind) map[enginesim.Route]enginesim.Fault {
		return map[enginesim.Route]enginesim.Fault{r: {Kind: k}}
	}
	clean := whatsAppCheck(session.StepHandshake, diagnosis.None)
	for name, tt := range map[string]struct {
		engine *enginesim.Engine
		change func(*doctor.Config)
		want   diagnosis.Code
		failed string // the checks that failed
		within time.Duration
	}{
		"healthy":                              {&enginesim.Engine{}, clean, diagnosis.None, "", 3 * time.Second},
		"slow":                                 {&enginesim.Engine{QRDelay: 10 * time.Second}, clean, diagnosis.None, "", 20 * time.Second},
		"first connect 500":                    {&enginesim.Engine{ConnectFailures: 1}, clean, diagnosis.None, "", 5 * time.Second},
		"every connect 500":                    {&enginesim.Engine{ConnectFailures: -1}, clean, diagnosis.ConnectFailing, "connect", 5 * time.Second},
		"engine unreachable":                   {&enginesim.Engine{Faults: fault(enginesim.HTML502)}, clean, diagnosis.EngineUnreachable, "engine", time.Second},
		"engine cuts":                          {&enginesim.Engine{Faults: fault(enginesim.CutConnection)}, clean, diagnosis.EngineUnreachable, "engine", time.Second},
		"engine hangs":                         {&enginesim.Engine{Faults: fault(enginesim.Hang)}, clean, diagnosis.EngineTimeout, "engine", 11 * time.Second},
		"not the engine":                       {&enginesim.Engine{Faults: fault(enginesim.Garbage)}, clean, diagnosis.EngineBadResponse, "engine", time.Second},
		"key refused":                          {&enginesim.Engine{Keys: map[string]string{"key-z": "z"}}, clean, diagnosis.KeyRefused, "key", time.Second},
		"rate limited":                         {&enginesim.Engine{Faults: on(enginesim.RouteList, enginesim.TooMany)}, clean, diagnosis.RateLimited, "key", time.Second},
		"create fails":                         {&enginesim.Engine{Faults: on(enginesim.RouteCreate, enginesim.ServerError)}, clean, diagnosis.Engine5xx, "create", time.Second},
		"qr route fails":                       {&enginesim.Engine{Faults: on(enginesim.RouteQR, enginesim.ServerError)}, clean, diagnosis.Engine5xx, "qr", 5 * time.Second},
		"qr route hangs":                       {&enginesim.Engine{Faults: on(enginesim.RouteQR, enginesim.Hang)}, clean, diagnosis.EngineTimeout, "qr", 21 * time.Second},
		"no QR, WhatsApp reachable":            {&enginesim.Engine{StuckUntilForce: true}, clean, diagnosis.QRNotEmitted, "qr", 31 * time.Second},
		"no QR, TLS intercepted":               {&enginesim.Engine{StuckUntilForce: true}, whatsAppCheck(session.StepTLS, diagnosis.TLSIntercepted), diagnosis.TLSIntercepted, "qr tls", 31 * time.Second},
		"QR, WhatsApp not reachable from here": {&enginesim.Engine{}, whatsAppCheck(session.StepTCP, diagnosis.NetworkBlocked), diagnosis.None, "tcp", 3 * time.Second},
		"numbers only":                         {&enginesim.Engine{NumericIDsOnly: true}, clean, diagnosis.None, "", 3 * time.Second},
		"delete fails twice":                   {&enginesim.Engine{Faults: map[enginesim.Route]enginesim.Fault{enginesim.RouteDelete: {Kind: enginesim.ServerError, First: 2}}}, clean, diagnosis.None, "", 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runDoctor(t, tt.engine, tt.change, func(got doctor.Report, took time.Duration) {
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

// The cheapest and most telling check comes first.
func TestRun_CheckOrder(t *testing.T) {
	t.Parallel()
	var names []string
	runDoctor(t, &enginesim.Engine{}, func(c *doctor.Config) {
		whatsAppCheck(session.StepHandshake, diagnosis.None)(c)
		c.Progress = func(check doctor.Check) { names = append(names, check.Name) }
	}, func(got doctor.Report, _ time.Duration) {
		want := []string{doctor.CheckEngine, doctor.CheckKey, doctor.CheckOthers, doctor.CheckCreate, doctor.CheckConnect, doctor.CheckQR, doctor.CheckCleanup, "handshake"}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

// Other sessions are counted and not touched.
func TestRun_DoesNotTouchOtherSessions(t *testing.T) {
	t.Parallel()
	e := &enginesim.Engine{}
	runDoctor(t, e, func(c *doctor.Config) {
		for _, call := range [][2]string{{"/api/sessions", `{"sessionId":"shop-1","sessionName":"Shop"}`}, {"/api/sessions/shop-1/connect", "{}"}} {
			req, _ := http.NewRequest(http.MethodPost, "http://engine.test"+call[0], strings.NewReader(call[1]))
			req.Header.Set("X-API-Key", "key-a")
			req.Header.Set("Content-Type", "application/json")
			res, err := c.Engine.Transport.RoundTrip(req)
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

// Without a key only the health is checked, and the report is not complete.
func TestRun_WithoutKeyChecksHealthOnly(t *testing.T) {
	t.Parallel()
	e := &enginesim.Engine{}
	runDoctor(t, e, func(c *doctor.Config) { c.Key = secret.Secret{} }, func(got doctor.Report, _ time.Duration) {
		if got.Complete || got.Diagnosis.Code != diagnosis.Undetermined || e.CountSince(enginesim.AnyRoute, time.Time{}) != 1 {
			t.Errorf("%+v, after %d calls", got, len(e.Calls()))
		}
	})
}

// An engine that replaces its code each second shows codes that no phone can scan.
func TestRun_CodesReplacedTooFast(t *testing.T) {
	t.Parallel()
	e := &enginesim.Engine{Rotation: slices.Repeat([]time.Duration{time.Second}, 100)}
	runDoctor(t, e, func(*doctor.Config) {}, func(got doctor.Report, _ time.Duration) {
		if got.Diagnosis.Code != diagnosis.QRInvalid || !strings.Contains(strings.Join(got.Diagnosis.Evidence, ""), "replaces its codes") {
			t.Errorf("%+v", got.Diagnosis)
		}
	})
}

// A session that cannot be recorded is not created.
func TestRun_UnrecordedSessionIsNotCreated(t *testing.T) {
	t.Parallel()
	e := &enginesim.Engine{}
	runDoctor(t, e, func(c *doctor.Config) {
		c.Intents = &intents{err: errors.New("the disk is full")}
	}, func(got doctor.Report, _ time.Duration) {
		if e.CountSince(enginesim.RouteCreate, time.Time{}) != 0 || got.Session != "" || got.Complete || !strings.Contains(got.Diagnosis.Help, "--data-dir") {
			t.Errorf("%+v", got)
		}
	})
}

// An interrupted run deletes its session; a session that cannot be deleted is reported.
func TestRun_InterruptedDeletesSession(t *testing.T) {
	t.Parallel()
	e := &enginesim.Engine{StuckUntilForce: true}
	synctest.Test(t, func(t *testing.T) {
		wire := enginesim.NewWire(e)
		go wire.Run()
		defer wire.Close()
		defer e.Close()
		base, _ := url.Parse("http://engine.test")
		client := &compat.Client{BaseURL: base, Transport: wire.Client().Transport}
		c := doctor.Config{Engine: client, Key: secret.NewSecret("key-a")}
		kept := &intents{}
		c.Intents, c.Target = kept, "engine"
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		got := doctor.Run(ctx, c)
		if len(e.Snapshot()) != 0 || got.LeftBehind || !slices.Equal(kept.recorded, kept.done) || len(kept.done) != 1 {
			t.Errorf("%+v, %+v", got, kept)
		}
		if !got.Stopped || got.Complete || !strings.Contains(got.Diagnosis.Title, "interrupted") || !strings.Contains(lastBut(got, doctor.CheckCleanup).Detail, "interrupted") {
			t.Errorf("not reported as interrupted: %+v", got)
		}
		e.Change(func(e *enginesim.Engine) {
			e.Faults = map[enginesim.Route]enginesim.Fault{enginesim.RouteDelete: {Kind: enginesim.ServerError}}
		})
		if got := doctor.Run(t.Context(), c); !got.LeftBehind || len(kept.done) != 1 || got.Diagnosis.Code != diagnosis.QRNotEmitted || !strings.Contains(got.Checks[len(got.Checks)-1].Detail, "HTTP 500") || !slices.Equal(kept.left, []string{got.Session}) {
			t.Errorf("%+v, %+v", got, kept)
		}
		time.Sleep(time.Second)
	})
}

// intents record the calls of a run.
type intents struct {
	probes.Intents
	err                  error
	recorded, done, left []string
}

func (i *intents) Record(_ context.Context, intent probes.Intent) error {
	switch {
	case i.err != nil:
		return i.err
	case intent.Until.After(time.Now()):
		i.recorded = append(i.recorded, intent.Session)
	default:
		i.left = append(i.left, intent.Session)
	}
	return nil
}

func (i *intents) Done(_ context.Context, session string) error {
	i.done = append(i.done, session)
	return nil
}
