package app_test

import (
	"context"
	"flag"
	"fmt"
	"hash/fnv"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"qrgate/compat"
	"qrgate/compat/embedded"
	"qrgate/compat/inboxhub"
	"qrgate/internal/acquire"
	"qrgate/internal/breaker"
	"qrgate/internal/diagnosis"
	"qrgate/internal/seal"
	"qrgate/internal/secret"
	"qrgate/internal/store/memory"
	"qrgate/internal/test/enginesim"
	"qrgate/proxy"
)

var (
	allMoments = flag.Bool("long", false, "run every unusual response at every moment")
	shard      = flag.String("shard", "0/1", "with -long: the part of the unusual responses that is run")
	seed       = flag.Uint("seed", 1, "chooses the unusual responses that are run")
)

// unusualStatuses are the statuses that engines and what is in front of them send.
var unusualStatuses = []int{
	200, 201, 202, 204, 400, 401, 403, 404, 405, 408, 409, 410, 422, 425, 428, 429, 440, 499, 500, 501, 502, 503, 504, 515,
}

// moment is when the engine responds unusually.
type moment struct {
	name     string
	routes   string // the last parts of the paths that respond so, " create" for the create
	rotation []time.Duration
	prepare  func(p *plan) // brings the session to the moment
	toRetry  bool          // until the engine accepted one more connect, else for the plan's time
	acts     bool          // the engine does what the request asks for
}

var moments = []moment{
	{name: "create", routes: " create"},
	{name: "create that works", routes: " create", acts: true},
	{name: "connect", routes: "connect restart"},
	{name: "connect that works", routes: "connect restart", acts: true},
	{name: "first QR", routes: "qr"},
	{name: "first QR and state", routes: "qr status"},
	{name: "state", routes: "status"},
	{name: "codes ended", routes: "qr", rotation: []time.Duration{20 * time.Second}, prepare: (*plan).untilCodesEnded, toRetry: true},
	{name: "codes ended, state too", routes: "qr status", rotation: []time.Duration{20 * time.Second}, prepare: (*plan).untilCodesEnded, toRetry: true},
	{name: "codes ended, state alone", routes: "status", rotation: []time.Duration{20 * time.Second}, prepare: (*plan).untilCodesEnded, toRetry: true},
	{name: "engine lost it", routes: "qr", prepare: (*plan).untilLost, toRetry: true},
	{name: "engine lost it, state too", routes: "qr status", prepare: (*plan).untilLost, toRetry: true},
	{name: "connect after the codes", routes: "connect restart", rotation: []time.Duration{20 * time.Second}, prepare: (*plan).untilCodesEnded},
	{name: "between codes", routes: "qr", rotation: slices.Repeat([]time.Duration{20 * time.Second}, 9), prepare: (*plan).untilCodesEnded},
	{name: "phone lost", routes: "qr", prepare: (*plan).untilPhoneLost, toRetry: true},
	{name: "restart", routes: "restart", prepare: (*plan).untilRestart},
	{name: "restart that works", routes: "restart", prepare: (*plan).untilRestart, acts: true},
}

// variant is how else the engine and the client differ from others.
type variant struct {
	hasNoState bool   // the engine denies every session at its route for the state (contract C18)
	noExpiry   bool   // it does not state when a code ends
	isText     bool   // the Content-Type of JSON is another
	query      string // of the client's requests for the QR
}

func variantOf(hash uint32) variant {
	return variant{hash%4 == 1, hash/4%4 == 1, hash/16%4 == 1, []string{"", "", "?wait=0", "?wait=20"}[hash/64%4]}
}

// plan is one unusual response at one moment, and what was wrong with qrgate then.
type plan struct {
	*rig
	moment
	odd unusual
	variant
	lasts time.Duration
	sim   *enginesim.Engine

	mu                 sync.Mutex
	isOn               bool
	calls              []time.Time
	seen               map[string]time.Time // :: code -> when the engine last had it
	failed             []string
	paired             bool
	created, connected bool
	from               time.Time
	reconnectAt        time.Time
}

