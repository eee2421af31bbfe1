package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// client is an existing client of the engine: it creates a session, connects it, and requests the QR.
type client struct {
	http     *http.Client
	base     string
	attempts int           // the production client makes three (contract 4.1)
	pause    time.Duration // between two attempts; 5 s
	patience time.Duration // of one request; 15 s
}

// newClient returns a client of base with persistent connections, for many sessions.
func newClient(base string) client {
	transport := &http.Transport{MaxIdleConns: 0, MaxIdleConnsPerHost: 1 << 14, DisableCompression: true}
	return client{http: &http.Client{Transport: transport}, base: base, attempts: 1, pause: 5 * time.Second, patience: 15 * time.Second}
}

func (c client) close() { c.http.CloseIdleConnections() }

// begin creates a session and connects it.
func (c client) begin(ctx context.Context, key, session string) error {
	for _, step := range [][2]string{
		{"/api/sessions", `{"sessionId":"` + session + `","sessionName":"bench"}`}, {"/api/sessions/" + session + "/connect", "{}"},
	} {
		status, _, err := c.ask(ctx, http.MethodPost, c.base+step[0], key, step[1])
		if err != nil {
			return err
		}
		if status >= 300 {
			return fmt.Errorf("%w: %s returned %d", errRefused, step[0], status)
		}
	}
	return nil
}

// asked is the result of a client's requests for a QR.
type asked struct {
	got   time.Time // the zero time: no QR
	tries int       // requests until then, or in total
	fives int       // responses of 500 and above
}

// qr requests the QR until it has one or gives up. The error is the context's.
func (c client) qr(ctx context.Context, key, session string) (asked, error) {
	var a asked
	for a.tries < c.attempts {
		if a.tries > 0 && !pause(ctx, c.pause) {
			return a, context.Cause(ctx)
		}
		a.tries++
		status, body, err := c.ask(ctx, http.MethodGet, c.base+"/api/sessions/"+session+"/qr", key, "")
		if ctx.Err() != nil {
			return a, context.Cause(ctx)
		}
		if status >= http.StatusInternalServerError {
			a.fives++
		}
		if err == nil && status == http.StatusOK && hasQR(body) {
			a.got = time.Now()
			return a, nil
		}
	}
	return a, nil
}

// hasQR reports whether a body has the code where every client reads it.
func hasQR(body []byte) bool {
	var answer struct {
		Data struct {
			QRCode string `json:"qrCode"`
		} `json:"data"`
	}
	return json.Unmarshal(body, &answer) == nil && strings.HasPrefix(answer.Data.QRCode, "data:image/")
}

// ask sends one request with the client's timeout.
func (c client) ask(ctx context.Context, method, url, key, body string) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("X-API-Key", key)
	r.Header.Set("Content-Type", "application/json")
	res, err := c.http.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, b, err
}

// pause waits. It reports false when ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
