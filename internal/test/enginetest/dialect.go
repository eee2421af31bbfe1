package enginetest

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"qrgate/compat"
	"qrgate/compat/dialect"
	"qrgate/compat/inboxhub"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/internal/test/enginesim"
)

// DialectRig is a dialect before a simulated engine that speaks it.
type DialectRig struct {
	EngineRig
	Sim       *enginesim.Engine
	Face      *enginesim.Face
	Transport *dialect.Transport
	Base      *url.URL
	Next      http.RoundTripper
	Dialect   *dialect.Dialect
}

// Dialect checks a dialect before its face of the simulated engine: first as any engine, then what only dialects can do
// wrong. It runs in bubbles of fake time.
func Dialect(t *testing.T, d *dialect.Dialect, face func(*enginesim.Engine) *enginesim.Face) {
	for name, check := range engineChecks {
		t.Run(name, func(t *testing.T) {
			inBubble(t, d, face, func(t *testing.T, r DialectRig) { check(t, r.EngineRig) })
		})
	}
	for name, check := range map[string]func(*testing.T, DialectRig){
		"a late code is not ready until it comes":    checkLateCode,
		"a code is not shown beyond its life":        checkDialectExpiry,
		"polls begin nothing":                        checkPollsBeginNothing,
		"a connect while a code is good is no begin": checkConnectKeepsCode,
		"a linked session has no code":               checkLinked,
		"an engine that closes connections":          checkUnreachable,
		"a page of a proxy is no response":           checkProxyPage,
		"other routes are not supported":             checkOtherRoutes,
		"an id is found by a new process":            checkColdID,
		"a name outside the documented alphabet":     checkFreeName,
		"the engine is recognized":                   checkDetect,
		"a state that is not known":                  checkUnknownState,
		"an engine of another kind":                  checkOtherKind,
		"a pairing code for a number":                checkPairingCode,
		"no sessions":                                checkEmptyList,
		"a deleted session is created again":         checkCreateAgain,
		"a code that the engine no longer shows":     checkVanishedCode,
	} {
		t.Run(name, func(t *testing.T) { inBubble(t, d, face, check) })
	}
}

// inBubble runs check with a simulated engine, reached over connections in memory.
func inBubble(
	t *testing.T, d *dialect.Dialect, face func(*enginesim.Engine) *enginesim.Face, check func(*testing.T, DialectRig),
) {
	synctest.Test(t, func(t *testing.T) {
		sim := &enginesim.Engine{Keys: map[string]string{"key-a": "a"}}
		f := face(sim)
		wire := enginesim.NewWire(f)
		served := make(chan error, 1)
		go func() { served <- wire.Run() }()
		defer func() {
			sim.Close()
			wire.Close()
			if err := <-served; err != nil {
				t.Error(err)
			}
		}()
		base, _ := url.Parse(wire.URL())
		r := DialectRig{Sim: sim, Face: f, Base: base, Next: wire.Client().Transport, Dialect: d}
		r.Transport = dialect.NewTransport(d, r.Base, r.Next)
		r.Engine = inboxhub.New(&url.URL{Scheme: "http", Host: "dialect.engine"}, r.Transport)
		r.Caller = session.Caller{Key: secret.NewSecret("key-a")}
		r.Create, r.CannotRestart = r.create, !d.Has(dialect.Restart)
		check(t, r)
	})
}

