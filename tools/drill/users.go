package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// user is somebody who wants a QR all the time: makes a session, connects it, asks again and again, and after
// five QRs begins anew. What goes wrong is tried again at the next turn.
type user struct {
	base  string
	name  string
	hold  string // a query that says for how long to be held
	shown int    // QRs that this session had
	alive bool   // there is a session
}

// use lets a number of users want QRs until ctx ends.
func (st *stage) use(ctx context.Context, n int) <-chan struct{} {
	done := make(chan struct{}, n)
	for i := range n {
		u := &user{base: st.gate.URL() + "/api/sessions", name: fmt.Sprintf("drill-%d", i)}
		if st.Short {
			u.hold = "?wait=1"
		}
		go func() { defer func() { done <- struct{}{} }(); u.loop(ctx, st.pace().of(6*time.Second)) }()
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
