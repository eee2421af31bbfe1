package app_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"hash/fnv"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"qrgate/compat"
	"qrgate/compat/dialect"
	"qrgate/compat/embedded"
	"qrgate/compat/inboxhub"
	"qrgate/internal/acquire"
	"qrgate/internal/app"
	"qrgate/internal/breaker"
	"qrgate/internal/diagnosis"
	"qrgate/internal/seal"
	"qrgate/internal/secret"
	"qrgate/internal/session"
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
	routes   string // the last parts of the paths that respond so, or "create"
	rotation []time.Duration
	prepare  func(p *plan) // brings the session to the moment
	toRetry  bool          // until the engine accepted one more connect, else for the plan's time
	acts     bool          // the engine does what the request asks for
}

var moments = []moment{
	{name: "create", routes: "create"},
	{name: "create that works", routes: "create", acts: true},
	{name: "connect", routes: "connect restart"},
	{name: "connect that works", routes: "connect restart", acts: true},
	{name: "first QR", routes: "qr"},
	{name: "first QR and state", routes: "qr status"},
	{name: "state", routes: "status"},
	{name: "first QR among others", routes: "qr", prepare: (*plan).withOthers},
	{name: "state among others", routes: "status", prepare: (*plan).withOthers},
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
	dialect *dialect.Dialect // of the engine's API; nil for the documented one
	face    http.Handler
	lasts   time.Duration
	sim     *enginesim.Engine

	mu                 sync.Mutex
	isOn               bool
	calls              []time.Time
	seen               map[string]time.Time // :: code -> when the engine last had it
	failed             []string
	paired             bool
	created, connected bool
	from               time.Time
	others             sync.WaitGroup
	reconnectAt        time.Time
}

// verbs are what a request to the engine is for, in the words of moment.routes.
func (p *plan) verbs(req *http.Request) (verbs []string) {
	route := req.URL.Path[strings.LastIndex(req.URL.Path, "/")+1:]
	switch {
	case p.dialect != nil:
		for verb, call := range p.dialect.Calls {
			pattern := regexp.MustCompile(`\\\{[a-z]+\\\}`).ReplaceAllString(regexp.QuoteMeta(call.Path), "[^/]+")
			if call.Method == req.Method && regexp.MustCompile("^"+pattern+"$").MatchString(req.URL.Path) {
				verbs = append(verbs, string(verb))
			}
		}
		return verbs
	case req.Method == http.MethodPost && route == "sessions":
		return []string{"create"}
	case req.Method == http.MethodGet && route != "qr":
		return []string{"status"} // and the session, and the list
	}
	return []string{route}
}

// isAt reports whether one of the routes of the moment is among some verbs.
func (m moment) isAt(verbs []string) bool {
	return slices.ContainsFunc(strings.Fields(m.routes), func(route string) bool { return slices.Contains(verbs, route) })
}

// connects counts the connects and restarts that the engine accepted.
func (p *plan) connects() (n int) {
	for _, s := range p.sim.Snapshot() {
		n += s.Connects
	}
	return n
}