// ServeHTTP is the engine.
func (p *plan) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	route := req.URL.Path[strings.LastIndex(req.URL.Path, "/")+1:]
	switch {
	case req.Method == http.MethodPost && route == "sessions":
		route = " create"
	case req.Method == http.MethodGet && route != "qr":
		route = "status" // and the session, and the list
	}
	p.mu.Lock()
	if req.Header.Get("User-Agent") == "qrgate" { // its own, not a client's
		p.calls = append(p.calls, time.Now())
	}
	isUnusual := p.isOn && strings.Contains(p.routes, route)
	p.mu.Unlock()
	if !isUnusual {
		p.sim.ServeHTTP(w, req)
		if isOn, _ := p.now(); isOn && p.toRetry && (route == "connect" || route == "restart") {
			p.set(false)
		}
		return
	}
	if p.acts {
		p.sim.ServeHTTP(httptest.NewRecorder(), req)
	}
	kind := "text/plain"
	switch {
	case strings.HasPrefix(p.odd.body, "<"):
		kind = "text/html"
	case p.isText:
	case strings.HasPrefix(p.odd.body, "{"), strings.HasPrefix(p.odd.body, "["), strings.HasPrefix(p.odd.body, `"`), p.odd.body == "null":
		kind = "application/json"
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(p.odd.status)
	if p.odd.status != http.StatusNoContent {
		_, _ = w.Write([]byte(p.odd.body))
	}
}

func (p *plan) set(isOn bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.isOn, p.from = isOn, time.Now()
}

// now reports whether the engine responds unusually now, and since when it does or does not.
func (p *plan) now() (isOn bool, since time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.isOn, p.from
}

func (p *plan) fail(format string, args ...any) {
	p.failed = append(p.failed, fmt.Sprintf(format, args...))
}

// request sends a request and checks what holds for every response.
func (p *plan) request(method, path, body string) response {
	req, _ := http.NewRequestWithContext(p.Context(), method, p.base+path, strings.NewReader(body))
	req.Header.Set("X-API-Key", "key-a")
	req.Header.Set("Content-Type", "application/json")
	startedAt := time.Now()
	res := p.rig.do(req)
	res.Request = req
	took := time.Since(startedAt)
	p.checker.allow429 = true
	for _, violation := range p.checker.violations(req, res.Response, []byte(res.body)) {
		if strings.Contains(violation, "rate limit") && !strings.Contains(path, "/qr") {
			continue // the engine's own words to a create or connect
		}
		p.fail("%s %s → %d: %s: %.200s", method, path, res.StatusCode, violation, res.body)
	}
	if took > 10*time.Second && !strings.Contains(path, "wait=20") || took > 21*time.Second {
		p.fail("%s %s took %s", method, path, took)
	}
	isQR := strings.Contains(path, "/qr")
	isOn, since := p.now()
	isOld := !isOn && time.Since(since) > 12*time.Second
	what := fmt.Sprintf("%s %d", path[strings.LastIndex(path, "/")+1:], res.StatusCode)
	switch res.StatusCode {
	case 409:
		if isQR && !p.paired && (!saysPaired.MatchString(p.odd.body) || isOld) {
			p.fail("409 %s: %.200s", what, res.body)
		}
	case 401, 403:
		if isQR && (p.odd.status != 401 && p.odd.status != 403 || !strings.HasPrefix(p.odd.body, "{") || isOld) {
			p.fail("401 %s: %.200s", what, res.body)
		}
	case 404:
		if isQR && (p.odd.status != 404 && !saysUnknown.MatchString(p.odd.body) || isOld) && p.created {
			p.fail("404 %s: %.200s", what, res.body)
		}
	case 429:
		if p.odd.status != 429 && !saysLimit.MatchString(p.odd.body) || res.Header.Get("Retry-After") == "" {
			p.fail("429 %s, Retry-After %q: %.200s", what, res.Header.Get("Retry-After"), res.body)
		}
	}
	for _, at := range []string{"diagnosis.code", "data.diagnosis.code"} {
		code := diagnosis.Code(res.text(at))
		isCodes := code == diagnosis.QRExpired && len(p.rotation) > 0
		isPaired := code == diagnosis.AlreadyPaired && p.paired
		if code != "" && !isCodes && !isPaired && !p.odd.maySay(code) {
			p.fail("part: %s names %s: %v", what, code, res.at(strings.TrimSuffix(at, "code")+"evidence"))
		}
	}
	return res
}

