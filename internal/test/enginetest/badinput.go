package enginetest

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"qrgate/compat/dialect"
	"qrgate/compat/inboxhub"
	"qrgate/internal/session"
	"qrgate/internal/test/enginesim"
)

// Rewording is how another version of an engine words a response.
type Rewording func(r *http.Request, status int, body []byte) (int, []byte)

// rewriter is a transport that changes the engine's responses while it has a rewording.
type rewriter struct {
	next      http.RoundTripper
	rewording atomic.Pointer[Rewording]
}

// RoundTrip implements [http.RoundTripper].
func (w *rewriter) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := w.next.RoundTrip(r)
	change := w.rewording.Load()
	if err != nil || res.StatusCode == http.StatusSwitchingProtocols || change == nil {
		return res, err
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil {
		return nil, err
	}
	res.StatusCode, body = (*change)(r, res.StatusCode, body)
	res.Header.Set("Content-Length", strconv.Itoa(len(body)))
	res.ContentLength, res.Body = int64(len(body)), io.NopCloser(bytes.NewReader(body))
	return res, nil
}

// stateWords are the members in which the engines write a state.
var stateWords = regexp.MustCompile(
	`"(state|status|connectionStatus)":"[A-Za-z_]+"|"(connected|loggedIn)":(true|false)`)

// unknownStates puts a word that no version of an engine has into the place of each state.
var unknownStates Rewording = func(_ *http.Request, status int, body []byte) (int, []byte) {
	return status, stateWords.ReplaceAll(body, []byte(`"${1}${2}":"QUANTUM"`))
}

// checkNativeUnknownState lets the engine report such states to a gateway whose clients speak its own API: they get the
// present code, or the engine's own response.
func checkNativeUnknownState(t *testing.T, r nativeRig) {
	r.start(t, "shop-1")
	first := r.code(r.through(t, r.QR("shop-1")))
	r.rewriter.rewording.Store(&unknownStates)
	for range 3 {
		time.Sleep(5 * time.Second)
		res := r.through(t, r.QR("shop-1"))
		if r.code(res) != first {
			t.Errorf("after %v: %d %.200s", res.took, res.status, res.body)
		}
	}
	if n := r.sim.Snapshot()[0].Connects; n != 1 || r.face.Forks("shop-1") != 0 {
		t.Errorf("%d pairings were begun", n)
	}
}

// checkNativeOtherKind puts the native front before each other engine: its clients get that engine's own responses.
func checkNativeOtherKind(t *testing.T, r nativeRig) {
	var clients []*http.Request
	for _, request := range []func(string) *http.Request{r.Create, r.CreateQR, r.Begin, r.QR, r.Restart, r.Delete} {
		if request != nil {
			clients = append(clients, request("shop-1"))
		}
	}
	for kind, face := range enginesim.Faces() {
		if kind == r.kind {
			continue
		}
		other := &enginesim.Engine{Keys: map[string]string{"key-a": "a"}}
		r.engine.Store(face(other))
		for _, request := range clients {
			res, direct := r.through(t, request), r.do(t, r.direct, request, "key-a")
			if res.status != direct.status || !bytes.Equal(res.body, direct.body) || r.code(res) != "" {
				t.Errorf("%s %s at %s: through %d %.100s, direct %d %.100s", request.Method, request.URL, kind,
					res.status, res.body, direct.status, direct.body)
			}
		}
		if len(other.Snapshot()) != 0 {
			t.Errorf("at %s: a session", kind)
		}
		other.Close()
	}
}

// checkUnknownState lets the engine report states that no version of it had so far: they are unknown, never a guess.
func checkUnknownState(t *testing.T, r DialectRig) {
	ref := r.Create(t, "suite-1")
	first := r.code(t, ref, session.Connect)
	next := &rewriter{next: r.Next}
	next.rewording.Store(&unknownStates)
	newer := inboxhub.New(&url.URL{Scheme: "http", Host: "dialect.engine"}, dialect.NewTransport(r.Dialect, r.Base, next))
	o, err := newer.Status(t.Context(), r.Caller, ref)
	if err != nil || o.State != session.Unknown {
		t.Errorf("a new state is taken for %s: %v", o.State, err)
	}
	o, err = newer.QR(t.Context(), r.Caller, ref)
	kind := session.KindOf(err)
	isOther := !o.Image.Empty() && !o.Image.Equal(first.Image)
	if o.State == session.Connected || kind != "" && kind != session.KindNotReady || isOther {
		t.Errorf("its QR: %s, %v", o.State, err)
	}
	list, err := newer.List(t.Context(), r.Caller)
	if err != nil || len(list.Sessions) != 1 || list.Sessions[0].State != session.Unknown {
		t.Errorf("its list: %+v %v", list.Sessions, err)
	}
}

