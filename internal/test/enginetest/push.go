package enginetest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"qrgate/compat/dialect"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/internal/test/enginesim"
)

// Push checks the dialect of an engine that reports changes by itself on a websocket at route.
func Push(
	t *testing.T, d *dialect.Dialect, face func(*enginesim.Engine) *enginesim.Face, client NativeClient,
	route enginesim.Route,
) {
	run := func(name string, c NativeClient, check func(*testing.T, nativeRig)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { inNativeRig(t, d, face, c, check) })
		})
	}
	for name, check := range map[string]func(*testing.T, nativeRig, enginesim.Route){
		"a lost connection falls back to polling":            checkLostConnection,
		"a websocket that cannot be opened":                  checkNoWebsocket,
		"one connection per credential, none without a user": checkConnections,
		"a key that the engine refuses":                      checkRefusedSubscription,
	} {
		run(name, client, func(t *testing.T, r nativeRig) { check(t, r, route) })
	}
	polled := client
	polled.Polls = true
	for name, measure := range map[string]func(*testing.T, nativeRig, enginesim.Route) int{
		"a code that is 8 s late":        callsForLateCode,
		"150 requests through six codes": callsForSixCodes,
	} {
		var with, without int
		run(name, client, func(t *testing.T, r nativeRig) { with = measure(t, r, route) })
		run(name+", polled", polled, func(t *testing.T, r nativeRig) { without = measure(t, r, route) })
		t.Logf("%s: %d calls with the websocket, %d without", name, with, without)
		if with*3 > without*2 {
			t.Errorf("%s: %d calls with the websocket, %d without", name, with, without)
		}
	}
}

// calls counts the calls to the engine since a moment, without connections to its websocket.
func (r nativeRig) calls(route enginesim.Route, since time.Time) int {
	return r.sim.CountSince(enginesim.AnyRoute, since) - r.sim.CountSince(route, since)
}

func callsForLateCode(t *testing.T, r nativeRig, route enginesim.Route) int {
	r.sim.Change(func(e *enginesim.Engine) { e.QRDelay = 8 * time.Second })
	begun := time.Now()
	r.start(t, "shop-1")
	if res := r.through(t, r.QR("shop-1")); r.code(res) == "" || res.took > 9*time.Second {
		t.Errorf("%d after %v", res.status, res.took)
	}
	return r.calls(route, begun)
}

// callsForSixCodes asks each second through the life of six codes.
func callsForSixCodes(t *testing.T, r nativeRig, route enginesim.Route) int {
	r.start(t, "shop-1")
	begun, seen := time.Now(), map[string]bool{}
	for time.Since(begun) < 150*time.Second {
		code := r.code(r.through(t, r.QR("shop-1")))
		if code == "" {
			t.Errorf("no code after %v", time.Since(begun))
		}
		seen[code] = true
		time.Sleep(time.Second)
	}
	if len(seen) != 6 {
		t.Errorf("%d codes", len(seen))
	}
	return r.calls(route, begun)
}

func checkLostConnection(t *testing.T, r nativeRig, route enginesim.Route) {
	r.sim.Change(func(e *enginesim.Engine) { e.QRDelay = 8 * time.Second })
	r.start(t, "shop-1")
	response := make(chan nativeResponse, 1)
	go func() { response <- r.through(t, r.QR("shop-1")) }()
	time.Sleep(3 * time.Second)
	if r.manager.Stats().Pushes != 1 {
		t.Fatal("no connection")
	}
	r.sim.Change(func(e *enginesim.Engine) {
		e.Faults = map[enginesim.Route]enginesim.Fault{route: {Kind: enginesim.HTML502}}
	})
	cut := time.Now()
	r.face.CutSockets()
	time.Sleep(100 * time.Millisecond)
	if n := r.calls(route, cut); n != 1 || r.manager.Stats().Pushes != 0 {
		t.Errorf("%d polls right after the connection was lost", n)
	}
	if res := <-response; r.code(res) == "" || res.took > 9*time.Second {
		t.Errorf("%d after %v", res.status, res.took)
	}
	tries := r.sim.CountSince(route, cut)
	if tries < 2 || tries > 4 { // after 1, 2, 4 s, less a fourth
		t.Errorf("%d tries to connect in six seconds", tries)
	}
	r.sim.Change(func(e *enginesim.Engine) { e.Faults = nil })
	r.through(t, r.QR("shop-1"))
	time.Sleep(10 * time.Second)
	if r.manager.Stats().Pushes != 1 {
		t.Error("the connection was not made again")
	}
}

// checkNoWebsocket: a proxy that knows no websockets, or an older engine.
func checkNoWebsocket(t *testing.T, r nativeRig, route enginesim.Route) {
	for _, fault := range []enginesim.FaultKind{
		enginesim.HTML502, enginesim.Redirect, enginesim.CutConnection, enginesim.EmptyBody,
	} {
		r.sim.Change(func(e *enginesim.Engine) {
			e.QRDelay = 2 * time.Second
			e.Faults = map[enginesim.Route]enginesim.Fault{route: {Kind: fault}}
		})
		name := fmt.Sprintf("shop-%d", fault)
		r.start(t, name)
		if res := r.through(t, r.QR(name)); r.code(res) == "" || res.took > 4*time.Second {
			t.Errorf("fault %d: %d after %v", fault, res.status, res.took)
		}
		caller := session.Caller{Key: secret.NewSecret("key-a")}
		err := r.transport.Subscribe(t.Context(), caller, func() { t.Error("it is up") }, func(string) {})
		if err == nil || strings.Contains(err.Error(), "key-a") {
			t.Errorf("fault %d: %v", fault, err)
		}
	}
}

func checkConnections(t *testing.T, r nativeRig, route enginesim.Route) {
	for i := range 5 {
		name := fmt.Sprintf("shop-%d", i)
		r.start(t, name)
		r.through(t, r.QR(name))
	}
	if n := r.sim.CountSince(route, time.Time{}); n != 1 || r.manager.Stats().Pushes != 1 {
		t.Errorf("%d connections for one credential", n)
	}
	if res := r.do(t, r.front, r.QR("shop-1"), "wrong"); r.code(res) != "" {
		t.Error("a stranger got a code")
	}
	if n := r.sim.CountSince(route, time.Time{}); n != 1 {
		t.Errorf("%d connections, one of them for a key that the engine refuses", n)
	}
	time.Sleep(3 * time.Minute)
	if n := r.manager.Stats().Pushes; n != 0 || r.face.Sockets() != 0 {
		t.Errorf("%d connections, %d at the engine, and no session is tracked", n, r.face.Sockets())
	}
}

func checkRefusedSubscription(t *testing.T, r nativeRig, _ enginesim.Route) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	caller := session.Caller{Key: secret.NewSecret("a-wrong-key")}
	err := r.transport.Subscribe(ctx, caller, func() {}, func(string) { t.Error("a change is reported") })
	if err == nil || ctx.Err() != nil || strings.Contains(err.Error(), "a-wrong-key") {
		t.Errorf("%v", err)
	}
}
