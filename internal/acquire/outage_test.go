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
// client gets its QR with its first request, and the calls fit into the rate limit. The fourth one, whose session begins
// after the reconnects, may have to wait for the engine's next window instead.
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
				isQueued := i == 3 && snap.RateLimitWait > 0
				if err != nil || !snap.Ready && !isQueued {
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
