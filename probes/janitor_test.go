package probes_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/internal/test/enginesim"
	"qrgate/probes"
)

// make creates a session at the rig's engine, as another client would.
func (r *rig) make(name string) {
	r.Helper()
	req, _ := http.NewRequestWithContext(r.Context(), http.MethodPost, r.target.URL.String()+"/api/sessions", jsonBody(`{"sessionId":"`+name+`","sessionName":"x"}`))
	req.Header.Set("X-API-Key", r.target.Key.Reveal())
	req.Header.Set("Content-Type", "application/json")
	res, err := r.target.Client.Do(req)
	if err != nil {
		r.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusCreated {
		r.Fatalf("create returns %d", res.StatusCode)
	}
}

// note records an intent of an earlier life.
func (r *rig) note(session, target string, until time.Time) {
	r.Helper()
	i := probes.Intent{Session: session, Target: target, Owner: "earlier", At: time.Now().Add(-time.Minute), Until: until}
	if err := probes.NewFileIntents(r.dir).Record(r.Context(), i); err != nil {
		r.Fatal(err)
	}
}

// A session is not deleted because of its name.
func TestJanitor_DeletesOnlyRecordedSessions(t *testing.T) {
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		for _, name := range []string{"syn-create_delete-0-1", "syn-of-another", "ventas", "syn-create_connect_qr-old-1"} {
			r.make(name)
		}
		r.note("syn-create_connect_qr-old-1", "gate", time.Now().Add(-time.Second))
		r.note("syn-create_connect_qr-elsewhere-1", "another", time.Now().Add(-time.Second))
		stop := r.start(r.prober(only(probes.EngineHealth, time.Hour)))
		time.Sleep(5 * time.Minute)
		stop()
		var names []string
		for _, s := range r.engine.Snapshot() {
			names = append(names, s.Name)
		}
		if !slices.Equal(names, []string{"syn-create_delete-0-1", "syn-of-another", "ventas"}) {
			t.Errorf("the engine still has %v", names)
		}
		if open, _ := probes.NewFileIntents(r.dir).Open(r.Context()); len(open) != 1 || open[0].Target != "another" {
			t.Errorf("the intents are %+v, want that of the unknown target alone", open)
		}
		r.seen.read(func(c *tally) {
			if c.orphans != 0 {
				t.Errorf("%d orphans, and what is noted for another target is none of them", c.orphans)
			}
		})
	})
}

// Orphans of another target do not stop runs here, and their intents stay.
func TestJanitor_OtherTargetsDoNotBlock(t *testing.T) {
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		for i := range 20 {
			r.note(fmt.Sprintf("syn-elsewhere-%d", i), "another", time.Now().Add(-time.Second))
		}
		p := r.prober(only(probes.EngineHealth, time.Hour))
		for range 3 {
			r.wants(p.Once(r.Context(), probes.CreateDelete), session.Success, diagnosis.None)
		}
		if open, _ := probes.NewFileIntents(r.dir).Open(r.Context()); len(open) != 20 {
			t.Errorf("%d intents of the other target are left of 20", len(open))
		}
	})
}

func TestBacklog_ProblemNamesTargetLocationAndCause(t *testing.T) {
	bubble(t, fault(enginesim.RouteDelete, enginesim.ServerError), func(r *rig) {
		for i := range 10 {
			r.note(fmt.Sprintf("syn-left-%d", i), "gate", time.Now().Add(-time.Second))
		}
		run := r.prober(only(probes.EngineHealth, time.Hour)).Once(r.Context(), probes.CreateDelete)
		if run.SkipReason != probes.SkipBacklog {
			t.Fatalf("it ends in %+v", run)
		}
		for _, want := range []string{"10 test sessions from earlier runs could not be deleted at gate", r.dir, "engine_5xx: delete: server_error, HTTP 500", "or delete the sessions and then their records"} {
			if !strings.Contains(run.Problem, want) {
				t.Errorf("no %q in %q", want, run.Problem)
			}
		}
	})
}

