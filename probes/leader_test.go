package probes_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/internal/store"
	"qrgate/internal/store/memory"
	"qrgate/internal/test/enginesim"
	"qrgate/probes"
)

// shared is the store that replicas share; it can be unavailable.
type shared struct {
	mu     sync.Mutex
	leases *memory.Store
	rows   map[string][]byte
	away   bool
}

func newShared() *shared {
	return &shared{leases: memory.New(memory.Config{}), rows: map[string][]byte{}}
}

func (s *shared) leave(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
}

func (s *shared) down() error {
	if s.away {
		return fmt.Errorf("dial: %w", store.ErrStoreUnavailable)
	}
	return nil
}

func (s *shared) Acquire(ctx context.Context, key, owner string, ttl time.Duration) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.down(); err != nil {
		return false, err
	}
	return s.leases.Acquire(ctx, key, owner, ttl)
}

func (s *shared) Release(ctx context.Context, key, owner string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leases.Release(ctx, key, owner)
}

func (s *shared) Put(_ context.Context, row string, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.down(); err != nil {
		return err
	}
	s.rows[row] = value
	return nil
}

func (s *shared) Drop(_ context.Context, row string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.rows, row)
	return s.down()
}

func (s *shared) All(context.Context) (map[string][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string][]byte{}
	for row, value := range s.rows {
		out[row] = value
	}
	return out, s.down()
}

// replica is one of several probers that share a store.
func (r *rig) replica(s *shared, seen *tally) *probes.Prober {
	return r.prober(only(probes.CreateConnectQR, time.Minute), func(c *probes.Config) {
		c.Leases, c.Intents, c.Observer = s, probes.NewTableIntents(s), seen
	})
}

func TestLeader_OneReplicaProbes(t *testing.T) {
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		s, first, second := newShared(), newTally(), newTally()
		stopFirst := r.start(r.replica(s, first))
		time.Sleep(time.Second)
		other := r.replica(s, second)
		stopSecond := r.start(other)
		time.Sleep(3*time.Minute - 10*time.Second)
		if !other.RunsOnOtherReplica(probes.CreateConnectQR) || other.RunsOnOtherReplica(probes.EngineHealth) {
			t.Error("who follows does not say which probes run elsewhere")
		}
		first.read(func(c *tally) {
			if c.ran[probes.CreateConnectQR+" none"] != 3 || !c.leads {
				t.Errorf("the leader did %v", c.ran)
			}
		})
		second.read(func(c *tally) {
			if len(c.ran) > 0 || c.missed[probes.CreateConnectQR+" not_leader"] != 3 || c.leads {
				t.Errorf("the other one did %v and skipped %v", c.ran, c.missed)
			}
		})
		stopFirst() // the lease is given back, so that the other one takes over at its next try
		time.Sleep(time.Minute)
		second.read(func(c *tally) {
			if c.ran[probes.CreateConnectQR+" none"] != 1 || !c.leads || other.RunsOnOtherReplica(probes.CreateConnectQR) {
				t.Errorf("after the leader left, the other one did %v", c.ran)
			}
		})
		stopSecond()
		r.clean()
	})
}

// Another replica becomes the leader during a run: the result is dropped and the session deleted.
func TestLeader_LostLeaseDropsResult(t *testing.T) {
	bubble(t, &enginesim.Engine{QRDelay: 20 * time.Second}, func(r *rig) {
		s := newShared()
		stop := r.start(r.replica(s, r.seen))
		time.Sleep(2 * time.Second)
		steal(t, s)
		time.Sleep(12 * time.Second)
		r.seen.read(func(c *tally) {
			if len(c.ran) > 0 || c.missed[probes.CreateConnectQR+" lease_lost"] != 1 || c.steps["cleanup"] != 1 || len(c.steps) != 1 || c.leads {
				t.Errorf("the observer counts %v %v %v", c.ran, c.missed, c.steps)
			}
		})
		r.clean()
		stop()
	})
}

