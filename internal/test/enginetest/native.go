package enginetest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"qrgate/compat"
	"qrgate/compat/dialect"
	"qrgate/compat/inboxhub"
	"qrgate/internal/acquire"
	"qrgate/internal/seal"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/internal/store/memory"
	"qrgate/internal/test/enginesim"
	"qrgate/proxy"
)

// NativeClient is how an existing client of an engine's own API asks for a QR.
type NativeClient struct {
	// Create makes a session without asking for its code.
	Create func(name string) *http.Request
	// Begin begins a pairing, and shows no code; nil where QR does.
	Begin func(name string) *http.Request
	// QR asks for the code.
	QR func(name string) *http.Request
	// CreateQR makes a session and asks for its code; nil where no client does.
	CreateQR func(name string) *http.Request
	// Delete deletes a session.
	Delete func(name string) *http.Request
	// Code finds the code in a response, as text or picture; "" if it has none.
	Code func(header http.Header, body []byte) string
	// Others are requests of routes that have no meaning for qrgate.
	Others []*http.Request
	// Authorize sets a key.
	Authorize func(r *http.Request, key string)
	// Restart begins a pairing anew; nil where the engine cannot.
	Restart func(name string) *http.Request
	// FreeNames: a session's name may have any characters.
	FreeNames bool
	// Polls: the engine is polled, even if it reports changes by itself.
	Polls bool
	// CreateBegins: a create begins the pairing, too.
	CreateBegins bool
	// BasePath precedes the paths of the engine, and of the links that it returns.
	BasePath string
}

func (c NativeClient) subscription(d *dialect.Dialect, t *dialect.Transport) acquire.Subscribe {
	if d.Push == nil || c.Polls {
		return nil
	}
	return t.Subscribe
}

// Request is a client's request with a JSON body, before a client adds its key.
func Request(method, path, body string) *http.Request {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	return r
}

// nativeRig is a native front before a simulated engine.
type nativeRig struct {
	NativeClient
	sim           *enginesim.Engine
	face          *enginesim.Face
	front, direct *enginesim.Wire
	manager       *acquire.Manager
	transport     *dialect.Transport
	traits        dialect.Traits
	kind          string
	rewriter      *rewriter                       // changes the responses that the gateway gets
	engine        *atomic.Pointer[enginesim.Face] // that serves now
	successes     *atomic.Int64                   // acquisitions that ended with a code
	isFull        *atomic.Bool                    // requests that begin a pairing fail because the disk is full
}

// Native checks the native front of a dialect: its own clients get the engine's own responses, and a QR at their first
// request.
func Native(t *testing.T, d *dialect.Dialect, face func(*enginesim.Engine) *enginesim.Face, client NativeClient) {
	for name, check := range map[string]func(*testing.T, nativeRig){
		"other routes are byte-identical":              checkOtherRoutesIdentical,
		"an upload, a stream and a websocket":          checkStreams,
		"one request gets a late code":                 checkOneRequest,
		"a create that asks for its code gets it":      checkCreateQR,
		"fifty clients cost few calls":                 checkFiftyClients,
		"without a code the engine's own words go out": checkOwnWords,
		"a code is the engine's present one":           checkRotation,
		"a code that never changes":                    checkUnchangedCode,
		"a stranger gets the engine's refusal":         checkStranger,
		"a linked session":                             checkNativeLinked,
		"names of any characters":                      checkFreeNames,
		"an acquisition is counted once":               checkAcquisitionCounted,
		"a deleted session":                            checkNativeDelete,
		"the routes that qrgate adds":                  checkOwnRoutes,
		"two keys of one session share no begin":       checkTwoKeys,
		"a stranger ends no code and delays no begin":  checkStrangerChangesNothing,
		"clients without a code begin one pairing":     checkSilentEngine,
		"the error of a begin is the cause":            checkErrorOfBegin,
		"states that are not known":                    checkNativeUnknownState,
		"an engine of another kind":                    checkNativeOtherKind,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { inNativeRig(t, d, face, client, check) })
		})
	}
}

