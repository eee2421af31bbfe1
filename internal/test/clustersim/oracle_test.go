package clustersim

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"qrgate/internal/test/enginesim"
)

// Tolerances of the guarantees.
const (
	networkSlack = 50 * time.Millisecond       // from the decision at a replica to the client
	deadSlack    = 2 * time.Second             // ARCHITECTURE, Fresh: a poll within 2 s confirmed an old code
	youngCode    = 15 * time.Second            // and a younger code needs no poll
	pairedSlack  = 30 * time.Second            // a pairing is no secret, and polls for it are rare
	longestWait  = 9*time.Second + time.Second // of a request for the code without a preference
)

// code is one code of the engine.
type code struct {
	account, session string
	sequence         int
	madeAt           time.Time
	endsAt           time.Time // as the engine promises
	diedAt           time.Time // when the engine was first seen without it; zero: it is the current one
}

// event is one line of the history.
type event struct {
	at   time.Duration
	text string
}

// oracle knows the truth of the engine and records what clients get.
type oracle struct {
	w *world

	mu         sync.Mutex
	codes      map[string]*code     // :: image -> the code
	current    map[string]string    // :: account and session -> image
	known      map[string]string    // :: text -> image
	deadSince  map[string]time.Time // :: account and session -> when a client's delete was accepted
	history    []event
	violations []string
	flows      []outcome
	late       int                    // flows that took longer than the scenario allows
	linkedAt   map[string]time.Time   // :: account and session -> when it was last seen paired
	calls      map[string][]time.Time // :: key -> its clients' own calls
	posts      []string               // bodies that clients sent
}

// outcome is how a flow ended.
type outcome struct {
	gotCode   bool
	isStarved bool // the engine's rate limit left no call for it, and the client was told why there is no code
	took      time.Duration
}

func newOracle(w *world) *oracle {
	return &oracle{w: w, codes: map[string]*code{}, current: map[string]string{}, known: map[string]string{},
		deadSince: map[string]time.Time{}, linkedAt: map[string]time.Time{}, calls: map[string][]time.Time{}}
}

func (o *oracle) log(format string, args ...any) {
	o.history = append(o.history, event{o.w.elapsed(), fmt.Sprintf(format, args...)})
}

func (o *oracle) violate(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	o.log("VIOLATION %s", text)
	o.violations = append(o.violations, fmt.Sprintf("%.3f s: %s", o.w.elapsed().Seconds(), text))
}

// watch is the engine with an observer behind it: whatever a response may have carried is known.
func (o *oracle) watch(engine *enginesim.Engine) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		engine.ServeHTTP(w, r)
		if *isVerbose {
			o.mu.Lock()
			o.log("engine: %s %s of %s", r.Method, r.URL.Path, r.Header.Get("X-API-Key")[:5])
			o.mu.Unlock()
		}
		o.observeEngine()
	})
}

// observeEngine notes which codes the engine has now.
func (o *oracle) observeEngine() {
	sessions := o.w.engine.Snapshot()
	o.mu.Lock()
	defer o.mu.Unlock()
	seen := map[string]bool{}
	for _, s := range sessions {
		if s.Phase == enginesim.Linked {
			o.linkedAt[s.Account+" "+s.Name] = time.Now()
		}
		if s.Code == "" {
			continue
		}
		image, ok := o.known[s.Code]
		if !ok {
			image = imageOf(s.Code)
			o.known[s.Code] = image
			madeAt := s.Generated.Add(-o.w.engine.ClockSkew)
			o.codes[image] = &code{account: s.Account, session: s.Name, sequence: s.Sequence,
				madeAt: madeAt, endsAt: madeAt.Add(time.Minute)}
			o.log("engine: %s of %s has code %d", s.Name, s.Account[:5], s.Sequence)
		}
		where := s.Account + " " + s.Name
		seen[where] = true
		if before := o.current[where]; before != "" && before != image && o.codes[before].diedAt.IsZero() {
			o.codes[before].diedAt = o.codes[image].madeAt
		}
		o.current[where] = image
	}
	for _, where := range slices.Sorted(maps.Keys(o.current)) {
		if image := o.current[where]; !seen[where] && o.codes[image].diedAt.IsZero() {
			o.codes[image].diedAt = time.Now()
			o.log("engine: the code of %s is gone", where)
		}
	}
}

// sent notes a request of a client before it leaves.
func (o *oracle) sent(c *client, method, path, body string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.calls[c.key] = append(o.calls[c.key], time.Now())
	if method == "POST" && path == "/api/sessions" {
		o.posts = append(o.posts, body)
	}
}

