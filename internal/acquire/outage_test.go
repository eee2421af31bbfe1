package acquire_test

import (
	"fmt"
	"net/url"
	"sync"
	"testing"
	"time"

	"qrgate/compat/inboxhub"
	"qrgate/internal/acquire"
	"qrgate/internal/session"
	"qrgate/internal/store/memory"
	"qrgate/internal/test/enginesim"
)

// Three replicas, four sessions of one key, an engine that is away for two seconds and loses what it connected: every
// client gets its QR with its first request, and the calls fit into the rate limit.
func TestReplicas_EngineRestartsWhileSessionsWait(t *testing.T) {
	shared := memory.New(memory.Config{})
	e := &enginesim.Engine{QRDelay: 3 * time.Second, Limits: enginesim.RecordedLimits()}
	shares := func(c *acquire.Config) { c.SharesStore = true }
	bubble(t, e, func(r *rig) {
		link := &cutOff{RoundTripper: r.http.Transport}
		base, _ := url.Parse("http://engine.test")
		var all []*acquire.Manager
		for range 3 {
			m, stop := r.startReplica(shared, shares, func(c *acquire.Config) { c.Engine = inboxhub.New(base, link) })
			defer stop()
			all = append(all, m)
		}
		defer func(m *acquire.Manager) { r.manager = m }(r.manager)
		begin := time.Now()
		var clients sync.WaitGroup
		for i, at := range []float64{1.2, 1.7, 2.1, 7.5} {
			time.Sleep(time.Until(begin.Add(time.Duration(at * float64(time.Second)))))
			r.manager = all[i%3]
			ref := r.createUnlisted("key-a", fmt.Sprintf("crm-%d", i))
			r.manager = all[(i+1)%3]
			r.connect("key-a", ref)
			clients.Go(func() {
				at := all[(i+2)%3]
				snap, err := at.WaitQR(r.t.Context(), r.caller("key-a"), fmt.Sprint(ref.ID), session.WaitPreference{})
				if err != nil || !snap.Ready {
					r.t.Errorf("session %d: %s, %v", ref.ID, snap.Session.State, err)
				}
			})
			if i == 2 {
				time.Sleep(time.Until(begin.Add(3 * time.Second)))
				link.closed.Store(true)
				r.engine.Restart()
				time.Sleep(2 * time.Second)
				link.closed.Store(false)
			}
		}
		clients.Wait()
		r.none429()
	})
}

// The polls of all replicas together keep their distance: sessions of one key at three replicas leave calls of the
// window to sessions that begin later.
func TestReplicas_ShareOnePollRate(t *testing.T) {
	shared := memory.New(memory.Config{})
	e := &enginesim.Engine{QRDelay: 20 * time.Second, Limits: enginesim.RecordedLimits()}
	shares := func(c *acquire.Config) { c.SharesStore = true }
	bubble(t, e, func(r *rig) {
		defer func(m *acquire.Manager) { r.manager = m }(r.manager)
		startedAt := time.Now()
		for i := range 3 {
			m, stop := r.startReplica(shared, shares)
			defer stop()
			r.manager = m
			r.connect("key-a", r.createUnlisted("key-a", fmt.Sprintf("crm-%d", i)))
		}
		time.Sleep(9 * time.Second)
		if n := r.polls(startedAt); n < 8 || n > 16 {
			r.t.Errorf("%d polls in 9 s", n)
		}
	})
}

// A client that requests the QR of an older connect again gets a poll, although few calls remain in the window: its own
// call would be one, too.
func TestTenant_RepeatedRequestIsPolledAtOnce(t *testing.T) {
	e := &enginesim.Engine{QRDelay: 9500 * time.Millisecond, Limits: enginesim.RecordedLimits()}
	bubble(t, e, func(r *rig) {
		c := r.caller("key-a")
		r.connect("key-a", r.createUnlisted("key-a", "crm-1"))
		time.Sleep(20 * time.Second) // it was connected again after 12 s
		for remaining := 30; remaining > 4; {
			list, err := r.hub.List(r.t.Context(), c)
			if err != nil {
				r.t.Fatal(err)
			}
			r.manager.OnRateLimits(c, list.Limits, false, 0)
			remaining = list.Limits[0].Remaining
		}
		time.Sleep(3 * time.Second)
		startedAt := time.Now()
		if snap := r.qr("key-a", "crm-1", session.WaitPreference{}); !snap.Ready || time.Since(startedAt) > time.Second {
			r.t.Errorf("after %v: %s", time.Since(startedAt), snap.Session.State)
		}
	})
}