// ServeHTTP is the engine.
func (p *plan) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	p.mu.Lock()
	if req.Header.Get("User-Agent") == "qrgate" || p.dialect != nil { // its own, not a client's
		p.calls = append(p.calls, time.Now())
	}
	isUnusual := p.isOn && p.isAt(p.verbs(req))
	p.mu.Unlock()
	if !isUnusual {
		before := p.connects()
		p.face.ServeHTTP(w, req)
		if isOn, _ := p.now(); isOn && p.toRetry && p.connects() > before {
			p.set(false)
		}
		return
	}
	if p.acts {
		p.face.ServeHTTP(httptest.NewRecorder(), req)
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
	if p.odd.body != "" {
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
	if len(p.failed) < 3 {
		p.failed = append(p.failed, fmt.Sprintf(format, args...))
	}
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
		if strings.Contains(violation, "rate limit") && (!strings.Contains(path, "/qr") || res.StatusCode == 404) {
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
		if isQR && (p.odd.status != 401 && p.odd.status != 403 || !p.isJSON() || isOld) {
			p.fail("401 %s: %.200s", what, res.body)
		}
	case 404:
		if isQR && !p.refusesToken() && (p.odd.status != 404 && !saysUnknown.MatchString(p.odd.body) || isOld) && p.created {
			p.fail("404 %s: %.200s", what, res.body)
		}
	case 429:
		if !p.odd.maySay(diagnosis.RateLimited) || res.Header.Get("Retry-After") == "" {
			p.fail("429 %s, Retry-After %q: %.200s", what, res.Header.Get("Retry-After"), res.body)
		}
	}
	for _, at := range []string{"diagnosis.code", "data.diagnosis.code"} {
		code := diagnosis.Code(res.text(at))
		isCodes := code == diagnosis.QRExpired && len(p.rotation) > 0
		isPaired := code == diagnosis.AlreadyPaired && p.paired
		isToken := code == diagnosis.SessionNotFound && p.refusesToken()
		if code != "" && !isCodes && !isPaired && !isToken && !p.odd.maySay(code) {
			p.fail("part: %s names %s: %v", what, code, res.at(strings.TrimSuffix(at, "code")+"evidence"))
		}
	}
	return res
}

// isJSON reports whether the unusual response is JSON, or at an engine of another API nothing at all.
func (p *plan) isJSON() bool {
	return strings.HasPrefix(p.odd.body, "{") || p.dialect != nil && (p.odd.body == "" || json.Valid([]byte(p.odd.body)))
}

// refusesToken reports whether the response means that the engine does not know the token that stands for the session.
func (p *plan) refusesToken() bool {
	return p.dialect != nil && p.dialect.SessionToken != nil && p.odd.status == http.StatusUnauthorized
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
				if state := p.request("GET", "/api/sessions/shop-1/status", ""); state.StatusCode == 404 && !p.refusesToken() && p.odd.status != 404 && !saysUnknown.MatchString(p.odd.body) {
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

// withOthers lets clients of two more sessions wait, so that qrgate reads the list.
func (p *plan) withOthers() {
	for _, name := range []string{"shop-2", "shop-3"} {
		p.request("POST", "/api/sessions", `{"sessionId":"`+name+`","sessionName":"Shop"}`)
	}
	_ = p.pair(time.Second)
	for _, name := range []string{"shop-2", "shop-3"} {
		p.request("POST", "/api/sessions/"+name+"/connect", "{}")
		req, _ := http.NewRequestWithContext(p.Context(), "GET", p.base+"/api/sessions/"+name+"/qr?wait=30", nil)
		req.Header.Set("X-API-Key", "key-a")
		p.others.Go(func() { _ = p.rig.do(req) })
	}
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
	"the engine reports a phone on every route, or without doubt": func(p *plan) bool {
		isAlone := strings.Contains(p.routes, "status") || p.hasNoState
		return p.toRetry && (isAlone && saysPaired.MatchString(p.odd.body) || statesPaired.MatchString(p.odd.body))
	},
	"another connect would begin another pairing": func(p *plan) bool {
		return strings.Contains(p.odd.body, "passkey")
	},
	"the state proves that the session exists, and that the engine responds, at engines of other APIs": func(p *plan) bool {
		isDenied := p.odd.status == http.StatusNotFound || saysUnknown.MatchString(p.odd.body) || !p.isJSON()
		return p.toRetry && p.dialect != nil && strings.Contains(p.routes, "status") && isDenied
	},
	"the token is the session's (wuzapi)": func(p *plan) bool { return p.toRetry && p.refusesToken() },
	"the engine's own words for a connect that works": func(p *plan) bool {
		return p.dialect != nil && regexp.MustCompile("(?i)session_saved_error|already (?:started|connected)").MatchString(p.odd.body)
	},
	"the state tells whether the session must be started or restarted (WAHA)": func(p *plan) bool {
		return p.toRetry && strings.Contains(p.routes, "status") && p.dialect != nil && p.dialect.Connects[session.Failed] != ""
	},
	"the client of a session that lost its phone connects it once, while connects are as unusual": func(p *plan) bool {
		return p.paired && strings.Contains(p.routes, "connect")
	},
	"the engine accepts connects that have no effect, and qrgate repeats one twice in ten minutes (ADR 0009)": func(p *plan) bool {
		isLost := !p.acts || p.dialect != nil && p.dialect.Traits.QRBegins // with the code in it
		isBegin := strings.Contains(p.routes, "connect") || p.dialect != nil && strings.Contains(p.routes, "restart")
		return isBegin && isLost && p.odd.status < 300 && (!saysError.MatchString(p.odd.body) || strings.Contains(p.odd.body, "STARTING"))
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
	took, bound := time.Since(since), bound
	if p.dialect != nil {
		bound += p.dialect.Traits.Settle
	}
	if p.hasNoState && saysPaired.MatchString(p.odd.body) {
		bound += 10 * time.Second // a pairing that was reported counts so long
	}
	switch {
	case p.isExpected():
	case !isReady:
		p.fail("stranded: no code, unusual for %s, on %t", p.lasts, isOn)
	case took > bound && (!isOn || p.dialect == nil): // other routes of other engines show the code, too
		p.fail("late: %s after it", took.Round(time.Second))
	case p.toRetry && !p.paired && since.Sub(startedAt) > bound:
		p.fail("late: a connect after %s", since.Sub(startedAt).Round(time.Second))
	}
	// At most 16 polls in 30 s, or one a second where none reaches the engine. An ambiguous error is confirmed by another
	// call, and a poll of another API takes two.
	most := 70
	if p.dialect != nil {
		most *= 2
	}
	isClients := p.dialect != nil && (strings.Contains(p.routes, "create") || p.refusesToken()) // who creates it again
	if n := p.callsWithin(30 * time.Second); n > most && !isClients {
		p.fail("storm: %d calls in 30 s", n)
	}
}

// callsWithin is the largest number of calls within a time.
func (p *plan) callsWithin(d time.Duration) (most int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, j := 0, 0; j < len(p.calls); j++ {
		for p.calls[j].Sub(p.calls[i]) > d {
			i++
		}
		most = max(most, j-i+1)
	}
	return most
}

// adapt makes the plan one for an engine of another API, which has its own lifetimes of codes.
func (p *plan) adapt() {
	if p.rotation != nil {
		p.rotation = slices.Repeat([]time.Duration{p.dialect.Traits.LaterTTL}, len(p.rotation))
		p.rotation[0] = p.dialect.Traits.FirstTTL
	}
	qr, connect := p.dialect.Calls[dialect.QR], p.dialect.Calls[dialect.Connect]
	if strings.Contains(p.routes, "qr") && (qr.Path == "" || qr.Path == connect.Path) { // a connect is as unusual
		p.toRetry = false
		p.routes += " connect"
	}
	p.sim.QRTTL = p.dialect.Traits.FirstTTL
	p.variant = variant{query: p.query, isText: p.isText}
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
	if p.dialect != nil {
		p.adapt()
	}
	p.sim.NoExpiry, p.sim.Status404UntilLinked, p.sim.Rotation = p.noExpiry, p.hasNoState, p.rotation
	p.seen = map[string]time.Time{}
	var calls http.RoundTripper = breaker.New(embedded.Transport(p), func(_, _ breaker.State) {})
	codeTTL := time.Duration(0)
	if p.face = p.sim; p.dialect != nil {
		p.sim.Keys = map[string]string{"key-a": "a"}
		p.face = enginesim.Faces()[p.dialect.Kind](p.sim)
		calls, codeTTL = dialect.NewTransport(p.dialect, base, calls), p.dialect.Traits.CodeTTL()
	}
	store := memory.New(memory.Config{})
	engine := inboxhub.New(base, calls).WithCodeTTL(codeTTL)
	manager, err := acquire.New(acquire.Config{Engine: engine, Sealer: sealer, Store: store, SparsePolls: p.dialect != nil})
	if err != nil {
		t.Fatal(err)
	}
	front := proxy.New(proxy.Config{Engine: base, Transport: calls, Acquirer: manager, Sealer: sealer})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = manager.Run(ctx) })
	running.Go(func() { _ = store.Run(ctx) })
	p.rig = &rig{T: t, engine: p.sim, base: "http://qrgate.test", checker: &responseChecker{t: t},
		http: &http.Client{Transport: embedded.Transport(front)}}
	p.run()
	p.others.Wait()
	cancel()
	running.Wait()
	time.Sleep(time.Second)
}

// foundBefore are responses that stranded a session, or had a wrong cause, by their moment.
var foundBefore = map[string][]unusual{
	"restart that works":      {{200, `{"status":"connected","sessionId":"s"}`}},
	"connect":                 {{200, `{"error":"Internal Server Error","message":"socket hang up","statusCode":500}`}},
	"connect that works":      {{504, `{"error":"passkey-request"}`}, {501, `{"message":"Missing Authentication Token"}`}},
	"codes ended":             {{504, `{"error":"408 Request timed out","success":false}`}, {400, `{"error_msg":"failed to match any routes"}`}},
	"codes ended, state too":  {{201, `"error decoding the response"`}, {504, ""}, {403, `{"cloudflare_error":true}`}},
	"connect after the codes": {{202, `{"error":"Unauthorized","message":"Invalid token for session s"}`}},
	"phone lost":              {{202, `{"success":false,"message":"qr not ready or scanned already"}`}},
}

// plansOf returns the plans of a moment: all of the present shard, or those that the seed chooses.
func plansOf(m moment, d *dialect.Dialect, bodies []string, parts uint32) (plans []*plan) {
	var part uint32
	if *allMoments {
		_, _ = fmt.Sscanf(*shard, "%d/%d", &part, &parts)
	}
	add := func(u unusual, lasts uint32) {
		durations := []time.Duration{3 * time.Second, 15 * time.Second, 40 * time.Second}
		plans = append(plans, &plan{moment: m, odd: u, lasts: durations[lasts%3], variant: variantOf(lasts / 3), dialect: d})
	}
	for _, u := range foundBefore[m.name] {
		if d == nil {
			add(u, 2)
		}
	}
	for _, status := range unusualStatuses {
		for _, body := range bodies {
			h := fnv.New32a()
			_, _ = fmt.Fprint(h, m.name, status, body, *seed)
			if pick := h.Sum32(); pick%parts == part && (body == "" || status != http.StatusNoContent) {
				add(unusual{status, body}, pick/parts)
			}
		}
	}
	return plans
}

// No words, status or form of a response of the engine, at no moment, leave a session without its code, lead to a wrong
// code or cause, or to more calls. All 150,000 take two hours:
//
//	go test ./internal/app -run TestMoments -timeout 3h -args -long
func TestMoments(t *testing.T) {
	t.Parallel()
	runMoments(t, nil, 4000)
}

// The same for engines of other APIs.
func TestMoments_Dialects(t *testing.T) {
	for _, d := range app.Dialects() {
		t.Run(d.Kind, func(t *testing.T) {
			t.Parallel()
			runMoments(t, d, 15000)
		})
	}
}

// runMoments runs one of each parts unusual responses against an engine of an API.
func runMoments(t *testing.T, d *dialect.Dialect, parts uint32) {
	bodies := unusualBodies(t)
	for _, m := range moments {
		for plans := range slices.Chunk(plansOf(m, d, bodies, parts), 100) {
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