func inNativeRig(
	t *testing.T, d *dialect.Dialect, face func(*enginesim.Engine) *enginesim.Face, client NativeClient,
	check func(*testing.T, nativeRig),
) {
	sim := &enginesim.Engine{Keys: map[string]string{"key-a": "a"}, Rotation: enginesim.WhatsAppRotation()}
	r := nativeRig{NativeClient: client, sim: sim, face: face(sim), isFull: new(atomic.Bool)}
	r.engine = new(atomic.Pointer[enginesim.Face])
	r.engine.Store(r.face)
	api := http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) { r.engine.Load().ServeHTTP(w, request) })
	r.direct = enginesim.NewWire(http.StripPrefix(client.BasePath, r.withFullDisk(d.Native, withOtherRoutes(api))))
	r.rewriter = &rewriter{next: r.direct.Client().Transport}
	base, _ := url.Parse(r.direct.URL() + client.BasePath)
	transport := dialect.NewTransport(d, base, r.rewriter)
	sealer, err := seal.New(secret.NewSecret("a secret of thirty-two characters"))
	if err != nil {
		t.Fatal(err)
	}
	local := memory.New(memory.Config{})
	r.successes = new(atomic.Int64)
	manager, err := acquire.New(acquire.Config{
		Engine: inboxhub.New(&url.URL{Scheme: "http", Host: "dialect.engine"}, transport).WithCodeTTL(d.Traits.CodeTTL()),
		Sealer: sealer, Store: local, Subscribe: client.subscription(d, transport), SparsePolls: true,
		OnEvent: func(e session.Event) {
			if e.Kind == session.EventAcquisition && e.Outcome == session.Success {
				r.successes.Add(1)
			}
		},
		WaitTimes: acquire.WaitTimes{Initial: 9 * time.Second, Default: 4500 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.manager, r.transport, r.traits, r.kind = manager, transport, d.Traits, d.Kind
	r.front = enginesim.NewWire(proxy.New(proxy.Config{
		Engine: base, Transport: r.rewriter, Acquirer: manager, Sealer: sealer,
		Native: proxy.NewNativeFront(d, transport, 9*time.Second),
	}))
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, run := range []func() error{
		r.direct.Run, r.front.Run,
		func() error { return manager.Run(ctx) },
		func() error { return local.Run(ctx) },
	} {
		running.Go(func() { _ = run() })
	}
	defer func() {
		r.front.Close()
		stop()
		sim.Close()
		r.direct.Close()
		running.Wait()
	}()
	check(t, r)
}

// nativeResponse is what a client receives.
type nativeResponse struct {
	status int
	header http.Header
	body   []byte
	took   time.Duration
}

func (r nativeRig) do(t *testing.T, wire *enginesim.Wire, request *http.Request, key string) nativeResponse {
	t.Helper()
	start := time.Now()
	var body []byte
	if request.Body != nil {
		body, _ = io.ReadAll(request.Body)
		request.Body = io.NopCloser(bytes.NewReader(body))
	}
	out := request.Clone(t.Context())
	out.Body, out.RequestURI = io.NopCloser(bytes.NewReader(body)), ""
	out.URL, _ = url.Parse(r.urlOf(wire) + request.URL.RequestURI())
	out.Host = ""
	r.Authorize(out, key)
	res, err := wire.Client().Do(out)
	if err != nil {
		t.Errorf("%s %s: %v", request.Method, request.URL.Path, err)
		return nativeResponse{}
	}
	defer func() { _ = res.Body.Close() }()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		t.Error(err)
	}
	return nativeResponse{res.StatusCode, res.Header, got, time.Since(start)}
}

// urlOf is where the paths of an API begin.
func (r nativeRig) urlOf(wire *enginesim.Wire) string {
	if wire == r.direct {
		return wire.URL() + r.BasePath
	}
	return wire.URL()
}

// through sends a request through the gateway with the valid key.
func (r nativeRig) through(t *testing.T, request *http.Request) nativeResponse {
	t.Helper()
	return r.do(t, r.front, request, "key-a")
}

// start makes a session and begins its pairing.
func (r nativeRig) start(t *testing.T, name string) {
	t.Helper()
	if res := r.through(t, r.Create(name)); res.status/100 != 2 {
		t.Fatalf("create: %d %s", res.status, res.body)
	}
	if r.Begin != nil {
		r.through(t, r.Begin(name))
	}
}

func (r nativeRig) code(res nativeResponse) string {
	if res.status/100 != 2 {
		return ""
	}
	return r.Code(res.header, res.body)
}

// read returns the text of a code in any of the forms in which engines show it.
func (r nativeRig) read(t *testing.T, code string) string {
	t.Helper()
	link, err := url.Parse(code)
	if err == nil && strings.HasPrefix(code, "http://") && strings.HasSuffix(link.Path, ".png") {
		code = string(r.through(t, Request(http.MethodGet, link.Path, "")).body)
	}
	if strings.HasPrefix(code, "\x89PNG") {
		code = base64.StdEncoding.EncodeToString([]byte(code))
	}
	image, err := compat.NormalizeQRImage(code)
	if err != nil {
		t.Errorf("%.40q is no QR: %v", code, err)
		return ""
	}
	text, err := compat.ReadQR(image)
	if err != nil {
		t.Error(err)
	}
	return text.Reveal()
}

// lateness is how late an engine's code comes.
var lateness = []time.Duration{0, 2 * time.Second, 5 * time.Second, 8 * time.Second}

// checkOneRequest lets a client ask once and accept only a code. It logs a cell of the table in docs/DIALECTS.md.
func checkOneRequest(t *testing.T, r nativeRig) {
	for _, late := range lateness {
		r.sim.Change(func(e *enginesim.Engine) { e.QRDelay = late })
		name := fmt.Sprintf("shop-%d", late/time.Second)
		time.Sleep(time.Minute) // the sessions before this one are tracked no longer
		begun := time.Now()
		r.start(t, name)
		res := r.through(t, r.QR(name))
		shown := slices.ContainsFunc(r.sim.Snapshot(), func(s enginesim.Session) bool {
			return s.Name == name && s.Code == r.read(t, r.code(res))
		})
		if r.code(res) == "" || !shown || res.took > late+3*time.Second {
			t.Errorf("a code that is %v late: %d %.200s after %v", late, res.status, res.body, res.took)
		}
		calls := r.sim.CountSince(enginesim.AnyRoute, begun)
		t.Logf("a code that is %v late: %.1f s, %d calls", late, res.took.Seconds(), calls)
		r.through(t, r.Delete(name)) // a request may mean the only session
	}
}

func checkCreateQR(t *testing.T, r nativeRig) {
	if r.CreateQR == nil {
		t.Skip("no client of this engine does")
	}
	r.sim.Change(func(e *enginesim.Engine) { e.QRDelay = 8 * time.Second })
	res := r.through(t, r.CreateQR("shop-1"))
	if r.code(res) == "" {
		t.Errorf("%d %s", res.status, res.body)
	}
	direct := r.do(t, r.direct, r.CreateQR("shop-2"), "key-a")
	if got, want := memberNames(t, res.body), memberNames(t, direct.body); got != want {
		t.Errorf("members %s, want %s", got, want)
	}
}

// memberNames lists the names in a JSON object in their order, without those of a code.
func memberNames(t *testing.T, body []byte) string {
	t.Helper()
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
	ofCode := []string{"pairingCode", "code", "base64"}
	var names []string
	d := json.NewDecoder(bytes.NewReader(body))
	for {
		token, err := d.Token()
		if err != nil {
			break
		}
		if text, ok := token.(string); ok && strings.Trim(text, letters) == "" && !slices.Contains(ofCode, text) {
			names = append(names, text)
		}
	}
	return strings.Join(names, " ")
}

// checkFiftyClients lets fifty clients ask at once, and logs a cell of the table in docs/DIALECTS.md: calls after the
// connect. They are as many as those of one client, and at most eight.
func checkFiftyClients(t *testing.T, r nativeRig) {
	for _, late := range append(lateness, 3*time.Second) {
		r.sim.Change(func(e *enginesim.Engine) { e.QRDelay = late })
		name := fmt.Sprintf("shop-%d", late/time.Second)
		time.Sleep(time.Minute)
		r.start(t, name)
		time.Sleep(time.Millisecond)
		begun := time.Now()
		codes := make(chan string, 50)
		for range cap(codes) {
			go func() { codes <- r.code(r.through(t, r.QR(name))) }()
		}
		for range cap(codes) {
			if <-codes == "" {
				t.Error("a client got no code")
			}
		}
		n := r.sim.CountSince(enginesim.AnyRoute, begun)
		t.Logf("fifty clients, a code that is %v late: %d calls", late, n)
		if n > 8 {
			t.Errorf("a code that is %v late: fifty clients cost %d calls", late, n)
		}
		s := r.sim.Snapshot()[0]
		if forks := r.face.Forks(name); forks > 0 || s.Connects != 1 {
			t.Errorf("a code that is %v late: %d pairings, %d sockets beside the session's", late, s.Connects, forks)
		}
		r.through(t, r.Delete(name))
	}
}

func checkOwnWords(t *testing.T, r nativeRig) {
	r.sim.Change(func(e *enginesim.Engine) { e.QRDelay = time.Hour })
	r.start(t, "shop-1")
	res := r.through(t, r.QR("shop-1"))
	direct := r.do(t, r.direct, r.QR("shop-1"), "key-a")
	if res.status != direct.status || !bytes.Equal(res.body, direct.body) {
		t.Errorf("through %d %s, direct %d %s", res.status, res.body, direct.status, direct.body)
	}
	if res.took < 8*time.Second {
		t.Errorf("the client waited %v", res.took)
	}
}

// withFullDisk is the engine whose begins fail while isFull.
func (r nativeRig) withFullDisk(n *dialect.Native, engine http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		route, _ := n.Match(request.Method, request.URL.EscapedPath())
		if route == nil || route.Means != dialect.MeansBegin && route.Means != dialect.MeansBeginQR || !r.isFull.Load() {
			engine.ServeHTTP(w, request)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, `{"message":"ENOSPC: no space left on device, open '/app/sessions/shop-1'"}`)
	})
}