// A finished run makes its intent due, so that the next run does not wait.
func TestCleanup_NextRunRetries(t *testing.T) {
	bubble(t, fault(enginesim.RouteDelete, enginesim.ServerError), func(r *rig) {
		shared := func(c *probes.Config) { c.Shared, c.Every = true, map[string]time.Duration{} }
		r.prober(shared).Once(r.Context(), probes.CreateDelete)
		if len(r.leftovers()) != 1 {
			t.Fatalf("the engine has %v", r.leftovers())
		}
		r.engine.Change(func(e *enginesim.Engine) { e.Faults = nil })
		time.Sleep(time.Second)
		r.wants(r.prober(shared).Once(r.Context(), probes.CreateDelete), session.Success, diagnosis.None)
		r.clean()
	})
}

// Where processes share intents, a session is not deleted before its run must be over.
func TestJanitor_SharedIntentsWaitForTheirRun(t *testing.T) {
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		r.make("syn-x")
		r.note("syn-x", "gate", time.Now().Add(30*time.Second))
		stop := r.start(r.prober(only(probes.EngineHealth, time.Hour), func(c *probes.Config) { c.Shared = true }))
		time.Sleep(29 * time.Second)
		if len(r.leftovers()) != 1 {
			t.Error("the session of a run under way is gone")
		}
		time.Sleep(3 * time.Second)
		r.clean()
		stop()
	})
}

// The probe times out, and the engine creates the session after the cleanup.
func TestJanitor_DeletesSessionCreatedAfterTimeout(t *testing.T) {
	engine := &enginesim.Engine{}
	late := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.URL.Path == "/api/sessions" {
			body := readAll(r)
			time.Sleep(20 * time.Second)
			r = r.Clone(t.Context()) // the client is gone by now
			r.Body = jsonBody(body)
		}
		engine.ServeHTTP(w, r)
	})
	bubbleBefore(t, engine, late, func(r *rig) {
		p := r.prober(only(probes.EngineHealth, time.Hour))
		r.wants(p.Once(r.Context(), probes.CreateDelete), session.Failure, diagnosis.EngineTimeout)
		stop := r.start(p) // the janitor finds nothing yet
		defer stop()
		if open, _ := probes.NewFileIntents(r.dir).Open(r.Context()); len(open) != 1 {
			t.Fatalf("the intents are %v: the session would never be deleted", open)
		}
		time.Sleep(12 * time.Second)
		if len(r.leftovers()) != 1 {
			t.Fatalf("the engine has %v, want the session that came late", r.leftovers())
		}
		time.Sleep(2 * time.Minute)
		r.clean()
		synctest.Wait()
	})
}

// An engine may take three seconds to close a session.
func TestCleanup_SlowDeletionSucceeds(t *testing.T) {
	bubble(t, &enginesim.Engine{Latency: 3 * time.Second}, func(r *rig) {
		for _, name := range []string{probes.CreateDelete, probes.CreateConnectQR} {
			run := r.prober().Once(r.Context(), name)
			r.wants(run, session.Success, diagnosis.None)
			if last := run.Steps[len(run.Steps)-1]; last.Name != probes.StepCleanup || last.Outcome != session.Success {
				r.Errorf("%s ends with %+v", name, last)
			}
			r.clean()
		}
	})
}

// The process is killed during its create. The session appears after the next process has searched for it, and is
// deleted within a minute of the start of that process.
func TestJanitor_DeletesLateSessionOfKilledProcess(t *testing.T) {
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		i := probes.Intent{Session: "syn-late", Target: "gate", Owner: "earlier", At: time.Now().Add(-time.Second), Until: time.Now().Add(time.Minute)}
		if err := probes.NewFileIntents(r.dir).Record(r.Context(), i); err != nil {
			t.Fatal(err)
		}
		stop := r.start(r.prober(only(probes.EngineHealth, time.Hour)))
		defer stop()
		time.Sleep(20 * time.Second) // the janitor has found nothing yet
		r.make("syn-late")
		time.Sleep(39 * time.Second)
		r.clean()
	})
}

// An engine may know a session by its integer only.
func TestCleanup_EnginesWithOneKindOfID(t *testing.T) {
	t.Parallel()
	for name, engine := range map[string]*enginesim.Engine{
		"integers":              {NumericIDsOnly: true},
		"many, and integers":    {NumericIDsOnly: true, StrictLimit: true},
		"flat create responses": {CreateShape: enginesim.CreateFlat},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, engine, func(r *rig) {
				r.make("syn-left-0")
				r.note("syn-left-0", "gate", time.Time{})
				for i := range 120 {
					r.make("other-" + string(rune('a'+i%26)) + string(rune('a'+i/26)))
				}
				r.make("syn-left-1")
				r.note("syn-left-1", "gate", time.Time{})
				p := r.prober(only(probes.EngineHealth, time.Hour))
				r.wants(p.Once(r.Context(), probes.CreateConnectQR), session.Success, diagnosis.None)
				r.clean()
				if n := len(r.engine.Snapshot()); n != 120 {
					t.Errorf("%d sessions of others are left of 120", n)
				}
			})
		})
	}
}