// record checks one response.
func (o *oracle) record(c *client, method, path string, r reply) {
	o.observeEngine()
	o.mu.Lock()
	defer o.mu.Unlock()
	took := time.Since(r.startedAt)
	what := r.field("code")
	if r.status != http.StatusOK {
		what += " " + r.field("diagnosis", "code")
	}
	if r.status != 0 && !strings.HasPrefix(what, "QR_NOT_READY ") || r.field("diagnosis", "code") != "" {
		c.lastCause = strings.ToLower(what)
	}
	o.log("client %d: %s %s %d %s after %.3f s", c.n, method, path, r.status, what, took.Seconds())
	switch {
	case r.status == http.StatusInternalServerError && path != "/api/sessions":
		o.violate("client %d: %s %s: status 500 %s", c.n, method, path, r.body)
	case r.status == http.StatusUnauthorized, r.status == http.StatusForbidden:
		o.violate("client %d: a valid key is refused", c.n)
	case strings.Contains(r.body, "<html"):
		o.violate("client %d: HTML", c.n)
	}
	if r.status != 0 && strings.HasSuffix(path, "/qr") {
		o.checkQR(c, r, took)
	}
}

// checkQR checks the response to a request for the code.
func (o *oracle) checkQR(c *client, r reply, took time.Duration) {
	if took > longestWait {
		o.violate("client %d: the request for the code took %v", c.n, took)
	}
	switch r.status {
	case http.StatusOK:
		o.checkCode(c, r.field("data", "qrCode"), r.receivedAt)
	case http.StatusConflict:
		s, ok := o.session(c)
		if !ok || time.Since(o.linkedAt[c.key+" "+c.name]) > pairedSlack {
			o.violate("client %d: reported as paired, and it is %q", c.n, s.Phase)
		}
	case http.StatusNotFound:
		if _, ok := o.session(c); ok {
			o.violate("client %d: reported as unknown, and the engine has it", c.n)
		}
	case http.StatusAccepted, http.StatusServiceUnavailable:
		o.checkCause(c, r)
	case http.StatusTooManyRequests:
		o.violate("client %d: 429 for a request for the code", c.n)
	default:
		o.violate("client %d: status %d %s", c.n, r.status, r.body)
	}
}

// checkCode checks a code that a client has received.
func (o *oracle) checkCode(c *client, image string, at time.Time) {
	q := o.codes[image]
	switch {
	case q == nil:
		o.violate("client %d: a code that the engine never made", c.n)
		return
	case q.account != c.key || q.session != c.name:
		o.violate("client %d: FOREIGN: the code of %s %s", c.n, q.account, q.session)
		return
	case at.Add(-networkSlack).After(q.endsAt):
		o.violate("client %d: EXPIRED: %v late", c.n, at.Sub(q.endsAt))
	}
	if q.diedAt.IsZero() {
		return
	}
	dead, age := at.Sub(q.diedAt), at.Sub(q.madeAt)
	if dead > deadSlack+networkSlack && age > youngCode+deadSlack {
		o.violate("client %d: DEAD: code %d, which is gone for %v, %v after it was made", c.n, q.sequence, dead, age)
	}
	if deletedAt, ok := o.deadSince[c.key+" "+c.name]; ok && q.madeAt.Before(deletedAt) && dead > deadSlack {
		o.violate("client %d: DELETED: code %d of a session that was deleted %v ago", c.n, q.sequence, dead)
	}
}

// session is the session of a client as the engine has it.
func (o *oracle) session(c *client) (enginesim.Session, bool) {
	all := o.w.engine.Snapshot()
	i := slices.IndexFunc(all, func(s enginesim.Session) bool { return s.Account == c.key && s.Name == c.name })
	if i < 0 {
		return enginesim.Session{}, false
	}
	return all[i], true
}

// causesOf are the causes that a fault may be diagnosed as.
var causesOf = map[faultKind]string{
	engineDown:     "engine_unreachable engine_restarted engine_crash_loop connect_failing qr_expired",
	engineRestarts: "engine_restarted engine_crash_loop qr_expired",
	engineSlow:     "engine_timeout engine_overloaded engine_stuck connect_failing",
	engineFlaps:    "engine_unreachable engine_restarted engine_crash_loop connect_failing engine_inconsistent",
	postsLost:      "engine_unreachable engine_restarted connect_failing engine_bad_response engine_5xx engine_inconsistent",
	engineUnlinked: "engine_unreachable engine_restarted connect_failing", // a replica cannot tell them apart
	replicaStops:   "",
}

// checkCause checks that a response without a code blames nothing that is innocent.
func (o *oracle) checkCause(c *client, r reply) {
	cause := r.field("diagnosis", "code")
	if cause == "" {
		return
	}
	if _, exists := o.session(c); !exists && cause == "session_not_found" {
		return
	}
	allowed := "none undetermined rate_limited qr_not_emitted session_stuck"
	for _, f := range o.w.faults {
		if f.from <= o.w.elapsed() {
			allowed += " " + causesOf[f.kind]
		}
	}
	if o.w.engine.ConnectFailures > 0 {
		allowed += " connect_failing engine_5xx"
	}
	if !slices.Contains(strings.Fields(allowed), cause) {
		o.violate("client %d: CAUSE %s, which is not true", c.n, cause)
	}
}