// create makes a session through the documented API.
func (r DialectRig) create(t *testing.T, name string) session.Ref {
	t.Helper()
	client := compat.Client{BaseURL: &url.URL{Scheme: "http", Host: "dialect.engine"}, Transport: r.Transport}
	ref, err := client.Create(t.Context(), r.Caller, dialect.EncodeName(name), "a shop")
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func checkEmptyList(t *testing.T, r DialectRig) {
	if list, err := r.Engine.List(t.Context(), r.Caller); err != nil || len(list.Sessions) != 0 {
		t.Errorf("%+v %v", list.Sessions, err)
	}
}

// checkCreateAgain creates a session, deletes it while its code waits, and creates it again, as probes and users do.
func checkCreateAgain(t *testing.T, r DialectRig) {
	client := compat.Client{BaseURL: &url.URL{Scheme: "http", Host: "dialect.engine"}, Transport: r.Transport}
	codes := map[string]bool{}
	for range 3 {
		ref := r.Create(t, "suite-1")
		codes[r.code(t, ref, session.Connect).Image.Reveal()] = true
		if _, err := client.DeleteOnce(t.Context(), r.Caller, ref); err != nil || len(r.Sim.Snapshot()) != 0 {
			t.Fatalf("delete: %v", err)
		}
		time.Sleep(time.Second)
	}
	if len(codes) != 3 {
		t.Errorf("three sessions have %d codes", len(codes))
	}
}

// checkVanishedCode ends the connection whose code is shown.
func checkVanishedCode(t *testing.T, r DialectRig) {
	ref := r.Create(t, "suite-1")
	r.code(t, ref, session.Connect)
	r.Sim.Change(func(e *enginesim.Engine) { e.QRDelay = time.Hour })
	r.Sim.Restart()
	time.Sleep(7 * time.Second) // the state before is forgotten
	if o, err := r.Engine.QR(t.Context(), r.Caller, ref); session.KindOf(err) != session.KindNotReady || !o.Image.Empty() {
		t.Errorf("a code of a connection that has ended: %v", err)
	}
}

func checkLateCode(t *testing.T, r DialectRig) {
	r.Sim.QRDelay = 8 * time.Second
	ref := r.Create(t, "suite-1")
	if _, err := r.Engine.Connect(t.Context(), r.Caller, ref, session.Connect); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	for ready := false; !ready; time.Sleep(500 * time.Millisecond) {
		o, err := r.Engine.QR(t.Context(), r.Caller, ref)
		if kind := session.KindOf(err); kind != session.KindNotReady && kind != "" {
			t.Fatalf("after %v: %v", time.Since(start), err)
		}
		ready = !o.Image.Empty()
		if time.Since(start) > 12*time.Second {
			t.Fatal("no code")
		}
	}
}

func checkDialectExpiry(t *testing.T, r DialectRig) {
	r.Sim.QRTTL = time.Hour // the engine goes on showing its code
	ref := r.Create(t, "suite-1")
	r.code(t, ref, session.Connect)
	time.Sleep(61 * time.Second)
	if o, err := r.Engine.QR(t.Context(), r.Caller, ref); session.KindOf(err) != session.KindNotReady || !o.Image.Empty() {
		t.Errorf("a code of 61 s is shown: %v", err)
	}
}

func checkPollsBeginNothing(t *testing.T, r DialectRig) {
	ref := r.Create(t, "suite-1")
	for range 5 {
		_, _ = r.Engine.QR(t.Context(), r.Caller, ref)
		_, _ = r.Engine.Status(t.Context(), r.Caller, ref)
		_, _ = r.Engine.List(t.Context(), r.Caller)
	}
	if n := r.Sim.Snapshot()[0].Connects; n != 0 {
		t.Errorf("polls began %d pairings", n)
	}
	first := r.code(t, ref, session.Connect)
	for range 5 {
		if o := r.await(t, ref); !o.Image.Equal(first.Image) {
			t.Error("a poll replaced the code")
		}
	}
	if n := r.Sim.Snapshot()[0].Connects; n != 1 {
		t.Errorf("one connect and ten polls began %d pairings", n)
	}
}

func checkConnectKeepsCode(t *testing.T, r DialectRig) {
	ref := r.Create(t, "suite-1")
	first := r.code(t, ref, session.Connect)
	done := make(chan error)
	for range 20 {
		go func() {
			_, err := r.Engine.Connect(t.Context(), r.Caller, ref, session.Connect)
			done <- err
		}()
	}
	for range 20 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if o := r.await(t, ref); !o.Image.Equal(first.Image) || r.Sim.Snapshot()[0].Connects != 1 {
		t.Errorf("%d pairings were begun", r.Sim.Snapshot()[0].Connects)
	}
}

func checkLinked(t *testing.T, r DialectRig) {
	ref := r.Create(t, "suite-1")
	r.code(t, ref, session.Connect)
	if err := r.Sim.Link("suite-1"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Engine.QR(t.Context(), r.Caller, ref); session.KindOf(err) != session.KindAlreadyPaired {
		t.Errorf("the QR of a linked session: %v", err)
	}
	if o, err := r.Engine.Status(t.Context(), r.Caller, ref); err != nil || o.State != session.Connected {
		t.Errorf("its state is %s: %v", o.State, err)
	}
}

func checkUnreachable(t *testing.T, r DialectRig) {
	ref := r.Create(t, "suite-1")
	r.Sim.Change(func(e *enginesim.Engine) { e.DiesAt, e.DownFor = time.Now(), time.Minute })
	if _, err := r.Engine.QR(t.Context(), r.Caller, ref); session.KindOf(err) != session.KindUnreachable {
		t.Errorf("%v", err)
	}
}

func checkProxyPage(t *testing.T, r DialectRig) {
	ref := r.Create(t, "suite-1")
	r.Sim.Change(func(e *enginesim.Engine) {
		e.Faults = map[enginesim.Route]enginesim.Fault{enginesim.AnyRoute: {Kind: enginesim.HTML502}}
	})
	if _, err := r.Engine.QR(t.Context(), r.Caller, ref); session.KindOf(err) != session.KindUnreachable {
		t.Errorf("%v", err)
	}
}

func checkOtherRoutes(t *testing.T, r DialectRig) {
	for _, path := range []string{"/api/messages/s1/send", "/api/sessions/stats", "/api/keys"} {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader("{}"))
		res, err := r.Transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusNotImplemented {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
}

func checkColdID(t *testing.T, r DialectRig) {
	ref := r.Create(t, "suite-1")
	r.code(t, ref, session.Connect)
	cold := inboxhub.New(&url.URL{Scheme: "http", Host: "dialect.engine"}, r.Transport.Cold())
	if o, err := cold.Status(t.Context(), r.Caller, session.Ref{ID: ref.ID}); err != nil || o.Ref != ref {
		t.Errorf("%+v is found as %+v: %v", ref, o.Ref, err)
	}
}

func checkFreeName(t *testing.T, r DialectRig) {
	const name = "Tienda Ñandú 34/7"
	ref := r.Create(t, name)
	r.code(t, ref, session.Connect)
	if got := r.Sim.Snapshot()[0].Name; got != name {
		t.Errorf("the engine's session is called %q", got)
	}
}

func checkDetect(t *testing.T, r DialectRig) {
	credential := dialect.Credential{Key: r.Caller.Key.Reveal()}
	if dialect.Detect(t.Context(), []*dialect.Dialect{r.Dialect}, r.Base, r.Next, credential) != r.Dialect {
		t.Errorf("%s is not recognized", r.Dialect.Kind)
	}
	documented := enginesim.NewWire(r.Sim)
	go func() { _ = documented.Run() }()
	defer documented.Close()
	next := documented.Client().Transport
	if dialect.Detect(t.Context(), []*dialect.Dialect{r.Dialect}, r.Base, next, credential) != nil {
		t.Errorf("the documented API is taken for %s", r.Dialect.Kind)
	}
}
