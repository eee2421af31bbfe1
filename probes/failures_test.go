package probes_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"qrgate"
	"qrgate/internal/enginesim"
	"qrgate/probes"
)

func fault(route enginesim.Route, kind enginesim.FaultKind) *enginesim.Engine {
	return &enginesim.Engine{Faults: map[enginesim.Route]enginesim.Fault{route: {Kind: kind}}}
}

func acts(route enginesim.Route, kind enginesim.FaultKind) *enginesim.Engine {
	return &enginesim.Engine{Faults: map[enginesim.Route]enginesim.Fault{route: {Kind: kind, Acts: true}}}
}

// TestEveryWayToFail lets the engine fail in every way at every step: the diagnosis names it, the step that
// failed is the last but the cleanup, and nothing is left behind once the janitor was there.
func TestEveryWayToFail(t *testing.T) {
	t.Parallel()
	create, connect, qr := enginesim.RouteCreate, enginesim.RouteConnect, enginesim.RouteQR
	for name, test := range map[string]struct {
		engine *enginesim.Engine
		step   string
		want   qrgate.Code
	}{
		"create: nobody behind the proxy":   {fault(create, enginesim.HTML502), "create", qrgate.EngineUnreachable},
		"create: the proxy waits in vain":   {fault(create, enginesim.HTML504), "create", qrgate.EngineTimeout},
		"create: an error of the engine":    {fault(create, enginesim.ServerError), "create", qrgate.EngineFailing},
		"create: too many calls":            {fault(create, enginesim.TooMany), "create", qrgate.Throttled},
		"create: no JSON":                   {fault(create, enginesim.Garbage), "create", qrgate.EngineBadAnswer},
		"create: no body":                   {fault(create, enginesim.EmptyBody), "create", qrgate.EngineBadAnswer},
		"create: half a body":               {acts(create, enginesim.TruncatedBody), "create", qrgate.EngineBadAnswer},
		"create: a body without end":        {fault(create, enginesim.EndlessBody), "create", qrgate.EngineBadAnswer},
		"create: a body that explodes":      {fault(create, enginesim.GzipBomb), "create", qrgate.EngineBadAnswer},
		"create: another host":              {fault(create, enginesim.Redirect), "create", qrgate.EngineBadAnswer},
		"create: silence":                   {fault(create, enginesim.Hang), "create", qrgate.EngineTimeout},
		"create: byte by byte":              {acts(create, enginesim.SlowBody), "create", qrgate.EngineTimeout},
		"create: made, and cut off":         {acts(create, enginesim.CutConnection), "create", qrgate.EngineUnreachable},
		"create: made, and called an error": {acts(create, enginesim.ServerError), "create", qrgate.EngineFailing},
		"create: the key":                   {&enginesim.Engine{Keys: map[string]string{"key-a": "a"}}, "create", qrgate.KeyRejected},
		"connect: refused":                  {&enginesim.Engine{ConnectFailures: -1}, "connect", qrgate.ConnectFailing},
		"connect: silence":                  {&enginesim.Engine{ConnectLatency: time.Minute}, "connect", qrgate.EngineTimeout},
		"connect: cut off":                  {acts(connect, enginesim.CutConnection), "connect", qrgate.EngineUnreachable},
		"qr: never":                         {&enginesim.Engine{QRDelay: time.Hour}, "qr", qrgate.QRNotEmitted},
		"qr: never, said with 202":          {&enginesim.Engine{QRDelay: time.Hour, NotYet: 202}, "qr", qrgate.QRNotEmitted},
		"qr: never, said with 204":          {&enginesim.Engine{QRDelay: time.Hour, NotYet: 204}, "qr", qrgate.QRNotEmitted},
		"qr: never, said with null":         {&enginesim.Engine{QRDelay: time.Hour, NotYet: 200, NotYetNull: true}, "qr", qrgate.QRNotEmitted},
		"qr: stuck":                         {&enginesim.Engine{StuckUntilReconnect: true}, "qr", qrgate.QRNotEmitted},
		"qr: silence":                       {fault(qr, enginesim.Hang), "qr", qrgate.EngineTimeout},
		"qr: nobody behind the proxy":       {fault(qr, enginesim.HTML502), "qr", qrgate.EngineUnreachable},
		"qr: too many calls":                {fault(qr, enginesim.TooMany), "qr", qrgate.Throttled},
		"qr: a megabyte":                    {fault(qr, enginesim.HugeQR), "qr", qrgate.EngineBadAnswer},
		"qr: only base64":                   {&enginesim.Engine{BareBase64: true}, "validate", qrgate.QRInvalid},
		"qr: only text":                     {&enginesim.Engine{RawCode: true}, "validate", qrgate.QRInvalid},
		"everything: nobody there":          {fault(enginesim.AnyRoute, enginesim.CutConnection), "create", qrgate.EngineUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, test.engine, func(r *rig) {
				p := r.prober(only(probes.EngineHealth, time.Hour))
				run := p.Once(r.Context(), probes.CreateConnectQR)
				r.wants(run, qrgate.Failure, test.want)
				failed := ""
				for _, s := range run.Steps {
					if s.Outcome != qrgate.Success && s.Name != "cleanup" {
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

func TestHealthFailing(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		engine *enginesim.Engine
		want   qrgate.Code
	}{
		"refuses":                       {fault(enginesim.AnyRoute, enginesim.CutConnection), qrgate.EngineUnreachable},
		"hangs":                         {fault(enginesim.AnyRoute, enginesim.Hang), qrgate.EngineTimeout},
		"fails":                         {fault(enginesim.RouteHealth, enginesim.ServerError), qrgate.EngineFailing},
		"is html":                       {fault(enginesim.AnyRoute, enginesim.Garbage), qrgate.EngineBadAnswer},
		"no route, and the list serves": {fault(enginesim.RouteHealth, enginesim.Garbage), qrgate.None},
		"no route, and the list fails": {&enginesim.Engine{Faults: map[enginesim.Route]enginesim.Fault{
			enginesim.RouteHealth: {Kind: enginesim.Garbage}, enginesim.RouteList: {Kind: enginesim.TooMany}}}, qrgate.Throttled},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, test.engine, func(r *rig) {
				run := r.prober().Once(r.Context(), probes.EngineHealth)
				if run.Code() != test.want || run.Seconds > 5.1 {
					r.Errorf("%s after %.1f s, want %s: %+v", run.Code(), run.Seconds, test.want, run.Steps)
				}
			})
		})
	}
}

// TestADeletionThatFails is the failure of create_delete, and only a blemish of create_connect_qr.
func TestADeletionThatFails(t *testing.T) {
	t.Parallel()
	for probe, want := range map[string]qrgate.Code{probes.CreateDelete: qrgate.EngineFailing, probes.CreateConnectQR: qrgate.None} {
		t.Run(probe, func(t *testing.T) {
			bubble(t, fault(enginesim.RouteDelete, enginesim.ServerError), func(r *rig) {
				run := r.prober().Once(r.Context(), probe)
				if run.Code() != want {
					r.Errorf("the diagnosis is %s, want %s", run.Code(), want)
				}
				if !slices.Contains(steps(run), "cleanup failure") || len(r.leftovers()) != 1 {
					r.Errorf("the steps are %v and %v is left", steps(run), r.leftovers())
				}
				if open, _ := probes.NewFiles(r.dir).Open(r.Context()); len(open) != 1 {
					r.Errorf("the intents are %v, want that session's", open)
				}
			})
		})
	}
}