// streamed checks an event of a stream.
func (o *oracle) streamed(c *client, data string) {
	var v struct {
		State     string
		SessionID string
	}
	err := json.Unmarshal([]byte(data), &v)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.log("client %d: stream: %s", c.n, v.State)
	if err != nil || v.SessionID != c.name && v.SessionID != c.id || strings.Contains(data, "base64") {
		o.violate("client %d: stream: %s", c.n, data)
	}
}

// flowEnded notes how a flow ended.
func (o *oracle) flowEnded(c *client, image string, took time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if slices.Contains(o.w.engine.Silent, c.key) {
		return // nobody expects a code
	}
	if within := o.w.within; within > 0 && took > within {
		o.late++
	}
	isStarved := image == "" && (o.isTrueCause(c.lastCause) || o.isExhausted(c.key))
	o.flows = append(o.flows, outcome{gotCode: image != "", isStarved: isStarved, took: took})
	switch {
	case isStarved:
		o.log("client %d: no code within %v: %s", c.n, took, c.lastCause)
	case image == "":
		o.violate("client %d: LOST: no code within %v, the last response was %q", c.n, took, c.lastCause)
	}
}

func (o *oracle) hasOutcome() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.flows) > 0
}

// isTrueCause reports whether a response names why there is no code long after the last fault.
func (o *oracle) isTrueCause(cause string) bool {
	isStuck := strings.Contains(cause, "session_stuck") || strings.Contains(cause, "qr_not_emitted")
	if o.hadFault(replicaKilled, replicaStops) && o.hadFault(storeDown, storeHangs, storeReadOnly, storeSlow,
		storeLosesAcks, storeRestarts, storeFailsOver) {
		return true // nothing remembers the connect, which is not promised
	}
	if o.w.engine.Silent != nil {
		return false
	}
	return strings.Contains(cause, "rate_limit") || o.w.engine.StuckUntilReconnect &&
		(isStuck || o.hadFault(engineUnlinked) && strings.Contains(cause, "engine_restarted"))
}

// isExhausted reports whether most calls of the engine's limit were used within one window's time, at any time.
func (o *oracle) isExhausted(key string) bool {
	limit := o.w.engine.Limits.Sessions
	var at []time.Time
	for _, call := range o.w.engine.Calls() {
		if call.Account == key {
			at = append(at, call.At)
		}
	}
	most := limit.Max * 4 / 5
	for i := most; i < len(at); i++ {
		if at[i].Sub(at[i-most]) < limit.Window {
			return true
		}
	}
	return false
}

func (o *oracle) hadFault(any ...faultKind) bool {
	return slices.ContainsFunc(o.w.faults, func(f fault) bool { return slices.Contains(any, f.kind) })
}

// finish checks the engine's side of the history.
func (o *oracle) finish() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.late > len(o.flows)/20 {
		o.violate("LATE: %d of %d flows took longer than %v", o.late, len(o.flows), o.w.within)
	}
	calls := o.w.engine.Calls()
	bodies := map[string]int{}
	for _, call := range calls {
		if call.Route == enginesim.RouteCreate {
			bodies[string(call.Body)]++
		}
		if call.Status == http.StatusTooManyRequests {
			o.checkRefusal(call)
		}
	}
	for _, body := range o.posts {
		if bodies[body] > 1 {
			o.violate("DUPLICATE: the engine received %d times %s", bodies[body], body)
		}
	}
}

// checkRefusal checks a 429: only clients' own calls may exceed the engine's limit.
func (o *oracle) checkRefusal(call enginesim.Call) {
	// Clients cannot know how much of a window qrgate leaves to them: a third of it must always be there. Each further
	// replica may have a call in flight that the others do not know of yet.
	left := o.w.engine.Limits.Sessions.Max/3 - (o.w.scenario.replicas - 1)
	own := 0
	for _, at := range o.calls[call.Account] {
		if !at.After(call.At) && call.At.Sub(at) <= o.w.engine.Limits.Sessions.Window {
			own++
		}
	}
	if own <= left {
		o.violate("LIMIT: 429 for %s %s at %.1f s; clients made %d calls", call.Method, call.Path,
			call.At.Sub(o.w.startedAt).Seconds(), own)
	}
}

// digest identifies the history.
func (o *oracle) digest() string {
	h := sha256.New()
	for _, e := range o.history {
		fmt.Fprintln(h, e.at, e.text)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