// checkErrorOfBegin: the engine fails to begin a pairing and says why, only there.
func checkErrorOfBegin(t *testing.T, r nativeRig) {
	r.isFull.Store(true)
	r.start(t, "shop-1")
	if hasCode := r.code(r.through(t, r.QR("shop-1"))) != ""; hasCode || r.CreateBegins {
		if hasCode != r.CreateBegins {
			t.Errorf("a code without a begin: %t", hasCode)
		}
		return
	}
	if res := r.through(t, r.QR("shop-1")); res.header.Get("QRGate-Cause") != "disk_full" {
		t.Errorf("%d %.100s %v", res.status, res.body, res.header)
	}
}

// checkRotation samples the QR through the life of six codes: each one is the engine's present code.
func checkRotation(t *testing.T, r nativeRig) {
	r.start(t, "shop-1")
	seen, begun := map[string]string{}, time.Now() // :: a code -> its text
	for range 40 {
		res := r.through(t, r.QR("shop-1"))
		code, real := r.code(res), r.sim.Snapshot()[0]
		if code != "" {
			if seen[code] == "" {
				seen[code] = r.read(t, code)
			}
			if real.Code == "" || seen[code] != real.Code {
				t.Errorf("after %v a code is shown that is not the engine's present one (%s)", time.Since(begun), real.Phase)
			}
		}
		time.Sleep(3 * time.Second)
	}
	if n := r.sim.Snapshot()[0].Connects; r.traits.QRBegins && n > 3 {
		t.Errorf("%d pairings in two minutes", n) // each of which ended the code before it
	}
	if len(seen) < 3 {
		t.Errorf("%d codes in two minutes", len(seen))
	}
}

