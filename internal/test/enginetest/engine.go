// Package enginetest is the conformance suite of engines. The tests of each implementation of session.Engine call it.
package enginetest

import (
	"context"
	"testing"
	"time"

	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// EngineRig is an engine under test, a valid caller, and a way to create sessions.
type EngineRig struct {
	Engine session.Engine
	Caller session.Caller
	// Create creates a session with the engine's own API.
	Create func(t *testing.T, name string) session.Ref
	// CannotRestart: the engine has no restart of what runs.
	CannotRestart bool
}

// codeTimeout is for an engine to return its first code, or a new one.
const codeTimeout = 10 * time.Second

// engineChecks are what every engine must do.
var engineChecks = map[string]func(*testing.T, EngineRig){
	"no code before a connect":           checkNoCodeBeforeConnect,
	"a code after a connect":             checkCodeAfterConnect,
	"a second connect":                   checkSecondConnect,
	"a restart returns a new code":       checkRestart,
	"the list contains the session":      checkList,
	"an unknown session":                 checkUnknownSession,
	"a wrong key is refused":             checkWrongKey,
	"a canceled call":                    checkCanceledCall,
	"both ids name the same session":     checkBothIDs,
	"a report has both ids":              checkReportRef,
	"the state of a session with a code": checkStateWithCode,
	"an image is a data URL of a PNG":    checkImageForm,
	"an expiry is in the near future":    checkExpiry,
	"a forced connect":                   checkForcedConnect,
}

// Engine checks an engine, simulated or real: kinds of errors, a code after a connect, and that other callers get
// nothing.
func Engine(t *testing.T, open func(*testing.T) EngineRig) {
	for name, check := range engineChecks {
		t.Run(name, func(t *testing.T) { check(t, open(t)) })
	}
}

func checkNoCodeBeforeConnect(t *testing.T, r EngineRig) {
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
	for deadline := time.Now().Add(codeTimeout); ; <-time.After(50 * time.Millisecond) {
		o, err := r.Engine.QR(t.Context(), r.Caller, ref)
		if err == nil && !o.Image.Empty() {
			return o
		}
		if kind := session.KindOf(err); kind != session.KindNotReady || time.Now().After(deadline) {
			t.Fatalf("no code: %v", err)
		}
	}
}

func checkCodeAfterConnect(t *testing.T, r EngineRig) {
	r.code(t, r.Create(t, "suite-1"), session.Connect)
}

func checkSecondConnect(t *testing.T, r EngineRig) {
	ref := r.Create(t, "suite-1")
	r.code(t, ref, session.Connect)
	r.code(t, ref, session.Connect)
}

func checkRestart(t *testing.T, r EngineRig) {
	if r.CannotRestart {
		t.Skip("the engine has no restart")
	}
	ref := r.Create(t, "suite-1")
	first := r.code(t, ref, session.Connect)
	for deadline := time.Now().Add(codeTimeout); r.code(t, ref, session.Restart).Image.Equal(first.Image); {
		if time.Now().After(deadline) {
			t.Fatal("the code after a restart is the old one")
		}
	}
}

func checkList(t *testing.T, r EngineRig) {
	ref := r.Create(t, "suite-1")
	r.code(t, ref, session.Connect)
	list, err := r.Engine.List(t.Context(), r.Caller)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range list.Sessions {
		if o.Ref == ref {
			if o.State != session.AwaitingScan {
				t.Errorf("the state in the list is %s", o.State)
			}
			return
		}
	}
	t.Errorf("%+v is not in the list", ref)
}

func checkUnknownSession(t *testing.T, r EngineRig) {
	r.Create(t, "suite-1")
	for _, ref := range []session.Ref{{ID: 987654}, {Name: "none"}} {
		_, qr := r.Engine.QR(t.Context(), r.Caller, ref)
		_, status := r.Engine.Status(t.Context(), r.Caller, ref)
		_, connect := r.Engine.Connect(t.Context(), r.Caller, ref, session.Connect)
		for op, err := range map[string]error{"qr": qr, "status": status, "connect": connect} {
			if session.KindOf(err) != session.KindSessionNotFound {
				t.Errorf("%s of the unknown session %+v: %v", op, ref, err)
			}
		}
	}
}

func checkWrongKey(t *testing.T, r EngineRig) {
	ref := r.Create(t, "suite-1")
	r.code(t, ref, session.Connect)
	stranger := session.Caller{Key: secret.NewSecret("not-a-valid-key-0000")}
	o, qr := r.Engine.QR(t.Context(), stranger, ref)
	_, list := r.Engine.List(t.Context(), stranger)
	for op, err := range map[string]error{"qr": qr, "list": list} {
		if session.KindOf(err) != session.KindKeyRefused {
			t.Errorf("%s with a wrong key: %v", op, err)
		}
	}
	if !o.Image.Empty() {
		t.Error("a caller with a wrong key got a code")
	}
}

func checkCanceledCall(t *testing.T, r EngineRig) {
	ref := r.Create(t, "suite-1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Engine.QR(ctx, r.Caller, ref); session.KindOf(err) != session.KindCanceled {
		t.Errorf("a canceled call: %v", err)
	}
}

func checkBothIDs(t *testing.T, r EngineRig) {
	ref := r.Create(t, "suite-1")
	r.code(t, ref, session.Connect)
	byID := r.await(t, session.Ref{ID: ref.ID})
	byName := r.await(t, session.Ref{Name: ref.Name})
	if !byID.Image.Equal(byName.Image) {
		t.Error("the two ids have two codes")
	}
}

func checkReportRef(t *testing.T, r EngineRig) {
	ref := r.Create(t, "suite-1")
	o, err := r.Engine.Status(t.Context(), r.Caller, session.Ref{ID: ref.ID})
	if err != nil || o.Ref != ref {
		t.Errorf("the report is of %+v, want %+v: %v", o.Ref, ref, err)
	}
}

func checkStateWithCode(t *testing.T, r EngineRig) {
	ref := r.Create(t, "suite-1")
	r.code(t, ref, session.Connect)
	o, err := r.Engine.Status(t.Context(), r.Caller, ref)
	if err != nil || o.State != session.AwaitingScan {
		t.Errorf("the state is %s: %v", o.State, err)
	}
}

func checkImageForm(t *testing.T, r EngineRig) {
	image := r.code(t, r.Create(t, "suite-1"), session.Connect).Image.Reveal()
	const form = "data:image/png;base64,iVBOR"
	if len(image) < len(form) || image[:len(form)] != form {
		t.Error("the image is not a data URL of a PNG")
	}
}

func checkExpiry(t *testing.T, r EngineRig) {
	e := r.code(t, r.Create(t, "suite-1"), session.Connect).Expiry
	if e.Known && (e.In <= 0 || e.In > 10*time.Minute) {
		t.Errorf("the code expires in %v", e.In)
	}
}

func checkForcedConnect(t *testing.T, r EngineRig) { r.code(t, r.Create(t, "suite-1"), session.Force) }