// An engine that does not delete sessions does not fill up.
func TestBacklog_StopsCreatingSessions(t *testing.T) {
	bubble(t, fault(enginesim.RouteDelete, enginesim.ServerError), func(r *rig) {
		p := r.prober(only(probes.CreateDelete, time.Minute))
		stop := r.start(p)
		time.Sleep(25 * time.Minute)
		if n := len(r.leftovers()); n < 10 || n > 11 {
			t.Errorf("%d sessions are left behind, and 10 are the limit", n)
		}
		r.seen.read(func(c *tally) {
			if c.missed[probes.CreateDelete+" cleanup_backlog"] < 10 || c.orphans < 10 {
				t.Errorf("the observer counts %v, and of %d orphans", c.missed, c.orphans)
			}
		})
		r.engine.Change(func(e *enginesim.Engine) { e.Faults = nil })
		time.Sleep(2*time.Minute - 5*time.Second)
		stop()
		r.clean()
		r.seen.read(func(c *tally) {
			if c.orphans != 0 || c.ran[probes.CreateDelete+" none"] == 0 {
				t.Errorf("it does not recover: %v, %d orphans", c.ran, c.orphans)
			}
		})
	})
}

// Every run during a long outage is a failure, not a skipped run, although no session can be deleted; also while the
// target responds but nothing works.
func TestBacklog_LongOutageStaysAFailure(t *testing.T) {
	t.Parallel()
	for kind, code := range map[enginesim.FaultKind]diagnosis.Code{
		enginesim.HTML502: diagnosis.EngineUnreachable, enginesim.ServerError: diagnosis.Engine5xx, enginesim.Garbage: diagnosis.EngineBadResponse,
	} {
		t.Run(string(code), func(t *testing.T) { longOutage(t, kind, code) })
	}
}

func longOutage(t *testing.T, kind enginesim.FaultKind, code diagnosis.Code) {
	t.Helper()
	bubble(t, fault(enginesim.AnyRoute, kind), func(r *rig) {
		p := r.prober(only(probes.CreateDelete, time.Minute))
		stop := r.start(p)
		time.Sleep(time.Hour - time.Second)
		r.seen.read(func(c *tally) {
			if c.ran[probes.CreateDelete+" "+string(code)] != 60 || len(c.missed) > 0 {
				t.Errorf("an hour without an engine gives %v and %v", c.ran, c.missed)
			}
		})
		if n := r.engine.CountSince(enginesim.RouteCreate, time.Time{}); n > 11 {
			t.Errorf("%d sessions were asked for of an engine that deletes none", n)
		}
		r.engine.Change(func(e *enginesim.Engine) { e.Faults = nil })
		time.Sleep(3 * time.Minute)
		stop()
		r.clean()
		r.seen.read(func(c *tally) {
			if c.ran[probes.CreateDelete+" none"] == 0 {
				t.Errorf("it does not recover: %v", c.ran)
			}
		})
	})
}

// After a create whose response is about another session, that session is not called.
func TestCreate_ResponseOfAnotherSessionIsNotTouched(t *testing.T) {
	engine := &enginesim.Engine{}
	front := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.URL.Path == "/api/sessions" {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write([]byte(`{"success":true,"data":{"session":{"id":1,"sessionId":"ventas","status":"connected"}}}`))
			return
		}
		engine.ServeHTTP(w, r)
	})
	bubbleBefore(t, engine, front, func(r *rig) {
		r.wants(r.prober().Once(r.Context(), probes.CreateConnectQR), session.Failure, diagnosis.EngineBadResponse)
		for _, c := range r.engine.Calls() {
			if c.Path == "/api/sessions/1" || c.Path == "/api/sessions/ventas" {
				t.Errorf("%s %s touches another client's session", c.Method, c.Path)
			}
		}
	})
}
