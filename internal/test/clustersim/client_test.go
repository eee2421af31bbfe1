package clustersim

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// How clients behave: as the clients in production do (contract.md), and they do not give up before patience is over.
const (
	callTimeout = 10 * time.Second
	qrTimeout   = 12 * time.Second
	pause       = 4 * time.Second
	patience    = 75 * time.Second // after the last fault
)

// client is one client program with one session.
type client struct {
	flow
	w   *world
	ctx context.Context
	n   int // of the client

	id       string // as the client writes it
	requests int
	attempts int // of creates and connects

	lastCause string // of the last response that named one
}

// reply is a response, or none.
type reply struct {
	status     int
	body       string
	header     http.Header
	startedAt  time.Time
	receivedAt time.Time
}

func (r reply) field(path ...string) string {
	var v any
	_ = json.Unmarshal([]byte(r.body), &v)
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	switch v := v.(type) {
	case string:
		return v
	case float64:
		return fmt.Sprint(int64(v))
	}
	return ""
}

// send sends one request to any replica that accepts connections.
func (c *client) send(method, path, body string, timeout time.Duration, headers ...string) reply {
	ctx, cancel := context.WithTimeout(c.ctx, timeout)
	defer cancel()
	c.requests++
	what := fmt.Sprintf("client %d", c.n)
	r := c.w.pick(what, c.requests)
	latency := 500*time.Microsecond + time.Duration(c.w.draw(5000, what+"latency", c.requests))*time.Microsecond
	out := reply{startedAt: time.Now()}
	if !sleep(ctx, latency) || r == nil {
		c.w.oracle.record(c, method, path, out)
		return out
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://qrgate.test"+path, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	req.Header.Set("X-API-Key", c.key)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	c.w.oracle.sent(c, method, path, body)
	res, err := r.wire.Client().Do(req)
	if err == nil {
		var text []byte
		text, err = io.ReadAll(res.Body)
		_ = res.Body.Close()
		out.status, out.body, out.header = res.StatusCode, string(text), res.Header
	}
	if err != nil {
		out.status = 0
	}
	out.receivedAt = time.Now()
	_ = sleep(ctx, latency)
	c.w.oracle.record(c, method, path, out)
	return out
}

// deadline is when the client gives up. Clients of silent sessions do when the session that they disturb has its code.
func (c *client) deadline() time.Time {
	if slices.Contains(c.w.engine.Silent, c.key) && c.w.oracle.hasOutcome() {
		return time.Time{}
	}
	return c.w.startedAt.Add(max(c.startsAt, c.w.healedAt) + patience)
}

func (c *client) run() {
	_ = sleep(c.ctx, c.startsAt)
	startedAt := time.Now()
	code := c.pair()
	c.w.oracle.flowEnded(c, code, time.Since(startedAt))
	if code == "" {
		return
	}
	switch c.then {
	case rereads:
		c.repeat(30*time.Second, func() { c.qr() })
		c.spy()
	case polls:
		c.repeat(20*time.Second, func() { c.send("GET", "/api/sessions/"+c.id+"/status", "", callTimeout) })
	case streams:
		c.follow(20 * time.Second)
	case scans:
		c.scan()
	case deletes, recreate:
		c.remove()
	}
}

// pair creates and connects the session and requests its code until it is there. It returns "" if it never came.
func (c *client) pair() string {
	if !c.create() || !c.connect() {
		return ""
	}
	for time.Now().Before(c.deadline()) {
		if r := c.qr(); r.status == http.StatusOK {
			return r.field("data", "qrCode")
		}
		_ = sleep(c.ctx, pause)
	}
	return ""
}

func (c *client) create() bool {
	for time.Now().Before(c.deadline()) {
		c.attempts++
		body := fmt.Sprintf(`{"sessionId":%q,"sessionName":"client %d attempt %d"}`, c.name, c.n, c.attempts)
		r := c.send("POST", "/api/sessions", body, callTimeout)
		c.id = c.name
		if r.status == http.StatusCreated && c.n%3 == 0 {
			if id := r.field("data", "session", "id"); id != "" {
				c.id = id
			}
		}
		if r.status == http.StatusCreated || r.status == http.StatusConflict {
			return true
		}
		_ = sleep(c.ctx, pause/2)
	}
	return false
}

func (c *client) connect() bool {
	for time.Now().Before(c.deadline()) {
		c.attempts++
		r := c.send("POST", "/api/sessions/"+c.id+"/connect", "{}", callTimeout)
		if r.status == http.StatusOK || r.status == http.StatusAccepted {
			return true
		}
		_ = sleep(c.ctx, pause/2)
	}
	return false
}

func (c *client) qr() reply { return c.send("GET", "/api/sessions/"+c.id+"/qr", "", qrTimeout) }

func (c *client) repeat(d time.Duration, do func()) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		_ = sleep(c.ctx, pause)
		do()
	}
}

// follow reads the stream of changes.
func (c *client) follow(d time.Duration) {
	ctx, cancel := context.WithTimeout(c.ctx, d)
	defer cancel()
	c.requests++
	r := c.w.pick(fmt.Sprintf("client %d", c.n), c.requests)
	if r == nil {
		return
	}
	req, _ := http.NewRequestWithContext(ctx, "GET", "http://qrgate.test/api/sessions/"+c.id+"/qr/status", nil)
	req.Header.Set("X-API-Key", c.key)
	req.Header.Set("Accept", "text/event-stream")
	res, err := r.wire.Client().Do(req)
	if err != nil {
		return
	}
	defer res.Body.Close()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			c.w.oracle.streamed(c, data)
		}
	}
}

// scan pairs a phone; from then on no code may be handed out.
func (c *client) scan() {
	if c.w.engine.Link(c.engineID()) != nil {
		return // the code is gone
	}
	c.w.oracle.observeEngine()
	c.repeat(20*time.Second, func() { c.qr() })
}

// engineID is the session's integer, because names of several keys are equal.
func (c *client) engineID() string {
	for _, s := range c.w.engine.Snapshot() {
		if s.Account == c.key && s.Name == c.name {
			return fmt.Sprint(s.ID)
		}
	}
	return "none"
}

// remove deletes the session. If it is made again, its old code must not appear any more.
func (c *client) remove() {
	for time.Now().Before(c.deadline()) {
		r := c.send("DELETE", "/api/sessions/"+c.id, "", callTimeout)
		if r.status == http.StatusOK || r.status == http.StatusNotFound {
			break
		}
		_ = sleep(c.ctx, pause)
	}
	c.w.oracle.observeEngine()
	_ = sleep(c.ctx, time.Second)
	if c.then == deletes {
		c.repeat(10*time.Second, func() { c.qr() })
		return
	}
	startedAt := time.Now()
	c.startsAt = time.Since(c.w.startedAt)
	c.w.oracle.flowEnded(c, c.pair(), time.Since(startedAt))
}

// spy asks for this session as another tenant, who has no session of this name.
func (c *client) spy() {
	own := c.key
	c.key = "key-z-0123456789abcdef"
	c.qr()
	c.key = own
}