// checkUnchangedCode: the engine shows one code for ten minutes, longer than any code lives.
func checkUnchangedCode(t *testing.T, r nativeRig) {
	r.sim.Change(func(e *enginesim.Engine) { e.Rotation = []time.Duration{10 * time.Minute} })
	r.start(t, "shop-1")
	first := map[string]time.Time{}
	for begun := time.Now(); time.Since(begun) < 2*time.Minute; time.Sleep(3 * time.Second) {
		code := r.code(r.through(t, r.QR("shop-1")))
		if code == "" {
			continue
		}
		if first[code].IsZero() {
			first[code] = time.Now()
		}
		if age := time.Since(first[code]); age > time.Minute {
			t.Fatalf("a code is shown %v after it was shown first", age)
		}
	}
	if len(first) == 0 {
		t.Error("no code was shown")
	}
}

func checkNativeLinked(t *testing.T, r nativeRig) {
	r.start(t, "shop-1")
	r.through(t, r.QR("shop-1"))
	if err := r.sim.Link("shop-1"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Second)
	res, direct := r.through(t, r.QR("shop-1")), r.do(t, r.direct, r.QR("shop-1"), "key-a")
	if res.status != direct.status || !bytes.Equal(res.body, direct.body) {
		t.Errorf("through %d %.100s, direct %d %.100s", res.status, res.body, direct.status, direct.body)
	}
}

