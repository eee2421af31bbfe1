package probes_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/internal/test/enginesim"
	"qrgate/probes"
)

func fault(route enginesim.Route, kind enginesim.FaultKind) *enginesim.Engine {
	return &enginesim.Engine{Faults: map[enginesim.Route]enginesim.Fault{route: {Kind: kind}}}
}

func acts(route enginesim.Route, kind enginesim.FaultKind) *enginesim.Engine {
	return &enginesim.Engine{Faults: map[enginesim.Route]enginesim.Fault{route: {Kind: kind, Acts: true}}}
}

// Each fault has its diagnosis, fails its step, and leaves no session after the janitor has run.
func TestCreateConnectQR_FaultsNameCauseAndStep(t *testing.T) {
	t.Parallel()
	create, connect, qr := enginesim.RouteCreate, enginesim.RouteConnect, enginesim.RouteQR
	for name, test := range map[string]struct {
		engine *enginesim.Engine
		step   string
		want   diagnosis.Code
	}{
		"create: no engine behind the proxy": {fault(create, enginesim.HTML502), "create", diagnosis.EngineUnreachable},
		"create: proxy timeout":              {fault(create, enginesim.HTML504), "create", diagnosis.EngineTimeout},
		"create: an error of the engine":     {fault(create, enginesim.ServerError), "create", diagnosis.Engine5xx},
		"create: too many calls":             {fault(create, enginesim.TooMany), "create", diagnosis.RateLimited},
		"create: no JSON":                    {fault(create, enginesim.Garbage), "create", diagnosis.EngineBadResponse},
		"create: no body":                    {fault(create, enginesim.EmptyBody), "create", diagnosis.EngineBadResponse},
		"create: half a body":                {acts(create, enginesim.TruncatedBody), "create", diagnosis.EngineBadResponse},
		"create: a body without end":         {fault(create, enginesim.EndlessBody), "create", diagnosis.EngineBadResponse},
		"create: a body that explodes":       {fault(create, enginesim.GzipBomb), "create", diagnosis.EngineBadResponse},
		"create: another host":               {fault(create, enginesim.Redirect), "create", diagnosis.EngineBadResponse},
		"create: silence":                    {fault(create, enginesim.Hang), "create", diagnosis.EngineTimeout},
		"create: byte by byte":               {acts(create, enginesim.SlowBody), "create", diagnosis.EngineTimeout},
		"create: made, and cut off":          {acts(create, enginesim.CutConnection), "create", diagnosis.EngineUnreachable},
		"create: made, and called an error":  {acts(create, enginesim.ServerError), "create", diagnosis.Engine5xx},
		"create: the key":                    {&enginesim.Engine{Keys: map[string]string{"key-a": "a"}}, "create", diagnosis.KeyRefused},
		"connect: refused":                   {&enginesim.Engine{ConnectFailures: -1}, "connect", diagnosis.ConnectFailing},
		"connect: silence":                   {&enginesim.Engine{ConnectLatency: time.Minute}, "connect", diagnosis.EngineTimeout},
		"connect: cut off":                   {acts(connect, enginesim.CutConnection), "connect", diagnosis.EngineUnreachable},
		"qr: never":                          {&enginesim.Engine{QRDelay: time.Hour}, "qr", diagnosis.QRNotEmitted},
		"qr: never, said with 202":           {&enginesim.Engine{QRDelay: time.Hour, NotYet: 202}, "qr", diagnosis.QRNotEmitted},
		"qr: never, said with 204":           {&enginesim.Engine{QRDelay: time.Hour, NotYet: 204}, "qr", diagnosis.QRNotEmitted},
		"qr: never, said with null":          {&enginesim.Engine{QRDelay: time.Hour, NotYet: 200, NotYetNull: true}, "qr", diagnosis.QRNotEmitted},
		"qr: stuck":                          {&enginesim.Engine{StuckUntilReconnect: true}, "qr", diagnosis.QRNotEmitted},
		"qr: silence":                        {fault(qr, enginesim.Hang), "qr", diagnosis.EngineTimeout},
		"qr: no engine behind the proxy":     {fault(qr, enginesim.HTML502), "qr", diagnosis.EngineUnreachable},
		"qr: too many calls":                 {fault(qr, enginesim.TooMany), "qr", diagnosis.RateLimited},
		"qr: a megabyte":                     {fault(qr, enginesim.HugeQR), "qr", diagnosis.EngineBadResponse},
		"qr: only base64":                    {&enginesim.Engine{BareBase64: true}, "validate", diagnosis.QRInvalid},
		"qr: only text":                      {&enginesim.Engine{RawCode: true}, "validate", diagnosis.QRInvalid},
		"every call: connection cut":         {fault(enginesim.AnyRoute, enginesim.CutConnection), "create", diagnosis.EngineUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, test.engine, func(r *rig) {
				p := r.prober(only(probes.EngineHealth, time.Hour))
				run := p.Once(r.Context(), probes.CreateConnectQR)
				r.wants(run, session.Failure, test.want)
				failed := ""
				for _, s := range run.Steps {
					if s.Outcome != session.Success && s.Name != "cleanup" {
						failed += s.Name
					}
				}
				if failed != test.step || run.Steps[len(run.Steps)-1].Name != "cleanup" {
					r.Errorf("the steps are %v, want %s to fail, and then the cleanup", steps(run), test.step)
				}
				if len(run.Diagnosis.Evidence) == 0 || strings.Contains(strings.Join(run.Diagnosis.Evidence, ""), "key-probe") {
					r.Errorf("the evidence is %q", run.Diagnosis.Evidence)
				}
				r.engine.Change(func(e *enginesim.Engine) { e.Faults = nil })
				stop := r.start(p)
				time.Sleep(2*time.Minute + time.Second)
				stop()
				r.clean()
			})
		})
	}
}

