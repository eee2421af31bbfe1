package main

import (
	"bufio"
	"cmp"
	"context"
	cryptorand "crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"qrgate/internal/test/enginesim"
)

// What the engine and the clients do, before --pace.
const (
	qrDelay      = 2 * time.Second  // from a connect to its code: up to five times this
	scanDelay    = 10 * time.Second // from a code to its scan: up to three times this
	connectedFor = 20 * time.Second // from a scan to the delete: up to twice this
	codeLife     = time.Minute      // of the first code of a connect: a QR that no client has by then is lost
	retryPause   = 4 * time.Second  // after a refused request
	streamLife   = 20 * time.Second // of an event stream: up to twice this
	waitSeconds  = 30
	leavers      = 10 // one of these requests that wait is given up by its client
	wrongKeys    = 100
)

// load is the engine and all clients.
type load struct {
	options    *options
	engine     *enginesim.Engine
	engineAddr string
	server     *http.Server
	targets    []string // URLs of the gateways
	http       http.Client
	sessions   []*session
	byName     map[string]*session

	mu     sync.Mutex
	tally  map[string]int
	delays []time.Duration // from a code at the engine to the first client that has it
}

// session is one that is created, paired and deleted in turn.
type session struct {
	key, name string
	exists    atomic.Bool // from the create to the delete
	isPairing atomic.Bool // from the connect to the scan
	hasCode   atomic.Bool // the engine has a code for this connect
	codeAt    atomic.Pointer[time.Time]
	hasQR     atomic.Bool // a waiter got the QR of this connect
}

// newLoad starts the engine.
func newLoad(o *options) (*load, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l := &load{options: o, engineAddr: listener.Addr().String(), tally: map[string]int{}, byName: map[string]*session{}}
	l.http.Transport = &http.Transport{MaxIdleConnsPerHost: o.Waiters + o.Streams}
	keys := map[string]string{}
	for i := range o.Sessions {
		key := fmt.Sprintf(engineKey, 1+i)
		keys[key] = key
		s := &session{key: key, name: fmt.Sprintf("soak-%d", i)}
		l.sessions, l.byName[s.name] = append(l.sessions, s), s
	}
	probeKey := fmt.Sprintf(engineKey, 0)
	keys[probeKey] = probeKey
	limits := enginesim.RecordedLimits()
	limits.General.Window, limits.Sessions.Window = l.paced(limits.General.Window), l.paced(limits.Sessions.Window)
	l.engine = &enginesim.Engine{Keys: keys, Limits: limits, Begin: l.begin}
	l.server = &http.Server{Handler: l.engine, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = l.server.Serve(listener) }()
	return l, nil
}

// begin shows a code after a while, and others later, as WhatsApp does.
func (l *load) begin(ctx context.Context, name string, socket *enginesim.Socket) {
	s := l.byName[name]
	if s == nil {
		socket.Show(newCode()) // a probe's session
		return
	}
	if !l.pause(ctx, qrDelay+rand.N(4*qrDelay)) {
		return
	}
	for _, life := range enginesim.WhatsAppRotation() {
		socket.Show(newCode())
		now := time.Now()
		if s.codeAt.CompareAndSwap(nil, &now) {
			s.hasCode.Store(true)
		}
		if !l.pause(ctx, life) {
			return
		}
	}
}

func newCode() string {
	return "https://wa.me/settings/linked_devices#2@" + cryptorand.Text() + cryptorand.Text()
}

// run applies the load until ctx ends.
func (l *load) run(ctx context.Context) {
	var all sync.WaitGroup
	for _, s := range l.sessions {
		all.Go(func() { l.repeat(ctx, scanDelay, func() { l.pair(ctx, s) }) })
	}
	for i := range l.options.Waiters {
		s := l.sessions[i%len(l.sessions)]
		all.Go(func() { l.repeat(ctx, scanDelay, func() { l.await(ctx, s) }) })
	}
	for range l.options.Streams {
		all.Go(func() { l.repeat(ctx, streamLife, func() { l.stream(ctx) }) })
	}
	all.Go(func() { l.repeat(ctx, time.Second, func() { l.openPage(ctx) }) })
	all.Go(func() { l.repeat(ctx, time.Second, func() { l.sendWrongKey(ctx) }) })
	all.Wait()
}