// steal gives the lease to another replica.
func steal(t *testing.T, s *shared) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leases = memory.New(memory.Config{})
	if ok, err := s.leases.Acquire(t.Context(), "probes", "thief", time.Hour); !ok || err != nil {
		t.Fatal(ok, err)
	}
}

// The orphans of a former leader are the new leader's; a follower reports none.
func TestLeader_FollowerReportsNoOrphans(t *testing.T) {
	bubble(t, fault(enginesim.RouteDelete, enginesim.ServerError), func(r *rig) {
		s := newShared()
		stop := r.start(r.replica(s, r.seen))
		defer stop()
		time.Sleep(90 * time.Second)
		r.seen.read(func(c *tally) {
			if !c.leads || c.orphans == 0 {
				t.Fatalf("the leader reports %d orphans", c.orphans)
			}
		})
		steal(t, s)
		time.Sleep(10 * time.Second)
		r.seen.read(func(c *tally) {
			if c.leads || c.orphans != 0 {
				t.Errorf("a follower still reports %d orphans", c.orphans)
			}
		})
	})
}

// Without the store every replica fails and creates no session; afterwards one of them probes again.
func TestLeader_StoreUnavailableFailsOnEveryReplica(t *testing.T) {
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		s, first, second := newShared(), newTally(), newTally()
		stopFirst := r.start(r.replica(s, first))
		stopSecond := r.start(r.replica(s, second))
		time.Sleep(10 * time.Second)
		s.leave(true)
		made := r.engine.CountSince(enginesim.RouteCreate, time.Time{})
		time.Sleep(3 * time.Minute)
		for _, seen := range []*tally{first, second} {
			seen.read(func(c *tally) {
				if c.ran[probes.CreateConnectQR+" redis_unavailable"] != 3 || c.leads {
					t.Errorf("without the store a replica ran %v, missed %v", c.ran, c.missed)
				}
			})
		}
		if n := r.engine.CountSince(enginesim.RouteCreate, time.Time{}); n != made {
			t.Errorf("%d sessions were made without a place to note them", n-made)
		}
		s.leave(false)
		time.Sleep(2 * time.Minute)
		stopFirst()
		stopSecond()
		if got := first.ran[probes.CreateConnectQR+" none"] + second.ran[probes.CreateConnectQR+" none"]; got != 1+2 {
			t.Errorf("before and after the outage there were %d runs, want 3", got)
		}
		r.clean()
	})
}

// An outage shorter than the lease TTL changes nothing.
func TestLeader_ShortStoreOutageChangesNothing(t *testing.T) {
	bubble(t, &enginesim.Engine{QRDelay: 12 * time.Second}, func(r *rig) {
		s := newShared()
		stop := r.start(r.replica(s, r.seen))
		time.Sleep(time.Second)
		s.leave(true)
		time.Sleep(9 * time.Second)
		s.leave(false)
		time.Sleep(20 * time.Second)
		r.seen.read(func(c *tally) {
			if c.ran[probes.CreateConnectQR+" none"] != 1 {
				t.Errorf("the run ended in %v %v", c.ran, c.missed)
			}
		})
		stop()
		r.clean()
	})
}

// stubborn fails to record intents.
type stubborn struct{ probes.Intents }

func (stubborn) Record(context.Context, probes.Intent) error {
	return errors.New("no space left on device")
}

func TestCreate_UnrecordedIntentCreatesNoSession(t *testing.T) {
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		run := r.prober(func(c *probes.Config) { c.Intents = stubborn{c.Intents} }).Once(r.Context(), probes.CreateDelete)
		if run.SkipReason != probes.SkipInternal || run.Diagnosis != nil {
			t.Errorf("a full disk is a failure of the prober: %+v", run)
		}
		s := newShared()
		s.leave(true)
		run = r.prober(func(c *probes.Config) { c.Intents = probes.NewTableIntents(s) }).Once(r.Context(), probes.CreateDelete)
		r.wants(run, session.Failure, diagnosis.RedisUnavailable)
		if n := r.engine.CountSince(enginesim.RouteCreate, time.Time{}); n != 0 {
			t.Errorf("%d sessions were asked for", n)
		}
	})
}
