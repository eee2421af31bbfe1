package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"
)

// clients are all clients of one case. Each request goes to a replica at random, as a load balancer without affinity
// sends it, and to the next replica if that one refuses the connection.
type clients struct {
	engine  *engine
	targets []string // URLs of the replicas
	http    http.Client
	start   time.Time

	printsLost bool

	mu          sync.Mutex
	flows       []flow
	limited     int // 429 to clients
	wrongTenant int // codes of another key's session, or of another session
	expired     int // codes after their end
	foreignHits int // codes and sessions that a stranger got
	unexpected  int // responses 500, or without JSON
	requests    int
}

// flow is one client's attempt to pair a session.
type flow struct {
	key, name string
	created   bool
	tries     int // requests for the QR
	hasQR     bool
	took      time.Duration // from the accepted connect to the QR
	isLimited bool          // it met a 429
	trail     []string
}

// What the client of a flow does, as existing clients do.
const (
	createTries   = 4
	connectTries  = 3
	qrTries       = 3
	createTimeout = 30 * time.Second
	connectLimit  = 10 * time.Second
	qrTimeout     = 12 * time.Second
	retryPause    = time.Second
	qrPause       = 5 * time.Second
)

// pair runs one flow: create, connect, request the QR.
func (c *clients) pair(ctx context.Context, f *flow) {
	id := c.create(ctx, f)
	if f.created = id != ""; !f.created {
		return
	}
	for try := range connectTries {
		if try > 0 && !sleep(ctx, retryPause) {
			return
		}
		if status, _ := c.do(ctx, f, connectLimit, http.MethodPost, id+"/connect", "{}"); status == http.StatusOK {
			break
		}
	}
	connectedAt := time.Now()
	for f.tries < qrTries && !f.hasQR {
		if f.tries > 0 && !sleep(ctx, qrPause) {
			return
		}
		f.tries++
		status, body := c.do(ctx, f, qrTimeout, http.MethodGet, id+"/qr", "")
		if image := body.Data.QRCode; status == http.StatusOK && image != "" {
			f.hasQR, f.took = true, time.Since(connectedAt)
			c.check(f, image)
		}
	}
}

// create returns the path of the created session; "" if there is none.
func (c *clients) create(ctx context.Context, f *flow) string {
	for try := range createTries {
		if try > 0 && !sleep(ctx, retryPause) {
			return ""
		}
		body := fmt.Sprintf(`{"sessionId":%q,"sessionName":"CRM"}`, f.name)
		status, response := c.do(ctx, f, createTimeout, http.MethodPost, "", body)
		switch {
		case status == http.StatusCreated && response.Data.Session.ID > 0:
			return fmt.Sprint("/", response.Data.Session.ID)
		case status == http.StatusConflict: // the response to an earlier try was lost
			return "/" + f.name
		}
	}
	return ""
}

// check compares a code with what the engine knows of it.
func (c *clients) check(f *flow, image string) {
	o := c.engine.ownerOf(image)
	c.mu.Lock()
	defer c.mu.Unlock()
	if o.key != f.key || o.session != f.name {
		c.wrongTenant++
	}
	if time.Now().After(o.expiresAt) {
		c.expired++
	}
}

// body is what a client reads of a response.
type body struct {
	Data struct {
		QRCode  string
		Session struct{ ID int64 }
	}
}

// do sends one request. Status 0 means that there was no response.
func (c *clients) do(
	ctx context.Context, f *flow, timeout time.Duration, method, path, text string,
) (status int, response body) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	id := fmt.Sprintf("%s.%s.%d", f.key, f.name, len(f.trail))
	var res *http.Response
	var err error
	first := rand.IntN(len(c.targets))
	for i := range c.targets {
		replica := (first + i) % len(c.targets)
		url := c.targets[replica] + "/api/sessions" + path
		req, _ := http.NewRequestWithContext(ctx, method, url, strings.NewReader(text))
		req.Header.Set("X-API-Key", f.key)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-Request-Id", id)
		if res, err = c.http.Do(req); !errors.Is(err, syscall.ECONNREFUSED) {
			first = replica
			break
		}
	}
	raw := []byte("no response")
	if err == nil {
		status = res.StatusCode
		raw, err = io.ReadAll(res.Body)
		_ = res.Body.Close()
	}
	invalid := err == nil && json.Unmarshal(raw, &response) != nil
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests++
	if status == http.StatusTooManyRequests {
		c.limited++
		f.isLimited = true
	}
	if invalid || status == http.StatusInternalServerError {
		c.unexpected++
	}
	f.trail = append(f.trail, fmt.Sprintf("%6.2f s  %5.2f s  replica %d  %s %s: %d %.200s %v",
		began.Sub(c.start).Seconds(), time.Since(began).Seconds(), first, method, path, status, raw, err))
	return status, response
}

// spy requests the QRs of all sessions with a key that owns none, until ctx ends.
func (c *clients) spy(ctx context.Context, sessions int) {
	f := &flow{key: foreignKey, name: "spy"}
	for sleep(ctx, 150*time.Millisecond) {
		path := fmt.Sprintf("/%d/qr?wait=0", 1+rand.IntN(sessions))
		status, response := c.do(ctx, f, 2*time.Second, http.MethodGet, path, "")
		if status == http.StatusOK || response.Data.QRCode != "" {
			c.mu.Lock()
			c.foreignHits++
			c.mu.Unlock()
		}
		if status == http.StatusTooManyRequests {
			c.mu.Lock()
			c.limited-- // it met the engine's limit by itself
			c.mu.Unlock()
		}
	}
}

// foreignKey is a key that the engine accepts and that owns no session.
const foreignKey = "key-foreign"

// run starts n flows over a time, but none after until, and waits for their ends.
func (c *clients) run(ctx context.Context, n, perKey int, over, until time.Duration) {
	c.start = time.Now()
	c.flows = make([]flow, n)
	spying, stop := context.WithCancel(ctx)
	var spies, all sync.WaitGroup
	spies.Go(func() { c.spy(spying, n) })
	order := rand.Perm(n)
	for i := range n {
		at := over * time.Duration(i) / time.Duration(n)
		if at >= until {
			break
		}
		f := &c.flows[order[i]]
		f.key, f.name = fmt.Sprintf("key-%d", order[i]/perKey), fmt.Sprintf("crm-%d", order[i]%perKey)
		all.Go(func() {
			if sleep(ctx, time.Until(c.start.Add(at))) {
				c.pair(ctx, f)
			}
		})
	}
	all.Wait()
	stop()
	spies.Wait()
}
