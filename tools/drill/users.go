package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// user is a simulated user: it creates a session, connects it, requests its QR repeatedly, and starts again after five
// QRs. It retries failures in the next turn.
type user struct {
	base  string
	name  string
	hold  string // the query with the wait
	shown int    // QRs of this session
	alive bool   // the session exists
}

// use runs a number of users until ctx ends.
func (env *environment) use(ctx context.Context, n int) <-chan struct{} {
	done := make(chan struct{}, n)
	for i := range n {
		u := &user{base: env.gate.URL() + "/api/sessions", name: fmt.Sprintf("drill-%d", i)}
		if env.Short {
			u.hold = "?wait=1"
		}
		go func() { defer func() { done <- struct{}{} }(); u.loop(ctx, env.timeScale().of(6*time.Second)) }()
	}
	all := make(chan struct{})
	go func() {
		defer close(all)
		for range n {
			<-done
		}
	}()
	return all
}

// loop takes turns until ctx ends.
func (u *user) loop(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		u.turn(ctx)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (u *user) turn(ctx context.Context) {
	if !u.alive {
		u.alive = u.call(ctx, http.MethodPost, "", fmt.Sprintf(`{"sessionId":%q,"sessionName":"Drill"}`, u.name)) && u.call(ctx, http.MethodPost, "/"+u.name+"/connect", "{}")
		u.shown = 0
		return
	}
	if u.call(ctx, http.MethodGet, "/"+u.name+"/qr"+u.hold, "") {
		u.shown++
	}
	if u.shown >= 5 && u.call(ctx, http.MethodDelete, "/"+u.name, "") {
		u.alive = false
	}
}

// call reports whether a request succeeded.
func (u *user) call(ctx context.Context, method, path, body string) bool {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, u.base+path, strings.NewReader(body))
	if err != nil {
		return false
	}
	req.Header.Set("X-API-Key", userKey)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode == http.StatusOK || res.StatusCode == http.StatusCreated
}