func checkNativeDelete(t *testing.T, r nativeRig) {
	r.start(t, "shop-1")
	r.through(t, r.QR("shop-1"))
	time.Sleep(time.Millisecond)
	if res := r.through(t, r.Delete("shop-1")); res.status/100 != 2 {
		t.Fatalf("delete: %d %s", res.status, res.body)
	}
	if code := r.code(r.through(t, r.QR("shop-1"))); code != "" && len(r.sim.Snapshot()) == 0 {
		t.Error("a deleted session shows a code")
	}
}

func checkOwnRoutes(t *testing.T, r nativeRig) {
	r.start(t, "shop-1")
	r.through(t, r.QR("shop-1"))
	own := func(route, key string) nativeResponse {
		return r.do(t, r.front, Request(http.MethodGet, "/_qrgate/sessions/shop-1"+route, ""), key)
	}
	status := own("/qr/status", "key-a")
	if status.status != http.StatusOK || !bytes.Contains(status.body, []byte(`"ready":true`)) {
		t.Errorf("status: %d %s", status.status, status.body)
	}
	var qr struct {
		Success bool
		Data    struct{ QRCode, SessionID, Status string }
	}
	res := own("/qr", "key-a")
	if err := json.Unmarshal(res.body, &qr); err != nil || res.status != http.StatusOK || qr.Data.SessionID == "" {
		t.Fatalf("qr: %d %s", res.status, res.body)
	}
	shown, err := compat.ReadQR(secret.NewSecret(qr.Data.QRCode))
	if err != nil || shown.Reveal() != r.sim.Snapshot()[0].Code {
		t.Errorf("qr: not the engine's code: %v", err)
	}
	picture := own("/qr.png", "key-a")
	dataURL := "data:image/png;base64," + base64.StdEncoding.EncodeToString(picture.body)
	drawn, err := compat.ReadQR(secret.NewSecret(dataURL))
	if err != nil || !drawn.Equal(shown) || picture.header.Get("Content-Type") != "image/png" {
		t.Errorf("picture: %d %v %v", picture.status, picture.header, err)
	}
	for _, route := range []string{"/qr", "/qr.png", "/qr/status"} {
		if res := own(route, "wrong"); res.status == http.StatusOK {
			t.Errorf("%s: a stranger gets %d %.100s", route, res.status, res.body)
		}
	}
	if res := own("/connect", "key-a"); res.status != http.StatusNotFound {
		t.Errorf("a route that qrgate does not add: %d", res.status)
	}
}

// checkAcquisitionCounted: also where the engine's response to the client's own request shows the code.
func checkAcquisitionCounted(t *testing.T, r nativeRig) {
	r.start(t, "shop-1")
	for range 3 {
		r.through(t, r.QR("shop-1"))
	}
	if n := r.successes.Load(); n != 1 {
		t.Errorf("%d acquisitions are counted", n)
	}
	if r.CreateQR == nil {
		return
	}
	r.through(t, r.CreateQR("shop-2"))
	if n := r.successes.Load(); n != 2 {
		t.Errorf("%d acquisitions are counted, one of them of a create", n)
	}
}

// checkSilentEngine lets twenty clients ask an engine whose code does not come.
func checkSilentEngine(t *testing.T, r nativeRig) {
	r.sim.Change(func(e *enginesim.Engine) { e.QRDelay = time.Hour })
	r.start(t, "shop-1")
	done := make(chan nativeResponse)
	for range 20 {
		go func() { done <- r.through(t, r.QR("shop-1")) }()
	}
	for range 20 {
		if res := <-done; r.code(res) != "" || res.status == 0 {
			t.Errorf("%d %.100s", res.status, res.body)
		}
	}
	connects, forks := r.sim.Snapshot()[0].Connects, r.face.Forks("shop-1")
	if connects > 2 || forks > 1 { // the client's own, and one of the recovery
		t.Errorf("%d pairings were begun, %d sockets beside the session's", connects, forks)
	}
}