// repeat calls f until ctx ends; it begins after a part of spread.
func (l *load) repeat(ctx context.Context, spread time.Duration, f func()) {
	for l.pause(ctx, rand.N(spread)) {
		f()
		spread = time.Second
	}
}

// anySession is one that meets a condition, if one of some at random does.
func (l *load) anySession(is func(*session) bool) *session {
	var s *session
	for range 20 {
		if s = l.sessions[rand.IntN(len(l.sessions))]; is(s) {
			break
		}
	}
	return s
}

// pair creates a session, connects it, scans its code some time after a client has it, and deletes it.
func (l *load) pair(ctx context.Context, s *session) {
	body := fmt.Sprintf(`{"sessionId":%q,"sessionName":"Soak"}`, s.name)
	if status, _ := l.do(ctx, s.key, http.MethodPost, "/api/sessions", body); status != http.StatusCreated {
		l.pause(ctx, retryPause)
		return
	}
	s.codeAt.Store(nil)
	s.hasCode.Store(false)
	s.hasQR.Store(false)
	s.exists.Store(true)
	for {
		if status, _ := l.do(ctx, s.key, http.MethodPost, "/api/sessions/"+s.name+"/connect", "{}"); status == http.StatusOK {
			break
		}
		if !l.pause(ctx, retryPause) {
			return
		}
	}
	s.isPairing.Store(true)
	for !s.hasCode.Load() {
		if !l.pause(ctx, time.Second) {
			return
		}
	}
	for !s.hasQR.Load() {
		if time.Since(*s.codeAt.Load()) > l.paced(codeLife) {
			l.count("QRs lost: no client had it before it was replaced")
			break
		}
		if !l.pause(ctx, time.Second) {
			return
		}
	}
	if !l.pause(ctx, scanDelay+rand.N(2*scanDelay)) {
		return
	}
	s.isPairing.Store(false)
	if err := l.engine.Link(s.name); err != nil {
		l.count("scans that failed")
	} else {
		l.count("sessions paired")
	}
	l.pause(ctx, connectedFor+rand.N(connectedFor))
	s.exists.Store(false)
	for {
		status, _ := l.do(ctx, s.key, http.MethodDelete, "/api/sessions/"+s.name, "")
		if status == http.StatusOK || status == http.StatusNotFound || !l.pause(ctx, retryPause) {
			return
		}
	}
}

// await waits for the QR of a session, and then for changes until the session is deleted. Some clients leave before
// the response.
func (l *load) await(ctx context.Context, s *session) {
	if !s.exists.Load() {
		return
	}
	leaves := rand.IntN(leavers) == 0
	sending := ctx
	if leaves {
		var cancel context.CancelFunc
		sending, cancel = context.WithTimeout(ctx, l.paced(rand.N(streamLife)))
		defer cancel()
	}
	path := "/qr"
	if !s.isPairing.Load() || s.hasQR.Load() {
		path = "/qr/status"
	}
	status, response := l.send(sending, s.key, http.MethodGet,
		fmt.Sprintf("/api/sessions/%s%s?wait=%d", s.name, path, max(1, int(waitSeconds*l.options.Pace))), "")
	if status > 0 {
		l.countStatus("GET "+path, status)
	}
	if status == http.StatusAccepted {
		l.count("not yet: " + cmp.Or(response.Diagnosis.Code, "no diagnosis"))
	}
	if status == http.StatusOK && path == "/qr" {
		if response.Data.SessionID != s.name {
			l.count("QRs of another session")
		} else if at := s.codeAt.Load(); at != nil && s.hasQR.CompareAndSwap(false, true) {
			l.recordDelay(time.Since(*at))
		}
		if response.Data.ExpiresAt.Before(time.Now()) {
			l.count("expired QRs")
		}
	}
	if status == 0 && leaves {
		l.count("clients that left")
	}
}

