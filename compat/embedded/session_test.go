package embedded_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/compat/embedded"
	"qrgate/internal/test/whatsappsim"
)

func TestQR_ArrivesWithinASecond(t *testing.T) {
	t.Parallel()
	r, _ := onLoopback(t, embedded.Config{})
	r.connect("first")
	began := time.Now()
	r.untilStatus("first", "qr_code", waitTimeout)
	if took := time.Since(began); took > time.Second {
		t.Errorf("the QR took %v", took)
	}
	t.Logf("%v", time.Since(began))
	a := r.call("GET", "/api/sessions/first/qr")
	if a.status != 200 || a.data()["status"] != "qr_code" || a.data()["sessionId"] != "first" {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	if _, _, _, _, err := whatsappsim.ParseQR(decode(t, a.data()["qrCode"].(string))); err != nil {
		t.Errorf("not a WhatsApp code: %v", err)
	}
}

func TestScan_ConnectsTheSession(t *testing.T) {
	t.Parallel()
	r, srv := onLoopback(t, embedded.Config{})
	r.connect("first")
	began := time.Now()
	r.scan(srv, "first", "5550100")
	t.Logf("connected after %v", time.Since(began))
	d := r.call("GET", "/api/sessions/first/status").data()
	if d["isConnected"] != true || d["phoneNumber"] != "5550100" || d["hasQR"] != false {
		t.Errorf("%v", d)
	}
	if a := r.call("GET", "/api/sessions/first/qr"); a.status != 400 || a.code() != "SESSION_ALREADY_CONNECTED" {
		t.Errorf("qr of a paired session: %d %s", a.status, a.raw)
	}
}

// The first code is shown for 60 s, later ones for 20 s, each with its correct expiry; then the session stops.
func TestQR_RotatesAndExpires(t *testing.T) {
	t.Parallel()
	runInBubble(t, whatsappsim.Fault{}, func(t *testing.T, r *rig, srv *whatsappsim.Server) {
		r.connect("first")
		begin := time.Now()
		type shown struct{ At, TTL time.Duration }
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

// A disconnect cancels a dial at once and frees its slot.
func TestDisconnect_CancelsPendingDial(t *testing.T) {
	t.Parallel()
	runInBubble(t, whatsappsim.Fault{HangUpgrade: true}, func(t *testing.T, r *rig, srv *whatsappsim.Server) {
		r.connect("first")
		time.Sleep(time.Second)
		srv.SetFault(whatsappsim.Fault{})
		r.call("POST", "/api/sessions/first/disconnect")
		r.connect("second")
		r.untilStatus("second", "qr_code", time.Second)
	}, embedded.Limits{Dials: 1})
}

// The number of concurrent dials is limited; the other sessions wait in state "connecting".
func TestDials_WaitForASlot(t *testing.T) {
	t.Parallel()
	runInBubble(t, whatsappsim.Fault{}, func(t *testing.T, r *rig, srv *whatsappsim.Server) {
		srv.QueueFaults(whatsappsim.Fault{HangUpgrade: true}, whatsappsim.Fault{HangUpgrade: true})
		for n := range 5 {
			r.connect(fmt.Sprintf("session-%d", n))
		}
		time.Sleep(10 * time.Second)
		if n := srv.Stats().Dials; n != 2 {
			t.Errorf("%d dials, want 2 while both slots are taken", n)
		}
		for n := range 5 {
			if d := r.call("GET", fmt.Sprintf("/api/sessions/session-%d/status", n)).data(); d["status"] != "connecting" {
				t.Errorf("session %d: %v", n, d)
			}
		}
		time.Sleep(10 * time.Second)
		for n := range 5 {
			r.untilStatus(fmt.Sprintf("session-%d", n), "qr_code", time.Second)
		}
	}, embedded.Limits{Dials: 2})
}

// A session that gets no slot while its client waits reports engine_overloaded.
func TestDials_WithoutASlotReportOverload(t *testing.T) {
	t.Parallel()
	runInBubble(t, whatsappsim.Fault{HangHello: true}, func(t *testing.T, r *rig, _ *whatsappsim.Server) {
		for n := range 12 {
			r.connect(fmt.Sprintf("session-%02d", n))
		}
		time.Sleep(165 * time.Second)
		overloaded := 0
		for n := range 12 {
			d := r.call("GET", fmt.Sprintf("/api/sessions/session-%02d/status", n)).data()
			if reasonOf(d) == "engine_overloaded" {
				overloaded++
			}
		}
		if overloaded == 0 {
			t.Error("no session reports that the engine is overloaded")
		}
	}, embedded.Limits{Dials: 1})
}

// After many concurrent requests every session still works.
func TestEngine_ConcurrentRequestsLeaveEverySessionWorking(t *testing.T) {
	t.Parallel()
	r, srv := onLoopback(t, embedded.Config{Limits: embedded.Limits{Dials: 4}})
	var all sync.WaitGroup
	for n := range 6 {
		id := fmt.Sprintf("session-%d", n)
		r.make(id)
		for _, step := range [][2]string{{"POST", "/connect"}, {"POST", "/restart"}, {"GET", "/qr"}, {"POST", "/disconnect"}, {"GET", "/status"}, {"GET", ""}} {
			all.Go(func() {
				for range 5 {
					if a := r.call(step[0], "/api/sessions/"+id+step[1]); a.status != 200 && a.status != 500 {
						t.Errorf("%v: %d %s", step, a.status, a.raw)
					}
				}
			})
		}
	}
	all.Wait()
	for n := range 6 {
		id := fmt.Sprintf("session-%d", n)
		r.call("POST", "/api/sessions/"+id+"/restart")
		if err := srv.Scan(context.Background(), r.code(id), whatsappsim.Account{User: fmt.Sprintf("555010%d", n)}); err != nil {
			t.Error(err)
		}
		r.untilStatus(id, "connected", waitTimeout)
	}
	waitFor(t, "the replaced connections to close", func() bool { return srv.Stats().Open == 6 })
}

func TestCreate_ConcurrentDuplicatesCreateOne(t *testing.T) {
	t.Parallel()
	r := startIdle(t, embedded.Config{})
	statuses := make(chan int, 8)
	var all sync.WaitGroup
	for range cap(statuses) {
		all.Go(func() {
			statuses <- r.call("POST", "/api/sessions", `{"sessionId":"first","sessionName":"x"}`).status
		})
	}
	all.Wait()
	close(statuses)
	count := map[int]int{}
	for s := range statuses {
		count[s]++
	}
	if count[201] != 1 || count[409] != cap(statuses)-1 {
		t.Errorf("%v", count)
	}
}
