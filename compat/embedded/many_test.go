package embedded_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/compat/embedded"
	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/internal/test/whatsappsim"
)

// Only so many lines dial at once; the others wait their turn in "connecting", and get it.
func TestDialsTakeTurns(t *testing.T) {
	t.Parallel()
	inBubble(t, whatsappsim.Fault{}, embedded.Config{MaxDials: 2}, func(t *testing.T, r *rig, srv *whatsappsim.Server) {
		srv.QueueFaults(whatsappsim.Fault{HangUpgrade: true}, whatsappsim.Fault{HangUpgrade: true})
		for n := range 5 {
			r.connect(fmt.Sprintf("session-%d", n))
		}
		time.Sleep(10 * time.Second)
		if n := srv.Stats().Dials; n != 2 {
			t.Errorf("%d dials while two of two places are taken", n)
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
	})
}

// A turn that never comes within the time in which somebody waits is an answer, too.
func TestDialsThatNeverGetATurn(t *testing.T) {
	t.Parallel()
	inBubble(t, whatsappsim.Fault{HangHello: true}, embedded.Config{MaxDials: 1}, func(t *testing.T, r *rig, _ *whatsappsim.Server) {
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
			t.Error("nobody was told that the engine is overloaded")
		}
	})
}

// Whoever counts sees every change of state, and why a line ended.
func TestObserve(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var got []embedded.Change
	r, srv := onLoopback(t, embedded.Config{Observe: func(c embedded.Change) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, c)
	}})
	r.connect("first")
	r.scan(srv, "first", "5550100")
	srv.SetFault(whatsappsim.Fault{Failure: 405})
	r.call("POST", "/api/sessions/first/restart")
	r.untilStatus("first", "error", patience)
	mu.Lock()
	defer mu.Unlock()
	want := []embedded.Change{
		{From: session.Created, To: session.Connecting},
		{From: session.Connecting, To: session.AwaitingScan},
		{From: session.AwaitingScan, To: session.Connecting},
		{From: session.Connecting, To: session.Connected},
		{From: session.Connected, To: session.Connecting},
		{From: session.Connecting, To: session.Failed, Code: diagnosis.ClientOutdated},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// Everybody does everything at once, and then each session still works.
func TestStorm(t *testing.T) {
	t.Parallel()
	r, srv := onLoopback(t, embedded.Config{MaxDials: 4})
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
		r.untilStatus(id, "connected", patience)
	}
	waitFor(t, "the lines of before to hang up", func() bool { return srv.Stats().Open == 6 })
}

// Two creates of one id at the same moment: one wins.
func TestCreateTwiceAtOnce(t *testing.T) {
	t.Parallel()
	r := quiet(t, embedded.Config{})
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