// checkOtherKind puts the dialect before each other engine: no call succeeds, nothing is deleted, nothing blames the
// session or the key.
func checkOtherKind(t *testing.T, r DialectRig) {
	for kind, face := range enginesim.Faces() {
		if kind == r.Dialect.Kind {
			continue
		}
		other := &enginesim.Engine{Keys: map[string]string{"key-a": "a"}}
		wire := enginesim.NewWire(face(other))
		go func() { _ = wire.Run() }()
		base, _ := url.Parse(wire.URL())
		transport := dialect.NewTransport(r.Dialect, base, wire.Client().Transport)
		engine := inboxhub.New(&url.URL{Scheme: "http", Host: "dialect.engine"}, transport)
		ref := session.Ref{Name: "suite-1"}
		_, connected := engine.Connect(t.Context(), r.Caller, ref, session.Connect)
		o, asked := engine.QR(t.Context(), r.Caller, ref)
		_, listed := engine.List(t.Context(), r.Caller)
		for call, err := range map[string]error{"connect": connected, "qr": asked, "list": listed} {
			if k := session.KindOf(err); k == "" || k == session.KindAlreadyPaired || k == session.KindKeyRefused {
				t.Errorf("%s of a %s at %s: %v", call, r.Dialect.Kind, kind, err)
			}
		}
		if !o.Image.Empty() || len(other.Snapshot()) != 0 {
			t.Errorf("at %s: a code, or a session", kind)
		}
		other.Close()
		wire.Close()
		time.Sleep(time.Second) // connections end
	}
}

// checkFreeNames uses names that the documented API could not write.
func checkFreeNames(t *testing.T, r nativeRig) {
	if !r.FreeNames {
		t.Skip("the engine's names have an alphabet")
	}
	for _, name := range []string{"Tienda Ñandú", "a/b", "50% off? #1", "x64-YQ", "12345", strings.Repeat("long-", 12)} {
		r.start(t, name)
		begun := time.Now()
		if res := r.through(t, r.QR(name)); r.code(res) == "" {
			t.Errorf("%q: %d %.200s", name, res.status, res.body)
		}
		own := Request(http.MethodGet, "/_qrgate/sessions/"+url.PathEscape(name)+"/qr/status", "")
		if res := r.through(t, own); !bytes.Contains(res.body, []byte(`"ready":true`)) {
			t.Errorf("%q: %d %s", name, res.status, res.body)
		}
		if s := r.sim.Snapshot()[0]; s.Name != name {
			t.Errorf("the engine's session is called %q, want %q", s.Name, name)
		}
		r.through(t, r.Delete(name))
		if n := len(r.sim.Snapshot()); n != 0 {
			t.Fatalf("%q is not deleted after %v", name, time.Since(begun))
		}
	}
}

// Upgrade puts the engine's other version in its place while a code waits for its scan, and back again: the code stays.
// change is how the other version words its responses. Clients of both APIs notice nothing.
func Upgrade(
	t *testing.T, d *dialect.Dialect, face func(*enginesim.Engine) *enginesim.Face, client NativeClient, change Rewording,
) {
	versions := []*Rewording{&change, nil, &change}
	t.Run("native", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			inNativeRig(t, d, face, client, func(t *testing.T, r nativeRig) {
				r.start(t, "shop-1")
				first := r.code(r.through(t, r.QR("shop-1")))
				for _, version := range versions {
					r.rewriter.rewording.Store(version)
					time.Sleep(5 * time.Second)
					if res := r.through(t, r.QR("shop-1")); first == "" || r.code(res) != first {
						t.Errorf("the other version %t: %d %.200s", version != nil, res.status, res.body)
					}
				}
				if n := r.sim.Snapshot()[0].Connects; n != 1 || r.face.Forks("shop-1") != 0 {
					t.Errorf("%d pairings were begun", n)
				}
			})
		})
	})
	inBubble(t, d, face, func(t *testing.T, r DialectRig) {
		next := &rewriter{next: r.Next}
		r.Transport = dialect.NewTransport(d, r.Base, next)
		r.Engine = inboxhub.New(&url.URL{Scheme: "http", Host: "dialect.engine"}, r.Transport)
		ref := r.create(t, "suite-1")
		first := r.code(t, ref, session.Connect)
		for _, version := range versions {
			next.rewording.Store(version)
			isOther := version != nil
			time.Sleep(5 * time.Second)
			if o, err := r.Engine.QR(t.Context(), r.Caller, ref); err != nil || !o.Image.Equal(first.Image) {
				t.Errorf("the other version %t: another code, or none: %v", isOther, err)
			}
			o, err := r.Engine.Status(t.Context(), r.Caller, ref)
			if err != nil || o.Ref != ref || o.State != session.AwaitingScan {
				t.Errorf("the other version %t: %+v is %s: %v", isOther, o.Ref, o.State, err)
			}
			list, err := r.Engine.List(t.Context(), r.Caller)
			if err != nil || len(list.Sessions) != 1 || list.Sessions[0].Ref != ref {
				t.Errorf("the other version %t: %+v %v", isOther, list.Sessions, err)
			}
			unknown := session.Ref{Name: "none"}
			if _, err := r.Engine.QR(t.Context(), r.Caller, unknown); session.KindOf(err) != session.KindSessionNotFound {
				t.Errorf("the other version %t: an unknown session: %v", isOther, err)
			}
		}
	})
}
