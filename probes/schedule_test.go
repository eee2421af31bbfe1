package probes_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/internal/diagnosis"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/internal/test/enginesim"
	"qrgate/probes"
)

func TestSchedule_KeepsPhase(t *testing.T) {
	bubble(t, &enginesim.Engine{QRDelay: 2 * time.Second}, func(r *rig) {
		began := time.Now()
		p := r.prober(only(probes.CreateConnectQR, time.Minute), func(c *probes.Config) { c.Random = func() float64 { return 0.5 } })
		stop := r.start(p)
		time.Sleep(5 * time.Minute)
		stop()
		r.seen.read(func(c *tally) {
			if len(c.at) != 5 || c.ran[probes.CreateConnectQR+" none"] != 5 {
				t.Fatalf("in five minutes there were %v", c.ran)
			}
			for i, at := range c.at {
				due := began.Add(30*time.Second + time.Duration(i)*time.Minute)
				if late := at.Sub(due); late < 2*time.Second || late > 5*time.Second {
					t.Errorf("run %d ended %v after its turn", i, late)
				}
			}
			want := map[string]int{"create": 5, "connect": 5, "qr": 5, "validate": 5, "cleanup": 5}
			if diff := cmp.Diff(want, c.steps); diff != "" {
				t.Error(diff)
			}
		})
		r.clean()
	})
}

// Three probes of one interval do not run at the same time.
func TestSchedule_SpreadsProbes(t *testing.T) {
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		p := r.prober(func(c *probes.Config) {
			c.Every = map[string]time.Duration{probes.EngineHealth: time.Minute, probes.CreateDelete: time.Minute, probes.CreateConnectQR: time.Minute}
			c.Random = func() float64 { return 0.9 }
		})
		stop := r.start(p)
		time.Sleep(59 * time.Second)
		stop()
		r.seen.read(func(c *tally) {
			if len(c.at) != 3 {
				t.Fatalf("in the first minute there were %v", c.ran)
			}
			for i := 1; i < 3; i++ {
				if gap := c.at[i].Sub(c.at[i-1]); gap < 19*time.Second {
					t.Errorf("only %v between two probes", gap)
				}
			}
		})
	})
}

// A run ends before its next slot although the engine hangs; a slot during the cleanup is skipped and counted.
func TestSchedule_SkipsOverlap(t *testing.T) {
	bubble(t, fault(enginesim.AnyRoute, enginesim.Hang), func(r *rig) {
		stop := r.start(r.prober(only(probes.CreateDelete, 5*time.Second)))
		time.Sleep(59 * time.Second)
		r.engine.Change(func(e *enginesim.Engine) { e.Faults = nil })
		stop()
		r.seen.read(func(c *tally) {
			ran, missed := c.ran[probes.CreateDelete+" engine_timeout"], c.missed[probes.CreateDelete+" overlap"]
			if ran < 5 || missed < 5 || ran+missed < 11 {
				t.Errorf("there were %d runs and %d skipped turns in 59 s: %v %v", ran, missed, c.ran, c.missed)
			}
		})
	})
}

func TestSchedule_MaintenanceSkipsRuns(t *testing.T) {
	bubble(t, &enginesim.Engine{}, func(r *rig) { // a bubble begins on Saturday, 2000-01-01 00:00 UTC
		windows, err := probes.ParseWindows("sat 00:10-00:20")
		if err != nil {
			t.Fatal(err)
		}
		p := r.prober(only(probes.EngineHealth, time.Minute), func(c *probes.Config) {
			c.Maintenance = windows
		})
		stop := r.start(p)
		time.Sleep(30*time.Minute - time.Second)
		stop()
		r.seen.read(func(c *tally) {
			if c.ran[probes.EngineHealth+" none"] != 20 || c.missed[probes.EngineHealth+" maintenance"] != 10 {
				t.Errorf("10 minutes of maintenance in 30 give %v and %v", c.ran, c.missed)
			}
		})
	})
}