// stream reads the events of a session for a while.
func (l *load) stream(ctx context.Context) {
	s := l.anySession(func(s *session) bool { return s.exists.Load() })
	reading, cancel := context.WithTimeout(ctx, l.paced(streamLife+rand.N(streamLife)))
	defer cancel()
	req, _ := http.NewRequestWithContext(reading, http.MethodGet, l.target()+"/api/sessions/"+s.name+"/qr/status", nil)
	req.Header.Set("X-API-Key", s.key)
	req.Header.Set("Accept", "text/event-stream")
	res, err := l.http.Do(req)
	if err != nil {
		return
	}
	defer func() { _ = res.Body.Close() }()
	l.countStatus("stream", res.StatusCode)
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "event:") {
			l.count("events")
		}
	}
}

// openPage issues a link, opens its page and sometimes revokes it.
func (l *load) openPage(ctx context.Context) {
	s := l.anySession(func(s *session) bool { return s.isPairing.Load() })
	status, response := l.do(ctx, s.key, http.MethodPost, "/api/sessions/"+s.name+"/qr/link", "{}")
	if status != http.StatusCreated {
		return
	}
	if _, path, ok := strings.Cut(response.Data.URL, "/pair/"); ok {
		l.get(ctx, "/pair/"+path)
	}
	if rand.IntN(2) == 0 {
		l.do(ctx, s.key, http.MethodDelete, "/api/sessions/"+s.name+"/qr/link", "")
	}
}

// get opens a page.
func (l *load) get(ctx context.Context, path string) {
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, l.target()+path, nil)
	res, err := l.http.Do(req)
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	l.countStatus("page", res.StatusCode)
}

func (l *load) sendWrongKey(ctx context.Context) {
	s := l.anySession(func(s *session) bool { return s.isPairing.Load() })
	status, _ := l.send(ctx, fmt.Sprint("wrong-", rand.IntN(wrongKeys)), http.MethodGet, "/api/sessions/"+s.name+"/qr", "")
	if status > 0 {
		l.countStatus("wrong key", status)
	}
}

// response is what a client reads.
type response struct {
	Diagnosis struct{ Code string }
	Data      struct {
		SessionID string
		ExpiresAt time.Time
		URL       string
	}
}

// do sends one request to a gateway at random and counts its status. Status 0 means that there was no response.
func (l *load) do(ctx context.Context, key, method, path, text string) (status int, body response) {
	status, body = l.send(ctx, key, method, path, text)
	if status > 0 {
		l.countStatus(method, status)
	}
	return status, body
}

func (l *load) send(ctx context.Context, key, method, path, text string) (status int, body response) {
	req, _ := http.NewRequestWithContext(ctx, method, l.target()+path, strings.NewReader(text))
	req.Header.Set("X-API-Key", key)
	req.Header.Set("Content-Type", "application/json")
	res, err := l.http.Do(req)
	if err != nil {
		if ctx.Err() == nil {
			l.count("requests without a response")
		}
		return 0, body
	}
	defer func() { _ = res.Body.Close() }()
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil && ctx.Err() == nil {
		l.count("responses that are no JSON")
	}
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode, body
}

func (l *load) target() string { return l.targets[rand.IntN(len(l.targets))] }

func (l *load) paced(d time.Duration) time.Duration {
	return time.Duration(float64(d) * l.options.Pace)
}

// pause is false when ctx ended meanwhile.
func (l *load) pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(l.paced(d)):
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

func (l *load) count(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tally[what]++
}

func (l *load) recordDelay(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delays = append(l.delays, d)
}

func (l *load) countStatus(what string, status int) { l.count(fmt.Sprintf("%s %d", what, status)) }

// counts is how often each thing happened.
func (l *load) counts() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.tally)
}

// String is one line with all counts.
func (l *load) String() string {
	counts := l.counts()
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s: %d", what, counts[what]))
	}
	return strings.Join(parts, ", ")
}

func (l *load) close() {
	_ = l.server.Close()
	l.engine.Close()
}
