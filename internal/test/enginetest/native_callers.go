package enginetest

import (
	"bytes"
	"net/http"
	"testing"
	"time"

	"qrgate/internal/test/enginesim"
)

// checkStranger sends a key that the engine refuses while a code is good.
func checkStranger(t *testing.T, r nativeRig) {
	r.start(t, "shop-1")
	if r.code(r.through(t, r.QR("shop-1"))) == "" {
		t.Fatal("no code")
	}
	res, direct := r.do(t, r.front, r.QR("shop-1"), "wrong"), r.do(t, r.direct, r.QR("shop-1"), "wrong")
	if res.status != direct.status || !bytes.Equal(res.body, direct.body) {
		t.Errorf("through %d %.100s, direct %d %.100s", res.status, res.body, direct.status, direct.body)
	}
}

// checkTwoKeys asks with two keys that the engine accepts for one session: one of them begins, both get the code.
func checkTwoKeys(t *testing.T, r nativeRig) {
	r.sim.Change(func(e *enginesim.Engine) {
		e.Keys = map[string]string{"key-a": "a", "key-b": "a"}
		e.QRDelay = time.Second
	})
	r.start(t, "shop-1")
	codes := make(chan string, 2)
	for _, key := range []string{"key-a", "key-b"} {
		go func() { codes <- r.code(r.do(t, r.front, r.QR("shop-1"), key)) }()
	}
	if first, second := <-codes, <-codes; first == "" || second == "" {
		t.Errorf("codes: %t, %t", first != "", second != "")
	}
	if n := r.sim.Snapshot()[0].Connects; n != 1 {
		t.Errorf("%d pairings were begun", n)
	}
}

// checkStrangerChangesNothing sends what begins a pairing with a key that the engine refuses: before the owner's own
// request, and while the owner's code is good.
func checkStrangerChangesNothing(t *testing.T, r nativeRig) {
	if res := r.through(t, r.Create("shop-1")); res.status/100 != 2 {
		t.Fatalf("create: %d %s", res.status, res.body)
	}
	attack := func() {
		for _, request := range []func(string) *http.Request{r.Begin, r.QR, r.Restart, r.CreateQR} {
			if request == nil {
				continue
			}
			if res := r.do(t, r.front, request("shop-1"), "wrong"); r.code(res) != "" {
				t.Error("a stranger got a code")
			}
		}
	}
	attack()
	if r.Begin != nil {
		r.through(t, r.Begin("shop-1"))
	}
	first := r.through(t, r.QR("shop-1"))
	if r.code(first) == "" || first.took > 4*time.Second {
		t.Fatalf("after a stranger: %d %.100s after %v", first.status, first.body, first.took)
	}
	attack()
	if res := r.through(t, r.QR("shop-1")); r.code(res) != r.code(first) {
		t.Errorf("after a stranger the code is another: %d %.100s", res.status, res.body)
	}
	if n := r.sim.Snapshot()[0].Connects; n != 1 {
		t.Errorf("%d pairings were begun", n)
	}
}
