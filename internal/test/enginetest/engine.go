// Package enginetest is the conformance suite of session.Engine.
package enginetest

import (
	"context"
	"testing"
	"time"

	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// EngineRig is an engine under test and what the interface does not offer.
type EngineRig struct {
	Engine session.Engine
	Caller session.Caller
	// Create makes a session by the engine's own API.
	Create func(t *testing.T, name string) session.Ref
}

// enginePatience bounds how long an engine may take to show its first code, or to change its state.
const enginePatience = 10 * time.Second

// Engine tests an engine, simulated or real: it reports the right kinds of errors, a code exists only after a connect, and
// no other caller can read a session.
func Engine(t *testing.T, open func(*testing.T) EngineRig) {
	for name, check := range map[string]func(*testing.T, EngineRig){
		"no code before a connect":          noCodeBefore,
		"a code after a connect":            codeAfter,
		"a connect may be repeated":         connectTwice,
		"a restart brings a new code":       restarts,
		"the list shows what is there":      listed,
		"an unknown session is unknown":     unknown,
		"a wrong key is refused":            wrongKey,
		"a call that is given up says so":   givenUp,
		"both ids name the same session":    bothIDs,
		"an observation names its session":  named,
		"the state of a waiting session":    waitingState,
		"an image is a data URL of a PNG":   imageForm,
		"an expiry is in the near future":   expiry,
		"force is a connect like any other": forced,
	} {
		t.Run(name, func(t *testing.T) { check(t, open(t)) })
	}
}

func noCodeBefore(t *testing.T, r EngineRig) {
	ref := r.Create(t, "suite-1")
	if _, err := r.Engine.QR(t.Context(), r.Caller, ref); session.KindOf(err) != session.KindNotReady {
		t.Errorf("QR before a connect: %v", err)
	}
}

// code connects and waits for the first code.
func (r EngineRig) code(t *testing.T, ref session.Ref, how session.ConnectMode) session.SessionReport {
	t.Helper()
	if _, err := r.Engine.Connect(t.Context(), r.Caller, ref, how); err != nil {
		t.Fatalf("%s: %v", how, err)
	}
	return r.await(t, ref)
}

func (r EngineRig) await(t *testing.T, ref session.Ref) session.SessionReport {
	t.Helper()
	for end := time.Now().Add(enginePatience); ; <-time.After(50 * time.Millisecond) {
		o, err := r.Engine.QR(t.Context(), r.Caller, ref)
		if err == nil && !o.Image.Empty() {
			return o
		}
		if kind := session.KindOf(err); kind != session.KindNotReady || time.Now().After(end) {
			t.Fatalf("no code: %v", err)
		}
	}
}

func codeAfter(t *testing.T, r EngineRig) { r.code(t, r.Create(t, "suite-1"), session.Connect) }

func connectTwice(t *testing.T, r EngineRig) {
	ref := r.Create(t, "suite-1")
	r.code(t, ref, session.Connect)
	r.code(t, ref, session.Connect)
}

func restarts(t *testing.T, r EngineRig) {
	ref := r.Create(t, "suite-1")
	first := r.code(t, ref, session.Connect)
	for end := time.Now().Add(enginePatience); r.code(t, ref, session.Restart).Image.Equal(first.Image); {
		if time.Now().After(end) {
			t.Fatal("the code after a restart is the old one")
		}
	}
}

func listed(t *testing.T, r EngineRig) {
	ref := r.Create(t, "suite-1")
	r.code(t, ref, session.Connect)
	roll, err := r.Engine.List(t.Context(), r.Caller)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range roll.Sessions {
		if o.Ref == ref {
			if o.State != session.AwaitingScan {
				t.Errorf("the list says %s", o.State)
			}
			return
		}
	}
	t.Errorf("%+v is not in the list", ref)
}

func unknown(t *testing.T, r EngineRig) {
	r.Create(t, "suite-1")
	ref := session.Ref{ID: 987654}
	_, qr := r.Engine.QR(t.Context(), r.Caller, ref)
	_, status := r.Engine.Status(t.Context(), r.Caller, ref)
	_, connect := r.Engine.Connect(t.Context(), r.Caller, ref, session.Connect)
	for op, err := range map[string]error{"qr": qr, "status": status, "connect": connect} {
		if session.KindOf(err) != session.KindSessionNotFound {
			t.Errorf("%s of a session that is not there: %v", op, err)
		}
	}
}

func wrongKey(t *testing.T, r EngineRig) {
	ref := r.Create(t, "suite-1")
	r.code(t, ref, session.Connect)
	thief := session.Caller{Key: secret.NewSecret("not-a-key-of-anybody")}
	o, qr := r.Engine.QR(t.Context(), thief, ref)
	_, list := r.Engine.List(t.Context(), thief)
	for op, err := range map[string]error{"qr": qr, "list": list} {
		if session.KindOf(err) != session.KindKeyRefused {
			t.Errorf("%s with a wrong key: %v", op, err)
		}
	}
	if !o.Image.Empty() {
		t.Error("a wrong key was shown a code")
	}
}

func givenUp(t *testing.T, r EngineRig) {
	ref := r.Create(t, "suite-1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Engine.QR(ctx, r.Caller, ref); session.KindOf(err) != session.KindCanceled {
		t.Errorf("a call that was given up: %v", err)
	}
}

func bothIDs(t *testing.T, r EngineRig) {
	ref := r.Create(t, "suite-1")
	r.code(t, ref, session.Connect)
	byID := r.await(t, session.Ref{ID: ref.ID})
	byName := r.await(t, session.Ref{Name: ref.Name})
	if !byID.Image.Equal(byName.Image) {
		t.Error("the two ids show two codes")
	}
}

func named(t *testing.T, r EngineRig) {
	ref := r.Create(t, "suite-1")
	o, err := r.Engine.Status(t.Context(), r.Caller, session.Ref{ID: ref.ID})
	if err != nil || o.Ref != ref {
		t.Errorf("the state is of %+v, want %+v: %v", o.Ref, ref, err)
	}
}

func waitingState(t *testing.T, r EngineRig) {
	ref := r.Create(t, "suite-1")
	r.code(t, ref, session.Connect)
	o, err := r.Engine.Status(t.Context(), r.Caller, ref)
	if err != nil || o.State != session.AwaitingScan {
		t.Errorf("the state is %s: %v", o.State, err)
	}
}

func imageForm(t *testing.T, r EngineRig) {
	image := r.code(t, r.Create(t, "suite-1"), session.Connect).Image.Reveal()
	const form = "data:image/png;base64,iVBOR"
	if len(image) < len(form) || image[:len(form)] != form {
		t.Error("the image is no data URL of a PNG")
	}
}

func expiry(t *testing.T, r EngineRig) {
	e := r.code(t, r.Create(t, "suite-1"), session.Connect).Expiry
	if e.Known && (e.In <= 0 || e.In > 10*time.Minute) {
		t.Errorf("the code ends in %v", e.In)
	}
}

func forced(t *testing.T, r EngineRig) { r.code(t, r.Create(t, "suite-1"), session.Force) }