func TestParseWindows(t *testing.T) {
	t.Parallel()
	at := func(text string) time.Time {
		v, err := time.Parse("Mon 2006-01-02 15:04", text)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, test := range []struct {
		windows string
		now     time.Time
		open    bool
	}{
		{"daily 03:00-03:15", at("Sat 2000-01-01 03:00"), true},
		{"daily 03:00-03:15", at("Sat 2000-01-01 03:15"), false},
		{"daily 03:00-03:15", at("Sat 2000-01-01 02:59"), false},
		{"sat 22:00-02:00", at("Sat 2000-01-01 23:00"), true},
		{"sat 22:00-02:00", at("Sun 2000-01-02 01:59"), true},
		{"sat 22:00-02:00", at("Sat 2000-01-01 01:00"), false}, // that would be Friday's
		{"sat 22:00-02:00", at("Sun 2000-01-02 22:30"), false},
		{"Saturday,mon 10:00-11:00; daily 00:00-00:01", at("Mon 2000-01-03 10:30"), true},
		{"sat,mon 10:00-11:00; daily 00:00-00:01", at("Tue 2000-01-04 00:00"), true},
		{"daily 05:00-05:00", at("Tue 2000-01-04 04:59"), true}, // a whole day
		{"", at("Tue 2000-01-04 04:59"), false},
	} {
		all, err := probes.ParseWindows(test.windows)
		if err != nil {
			t.Errorf("%q: %v", test.windows, err)
			continue
		}
		open := false
		for _, w := range all {
			open = open || w.IsOpen(test.now)
			open = open || w.IsOpen(test.now.In(time.FixedZone("elsewhere", 3600)))
		}
		if open != test.open {
			t.Errorf("%q at %v: open %v, want %v", test.windows, test.now, open, test.open)
		}
	}
	for _, wrong := range []string{"someday 10:00-11:00", "10:00-11:00", "sat 10:00", "sat 25:00-26:00", "sat", "sat, 10:00-11:00"} {
		if all, err := probes.ParseWindows(wrong); err == nil {
			t.Errorf("%q is read as %v", wrong, all)
		}
	}
}

// A run in progress is canceled, dropped, and cleans up before Run returns.
func TestRun_ShutdownCancelsAndCleansUp(t *testing.T) {
	bubble(t, &enginesim.Engine{QRDelay: time.Hour}, func(r *rig) {
		stop := r.start(r.prober(only(probes.CreateConnectQR, time.Minute)))
		time.Sleep(3 * time.Second)
		if len(r.leftovers()) != 1 {
			t.Fatalf("in the midst of a run the engine has %v", r.leftovers())
		}
		began := time.Now()
		stop()
		if took := time.Since(began); took > 6*time.Second {
			t.Errorf("it takes %v to stop", took)
		}
		r.seen.read(func(c *tally) {
			if len(c.ran) > 0 || c.missed[probes.CreateConnectQR+" shutdown"] != 1 || c.steps["cleanup"] != 1 {
				t.Errorf("the observer counts %v %v %v", c.ran, c.missed, c.steps)
			}
			if c.leads {
				t.Error("the observer has a prober that ended as leader")
			}
		})
		r.clean()
	})
}

func TestOnce_CancelSkipsAndCleansUp(t *testing.T) {
	bubble(t, &enginesim.Engine{QRDelay: time.Hour}, func(r *rig) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Hour)
		go func() {
			time.Sleep(2 * time.Second)
			cancel()
		}()
		run := r.prober().Once(ctx, probes.CreateConnectQR)
		r.wants(run, session.Abandoned, diagnosis.None)
		if run.SkipReason != probes.SkipShutdown {
			t.Errorf("it was missed for %q", run.SkipReason)
		}
		synctest.Wait()
		r.clean()
	})
}

func TestNew_InvalidConfig(t *testing.T) {
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		keyless := r.target
		keyless.Key = secret.Secret{}
		for name, c := range map[string]probes.Config{
			"no intents":     {Target: r.target},
			"no target":      {Intents: probes.NewFileIntents(r.dir)},
			"unknown probe":  {Target: r.target, Intents: probes.NewFileIntents(r.dir), Every: map[string]time.Duration{"gremlins": time.Minute}},
			"too often":      {Target: r.target, Intents: probes.NewFileIntents(r.dir), Every: map[string]time.Duration{probes.EngineHealth: time.Millisecond}},
			"no key":         {Target: keyless, Intents: probes.NewFileIntents(r.dir), Every: map[string]time.Duration{probes.CreateDelete: time.Minute}},
			"two of a name":  {Target: r.target, Intents: probes.NewFileIntents(r.dir), Others: []probes.Target{{Name: "gate", URL: r.target.URL}}},
			"a name of none": {Target: r.target, Intents: probes.NewFileIntents(r.dir), Others: []probes.Target{{URL: r.target.URL}}},
		} {
			if _, err := probes.New(c); err == nil {
				t.Errorf("%s: no error", name)
			}
		}
		if _, err := probes.New(probes.Config{Target: keyless, Intents: probes.NewFileIntents(r.dir)}); err != nil {
			t.Errorf("without a key the health probe alone must do: %v", err)
		}
		run := r.prober().Once(r.Context(), "gremlins")
		if run.SkipReason != probes.SkipInternal {
			t.Errorf("an unknown probe: %+v", run)
		}
	})
}
