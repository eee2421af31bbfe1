package embedded_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/compat/embedded"
	"qrgate/internal/test/whatsappsim"
	"qrgate/internal/test/whatsappsim/whatsappsimtest"
)

// inBubble runs a test on fake time, with a simulator on in-memory pipes.
func inBubble(t *testing.T, f whatsappsim.Fault, c embedded.Config, test func(*testing.T, *rig, *whatsappsim.Server)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		srv, pipe := &whatsappsim.Server{Fault: f, PreKeys: fewKeys}, &whatsappsim.Pipe{}
		whatsappsimtest.StartOn(t, srv, pipe)
		c.HTTPClient = pipe.HTTPClient()
		c.DataDir = dir
		r := start(t, c)
		test(t, r, srv)
		r.stop()
		time.Sleep(20 * time.Second) // a handshake that nobody answers outlives Run: see there
	})
}

// The codes are shown 60 s and then 20 s each, each with an end that is true, and then the session rests.
func TestRotation(t *testing.T) {
	t.Parallel()
	inBubble(t, whatsappsim.Fault{}, embedded.Config{}, func(t *testing.T, r *rig, srv *whatsappsim.Server) {
		r.connect("first")
		begin := time.Now()
		type shown struct{ At, Life time.Duration }
		var got []shown
		last := ""
		for time.Since(begin) < 159*time.Second {
			if a := r.call("GET", "/api/sessions/first/qr"); a.status == 200 && a.data()["qrCode"] != last {
				last, _ = a.data()["qrCode"].(string)
				expires, err := time.Parse(time.RFC3339, a.data()["expiresAt"].(string))
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, shown{time.Since(begin).Round(time.Second), time.Until(expires).Round(time.Second)})
			}
			time.Sleep(250 * time.Millisecond)
		}
		s := time.Second
		want := []shown{{0, 60 * s}, {60 * s, 20 * s}, {80 * s, 20 * s}, {100 * s, 20 * s}, {120 * s, 20 * s}, {140 * s, 20 * s}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("codes (-want +got)\n%s", diff)
		}
		d := r.untilStatus("first", "disconnected", 2*time.Second)
		if got := reasonOf(d); got != "qr_expired" {
			t.Errorf("reason %q", got)
		}
		synctest.Wait()
		time.Sleep(10 * time.Second)
		if n := srv.Stats().Open; n != 0 {
			t.Errorf("%d connections are still open", n)
		}
		r.call("POST", "/api/sessions/first/connect")
		r.untilStatus("first", "qr_code", time.Second)
	})
}

// reasonOf is the code of lastDisconnect in a status, empty without one.
func reasonOf(status map[string]any) string {
	last, _ := status["lastDisconnect"].(map[string]any)
	code, _ := last["code"].(string)
	return code
}

// A dial that nobody wants any more ends at once, and its place is free.
func TestDisconnectEndsADial(t *testing.T) {
	t.Parallel()
	inBubble(t, whatsappsim.Fault{HangUpgrade: true}, embedded.Config{MaxDials: 1}, func(t *testing.T, r *rig, srv *whatsappsim.Server) {
		r.connect("first")
		time.Sleep(time.Second)
		srv.SetFault(whatsappsim.Fault{})
		r.call("POST", "/api/sessions/first/disconnect")
		r.connect("second")
		r.untilStatus("second", "qr_code", time.Second)
	})
}