func TestEngineHealth_Faults(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		engine *enginesim.Engine
		want   diagnosis.Code
	}{
		"refuses":                       {fault(enginesim.AnyRoute, enginesim.CutConnection), diagnosis.EngineUnreachable},
		"hangs":                         {fault(enginesim.AnyRoute, enginesim.Hang), diagnosis.EngineTimeout},
		"fails":                         {fault(enginesim.RouteHealth, enginesim.ServerError), diagnosis.Engine5xx},
		"is html":                       {fault(enginesim.AnyRoute, enginesim.Garbage), diagnosis.EngineBadResponse},
		"no route, and the list serves": {fault(enginesim.RouteHealth, enginesim.Garbage), diagnosis.None},
		"no route, and the list fails": {&enginesim.Engine{Faults: map[enginesim.Route]enginesim.Fault{
			enginesim.RouteHealth: {Kind: enginesim.Garbage}, enginesim.RouteList: {Kind: enginesim.TooMany}}}, diagnosis.RateLimited},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, test.engine, func(r *rig) {
				run := r.prober().Once(r.Context(), probes.EngineHealth)
				if run.Code() != test.want || run.Seconds > 5.1 {
					r.Errorf("%s after %.1f s, want %s: %+v", run.Code(), run.Seconds, test.want, run.Steps)
				}
				if n := r.engine.CountSince(enginesim.RouteList, time.Time{}); name == "refuses" && n > 0 {
					r.Error("who cannot be reached is asked again")
				}
			})
		})
	}
}

// An engine may report in the body that it is not healthy.
func TestEngineHealth_ReadsStatusOfBody(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]diagnosis.Code{`{"status":"UP"}`: diagnosis.None, `{"success":true}`: diagnosis.None, `{"status":"down"}`: diagnosis.Engine5xx} {
		t.Run(body, func(t *testing.T) {
			says := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) })
			bubbleBefore(t, &enginesim.Engine{}, says, func(r *rig) {
				if run := r.prober().Once(r.Context(), probes.EngineHealth); run.Code() != want {
					r.Errorf("%s, want %s", run.Code(), want)
				}
			})
		})
	}
}

// A short run states how long it can wait, and requests the diagnosis before its timeout.
func TestCreateConnectQR_ShortRunFetchesDiagnosis(t *testing.T) {
	engine := &enginesim.Engine{}
	gateway := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/qr"):
			hold := 9
			_, _ = fmt.Sscanf(r.Header.Get("Prefer"), "wait=%d", &hold)
			time.Sleep(time.Duration(hold) * time.Second)
			w.WriteHeader(http.StatusAccepted)
			_, _ = w.Write([]byte(`{"success":false,"code":"QR_NOT_READY"}`))
		case strings.HasSuffix(r.URL.Path, "/qr/status"):
			_, _ = w.Write([]byte(`{"success":true,"data":{"diagnosis":{"code":"dns_failed","evidence":["no such host"]}}}`))
		default:
			engine.ServeHTTP(w, r)
		}
	})
	bubbleBefore(t, engine, gateway, func(r *rig) {
		run := r.prober(func(c *probes.Config) { c.Timeout = 8 * time.Second }).Once(r.Context(), probes.CreateConnectQR)
		r.wants(run, session.Failure, diagnosis.DNSFailed)
		if run.Seconds > 8 {
			t.Errorf("a run of eight seconds took %.1f", run.Seconds)
		}
		r.clean()
	})
}

// The end of the run cuts the last poll off; an earlier poll is more exact.
func TestCreateConnectQR_CutOffPollKeepsEarlierCause(t *testing.T) {
	engine := &enginesim.Engine{QRDelay: time.Hour}
	bubble(t, engine, func(r *rig) {
		go func() {
			time.Sleep(5 * time.Second)
			engine.Change(func(e *enginesim.Engine) { e.QRLatency = time.Hour })
		}()
		run := r.prober(func(c *probes.Config) { c.Timeout = 12 * time.Second }).Once(r.Context(), probes.CreateConnectQR)
		r.wants(run, session.Failure, diagnosis.QRNotEmitted)
		r.clean()
	})
}

// 204 is a documented success.
func TestCreateDelete_204WithoutBodySucceeds(t *testing.T) {
	engine := &enginesim.Engine{}
	front := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			engine.ServeHTTP(httptest.NewRecorder(), r)
			w.WriteHeader(http.StatusNoContent)
			return
		}
		engine.ServeHTTP(w, r)
	})
	bubbleBefore(t, engine, front, func(r *rig) {
		r.wants(r.prober().Once(r.Context(), probes.CreateDelete), session.Success, diagnosis.None)
		r.clean()
	})
}

// A failed deletion is the result of create_delete and does not change that of create_connect_qr.
func TestCleanup_FailureFailsOnlyCreateDelete(t *testing.T) {
	t.Parallel()
	for probe, want := range map[string]diagnosis.Code{probes.CreateDelete: diagnosis.Engine5xx, probes.CreateConnectQR: diagnosis.None} {
		t.Run(probe, func(t *testing.T) {
			bubble(t, fault(enginesim.RouteDelete, enginesim.ServerError), func(r *rig) {
				run := r.prober().Once(r.Context(), probe)
				if run.Code() != want {
					r.Errorf("the diagnosis is %s, want %s", run.Code(), want)
				}
				if !slices.Contains(steps(run), "cleanup failure") || len(r.leftovers()) != 1 {
					r.Errorf("the steps are %v and %v is left", steps(run), r.leftovers())
				}
				if open, _ := probes.NewFileIntents(r.dir).Open(r.Context()); len(open) != 1 {
					r.Errorf("the intents are %v, want that session's", open)
				}
			})
		})
	}
}