// requestQR requests the QR and its status, and reports whether there is a code.
func (p *plan) requestQR(id, query string) (res response, isReady bool) {
	res = p.request("GET", "/api/sessions/"+id+"/qr"+query, "")
	isReady = res.StatusCode == http.StatusOK
	if isReady {
		p.checkCode(res)
	}
	status := p.request("GET", "/api/sessions/"+id+"/qr/status", "")
	if status.StatusCode == http.StatusOK && isReady != (status.at("data.ready") == true) {
		again := p.request("GET", "/api/sessions/"+id+"/qr?wait=0", "")
		if again.StatusCode == http.StatusOK != (status.at("data.ready") == true) {
			p.fail("status: /qr %d, then %d, ready is %v", res.StatusCode, again.StatusCode, status.at("data.ready"))
		}
	}
	return res, isReady
}

// checkCode checks that a code is the engine's, and not over.
func (p *plan) checkCode(res response) {
	code, err := compat.ReadQR(secret.NewSecret(res.text("data.qrCode")))
	p.observe()
	p.mu.Lock()
	defer p.mu.Unlock()
	at, isKnown := p.seen[code.Reveal()]
	if err != nil || !isKnown {
		p.fail("code: not of this engine: %v", err)
	} else if age := time.Since(at); age > 2600*time.Millisecond && !p.paired {
		p.fail("code: over for %s", age)
	}
}

// observe records the engine's present code.
func (p *plan) observe() {
	all := p.sim.Snapshot()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range all {
		if s.Code != "" {
			p.seen[s.Code] = time.Now()
		}
	}
}

// pair is a client: it creates and connects the session as often as either is refused, and requests the QR until it
// has it. It reports false if it has none after a time.
func (p *plan) pair(max time.Duration) bool {
	for end := time.Now().Add(max); time.Now().Before(end); {
		switch {
		case !p.created:
			res := p.request("POST", "/api/sessions", `{"sessionId":"shop-1","sessionName":"Shop"}`)
			p.created = res.StatusCode == http.StatusCreated || res.StatusCode == http.StatusConflict
		case !p.connected:
			res := p.request("POST", "/api/sessions/shop-1/connect", "{}")
			p.connected = res.StatusCode < 300
			p.created = res.StatusCode != http.StatusNotFound
		case !p.reconnectAt.IsZero() && time.Now().After(p.reconnectAt):
			p.connected, p.reconnectAt = false, time.Time{} // the client connects again
		default:
			res, isReady := p.requestQR("shop-1", p.query)
			if isReady {
				return true
			}
			if strings.Contains(p.routes, "status") {
				if state := p.request("GET", "/api/sessions/shop-1/status", ""); state.StatusCode == 404 && p.odd.status != 404 && !saysUnknown.MatchString(p.odd.body) {
					p.fail("404 of /status: %.200s", state.body)
				}
			}
			p.created = res.StatusCode != http.StatusNotFound
			p.connected = p.created
		}
		time.Sleep(time.Second)
	}
	return false
}

func (p *plan) untilCodesEnded() {
	if !p.pair(20 * time.Second) {
		p.fail("prepare: no code")
	}
	at := p.sim.Snapshot()[0].Generated.Add(p.rotation[0])
	time.Sleep(time.Until(at) + 100*time.Millisecond)
}

func (p *plan) untilLost() {
	for !p.connected {
		_ = p.pair(time.Second)
	}
	p.sim.Restart()
}

func (p *plan) untilPhoneLost() {
	if !p.pair(20 * time.Second) {
		p.fail("prepare: no code")
	}
	time.Sleep(time.Second)
	_ = p.sim.Link("shop-1")
	p.paired = true
	for range 10 {
		if res, _ := p.requestQR("shop-1", p.query); res.StatusCode == 409 {
			break
		}
		time.Sleep(time.Second)
	}
	_ = p.sim.Unlink("shop-1")
	p.reconnectAt = time.Now().Add(20 * time.Second)
}

