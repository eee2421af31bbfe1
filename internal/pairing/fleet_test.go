package pairing_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"qrgate"
	"qrgate/internal/enginesim"
)

// Ten sessions of one key at once: twenty of the thirty calls of a minute go into create and connect, and
// all ten codes come within ten seconds without a single 429.
func TestTenSessionsOfOneKeyShareTheBudget(t *testing.T) {
	for name, stagger := range map[string]time.Duration{"at once": 0, "one every half second": 500 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			bubble(t, enginesim.Incident(), func(r *rig) {
				began := time.Now()
				var wg sync.WaitGroup
				for i := range 10 {
					wg.Go(func() {
						time.Sleep(time.Duration(i) * stagger)
						id := fmt.Sprintf("crm-%02d", i)
						ref := r.createUnlisted("key-a", id)
						asked := time.Now()
						r.connect("key-a", ref)
						v, err := r.p.QR(r.t.Context(), r.caller("key-a"), id, qrgate.Hold{})
						if err != nil || !v.Session.QR.Fresh(v.At) {
							r.t.Errorf("%s: no QR after %v: %v %s place %d waiting %v", id, v.At.Sub(asked), err, v.Session.State, v.Place, v.Waiting)
						}
						if v.At.Sub(asked) > 10*time.Second {
							r.t.Errorf("%s: %v after its connect", id, v.At.Sub(asked))
						}
					})
				}
				wg.Wait()
				r.noneRefused()
				r.t.Logf("%d looks", r.looks(began))
			})
		})
	}
}
