package acquire_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"qrgate/internal/session"
	"qrgate/internal/test/enginesim"
)

// The incident: /qr answers 500 until four seconds after the connect, and thirty calls a minute are allowed. However
// many clients ask, each only once, all get the QR.
func TestWaitQR_EveryClientThatAsksOnceGetsTheQR(t *testing.T) {
	for _, clients := range []int{1, 3, 10, 50} {
		t.Run(fmt.Sprint(clients), func(t *testing.T) {
			bubble(t, enginesim.Incident(), func(r *rig) {
				ref := r.create("key-a", "crm-1")
				began := time.Now()
				r.connect("key-a", ref)
				var wg sync.WaitGroup
				for range clients {
					wg.Go(func() {
						v, err := r.manager.WaitQR(r.t.Context(), r.caller("key-a"), "crm-1", session.WaitPreference{})
						if err != nil || !v.Session.QR.Fresh(v.At) {
							r.t.Errorf("no QR after %v: %v, %s", v.At.Sub(began), err, v.Session.State)
						}
						if late := v.At.Sub(began) - 4*time.Second; late > 700*time.Millisecond {
							r.t.Errorf("handed out %v after the engine had it", late)
						}
					})
				}
				wg.Wait()
				if n := r.polls(began); n > 8 {
					r.t.Errorf("%d polls at the engine, want at most 8", n)
				}
			})
		})
	}
}