func (p *plan) untilRestart() {
	if !p.pair(20 * time.Second) {
		p.fail("prepare: no code")
	}
	p.set(true)
	p.request("POST", "/api/sessions/shop-1/restart", "{}")
}

// exceptions are the unusual responses before which a session has no code on purpose.
var exceptions = map[string]func(p *plan) bool{
	"a refused key ends the acquisition": func(p *plan) bool {
		return p.toRetry && (p.odd.status == http.StatusUnauthorized || p.odd.status == http.StatusForbidden)
	},
	"a rate limit ends by itself, and a connect would count, too": func(p *plan) bool {
		return p.toRetry && p.odd.maySay(diagnosis.RateLimited)
	},
	"a server in front of the engine does not reach it, and no route shows that it responds": func(p *plan) bool {
		isState := strings.Contains(p.routes, "qr") && !strings.Contains(p.routes, "status") && !p.hasNoState
		return p.toRetry && !isState && p.odd.isInFront()
	},
	"the engine reports a phone on every route": func(p *plan) bool {
		return p.toRetry && strings.Contains(p.routes, "status") && saysPaired.MatchString(p.odd.body)
	},
	"another connect would begin another pairing": func(p *plan) bool {
		return p.toRetry && strings.Contains(p.odd.body, "passkey")
	},
	"the engine accepts connects that have no effect, and qrgate repeats one twice in ten minutes (ADR 0009)": func(p *plan) bool {
		return strings.Contains(p.routes, "connect") && !p.acts && p.odd.status < 300 && (!saysError.MatchString(p.odd.body) || strings.Contains(p.odd.body, "STARTING"))
	},
}

// isExpected reports whether the plan is one of the exceptions.
func (p *plan) isExpected() bool {
	for _, applies := range exceptions {
		if applies(p) {
			return true
		}
	}
	return false
}

// bound is how long after the engine's recovery, or after the codes ended, a client has the code.
const bound = 14 * time.Second

// run runs the plan.
func (p *plan) run() {
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(500 * time.Millisecond):
				p.observe()
			}
		}
	}()
	if p.prepare != nil {
		p.prepare(p)
	}
	p.mu.Lock()
	p.isOn, p.from, p.calls = true, time.Now(), nil
	p.mu.Unlock()
	startedAt := time.Now()
	if !p.toRetry {
		defer time.AfterFunc(p.lasts, func() { p.set(false) }).Stop()
	}
	isReady := p.pair(p.lasts + 90*time.Second)
	isOn, since := p.now()
	took := time.Since(since)
	switch {
	case p.isExpected():
	case !isReady:
		p.fail("stranded: no code, unusual for %s, on %t", p.lasts, isOn)
	case took > bound:
		p.fail("late: %s after it", took.Round(time.Second))
	case p.toRetry && !p.paired && since.Sub(startedAt) > bound:
		p.fail("late: a connect after %s", since.Sub(startedAt).Round(time.Second))
	}
	if n := p.callsWithin(10 * time.Second); n > 30 {
		p.fail("storm: %d calls in 10 s", n)
	}
	if n := p.callsWithin(30 * time.Second); n > 55 {
		p.fail("storm: %d calls in 30 s", n)
	}
}

// callsWithin is the largest number of calls within a time.
func (p *plan) callsWithin(d time.Duration) (most int) {
	for i, j := 0, 0; j < len(p.calls); j++ {
		for p.calls[j].Sub(p.calls[i]) > d {
			i++
		}
		most = max(most, j-i+1)
	}
	return most
}

// runMoment runs a plan in the present bubble against a new gateway.
func runMoment(t *testing.T, p *plan) {
	sealer, _ := seal.New(secret.NewSecret("a secret of the tests"))
	base, _ := url.Parse("http://engine.test")
	n := 0
	p.sim = &enginesim.Engine{RawCode: true, QRDelay: time.Second, QRTTL: 20 * time.Second,
		Codes: func(name string, sequence int) string { n++; return fmt.Sprintf("2@%s,%d,code", name, sequence) }}
	defer p.sim.Close()
	if p.noExpiry && p.rotation != nil {
		p.rotation = append([]time.Duration{time.Minute}, p.rotation[1:]...)
	}
	p.sim.NoExpiry, p.sim.Status404UntilLinked, p.sim.Rotation = p.noExpiry, p.hasNoState, p.rotation
	p.seen = map[string]time.Time{}
	circuit := breaker.New(embedded.Transport(p), func(_, _ breaker.State) {})
	store := memory.New(memory.Config{})
	manager, err := acquire.New(acquire.Config{Engine: inboxhub.New(base, circuit), Sealer: sealer, Store: store})
	if err != nil {
		t.Fatal(err)
	}
	front := proxy.New(proxy.Config{Engine: base, Transport: circuit, Acquirer: manager, Sealer: sealer})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = manager.Run(ctx) })
	running.Go(func() { _ = store.Run(ctx) })
	p.rig = &rig{T: t, engine: p.sim, base: "http://qrgate.test", checker: &responseChecker{t: t},
		http: &http.Client{Transport: embedded.Transport(front)}}
	p.run()
	cancel()
	running.Wait()
	time.Sleep(time.Second)
}

// foundBefore are responses that stranded a session, or had a wrong cause, by their moment.
var foundBefore = map[string][]unusual{
	"connect":                 {{200, `{"error":"Internal Server Error","message":"socket hang up","statusCode":500}`}},
	"connect that works":      {{504, `{"error":"passkey-request"}`}, {501, `{"message":"Missing Authentication Token"}`}},
	"codes ended":             {{504, `{"error":"408 Request timed out","success":false}`}, {400, `{"error_msg":"failed to match any routes"}`}},
	"codes ended, state too":  {{201, `"error decoding the response"`}, {504, ""}, {403, `{"cloudflare_error":true}`}},
	"connect after the codes": {{202, `{"error":"Unauthorized","message":"Invalid token for session s"}`}},
	"phone lost":              {{202, `{"success":false,"message":"qr not ready or scanned already"}`}},
}

// plansOf returns the plans of a moment: all of the present shard, or those that the seed chooses.
func plansOf(m moment, bodies []string) (plans []*plan) {
	var part, parts uint32 = 0, 1500
	if *allMoments {
		_, _ = fmt.Sscanf(*shard, "%d/%d", &part, &parts)
	}
	add := func(u unusual, lasts uint32) {
		durations := []time.Duration{3 * time.Second, 15 * time.Second, 40 * time.Second}
		plans = append(plans, &plan{moment: m, odd: u, lasts: durations[lasts%3], variant: variantOf(lasts / 3)})
	}
	for _, u := range foundBefore[m.name] {
		add(u, 2)
	}
	for _, status := range unusualStatuses {
		for _, body := range bodies {
			h := fnv.New32a()
			_, _ = fmt.Fprint(h, m.name, status, body, *seed)
			if pick := h.Sum32(); pick%parts == part {
				add(unusual{status, body}, pick/parts)
			}
		}
	}
	return plans
}

// No words, status or form of a response of the engine, at no moment, leave a session without its code, lead to a wrong
// code or cause, or to more calls. All 100,000 take an hour:
//
//	go test ./internal/app -run TestMoments -timeout 2h -args -long
func TestMoments(t *testing.T) {
	t.Parallel()
	bodies := unusualBodies(t)
	for _, m := range moments {
		for plans := range slices.Chunk(plansOf(m, bodies), 100) {
			synctest.Test(t, func(t *testing.T) {
				for _, p := range plans {
					runMoment(t, p)
				}
			})
			for _, p := range plans {
				for _, text := range p.failed {
					t.Errorf("%s, HTTP %d %s for %s %+v: %s", m.name, p.odd.status, p.odd.body, p.lasts, p.variant, text)
				}
			}
		}
	}
}
