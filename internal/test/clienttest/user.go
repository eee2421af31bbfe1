package clienttest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

var errTimeout = errors.New("timed out")

// maxText is the maximum length of a body. The real clients have no limit.
const maxText = 8 << 20

// user is a running client.
type user struct {
	target    Target
	http      http.Client
	startedAt time.Time

	mu     sync.Mutex // the wizard's requests overlap
	result Result
}

func newUser(at Target, prefix string) *user {
	u := &user{target: at, startedAt: time.Now()}
	if at.HTTP != nil {
		u.http = *at.HTTP
	}
	u.http.CheckRedirect = nil // python-requests and fetch both follow
	u.result.Session = at.Session
	if at.Session == "" {
		u.result.Session = prefix + "_" + rand.Text()[:10] // letters and 2 to 7
	}
	return u
}

// call is a request to send.
type call struct {
	method, path, body string
	timeout            time.Duration // as in python-requests: of connecting, and of every pause between bytes; 0: none
	headers            []string      // names and values alternate
}

// response is a response, or the error in its place.
type response struct {
	status  int
	text    string
	err     error // no complete response
	timeout bool  // err is a timeout
}

// do sends a request and records it.
func (u *user) do(ctx context.Context, c call) response {
	u.mu.Lock()
	index := len(u.result.Steps)
	at := time.Since(u.startedAt)
	u.result.Steps = append(u.result.Steps, Step{At: at, Method: c.method, Path: c.path})
	u.mu.Unlock()

	r := u.send(ctx, c)

	u.mu.Lock()
	defer u.mu.Unlock()
	step := &u.result.Steps[index]
	step.Took, step.Status = time.Since(u.startedAt)-at, r.status
	if r.err != nil {
		step.Err = r.err.Error()
	}
	return r
}

func (u *user) send(ctx context.Context, c call) response {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	alive := func() {}
	if c.timeout > 0 {
		timer := time.AfterFunc(c.timeout, func() { cancel(errTimeout) })
		defer timer.Stop()
		alive = func() { timer.Reset(c.timeout) }
	}
	req, err := u.request(ctx, c)
	if err != nil {
		return response{err: err}
	}
	res, err := u.http.Do(req)
	if err != nil {
		return response{err: err, timeout: errors.Is(context.Cause(ctx), errTimeout)}
	}
	defer func() { _ = res.Body.Close() }()
	text, err := readAll(res.Body, alive)
	return response{res.StatusCode, text, err, err != nil && errors.Is(context.Cause(ctx), errTimeout)}
}

func (u *user) request(ctx context.Context, c call) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, c.method, u.target.Base+c.path, strings.NewReader(c.body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-API-Key", u.target.Key)
	req.Header.Set("Content-Type", "application/json") // on GET too (5.3)
	req.Header.Set("Accept", "*/*")
	req.Header.Set("User-Agent", "python-requests/2.31.0")
	for i := 0; i+1 < len(c.headers); i += 2 {
		req.Header.Set(c.headers[i], c.headers[i+1])
	}
	return req, nil
}

// readAll reads a body and calls alive before every read.
func readAll(body io.Reader, alive func()) (string, error) {
	var text strings.Builder
	block := make([]byte, 32<<10)
	for text.Len() < maxText {
		alive()
		n, err := body.Read(block)
		text.Write(block[:n])
		if err == io.EOF {
			return text.String(), nil
		}
		if err != nil {
			return text.String(), err
		}
	}
	return text.String(), errors.New("the body is too long")
}

// sleep reports false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// finish returns the result.
func (u *user) finish(err error) Result {
	u.mu.Lock()
	defer u.mu.Unlock()
	r := u.result
	r.Took, r.Err = time.Since(u.startedAt), err
	r.Steps = append([]Step(nil), r.Steps...)
	return r
}

// show stores a QR and with it the claim of success.
func (u *user) show(qr string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.result.GotQR, u.result.QR, u.result.Claims = qr != "", qr, true
}

// document is a JSON response, read as loosely as Python and JavaScript do.
type document map[string]any

// json parses the body. A body that is no JSON object crashes most clients.
func (r response) json() (document, error) {
	if r.err != nil {
		return nil, r.err
	}
	var d document
	decoder := json.NewDecoder(strings.NewReader(r.text))
	decoder.UseNumber()
	if err := decoder.Decode(&d); err != nil || d == nil {
		return nil, fmt.Errorf("status %d is no JSON object", r.status)
	}
	return d, nil
}

// object returns a member that is an object, or nil, of which every read is empty.
func (d document) object(name string) document {
	m, _ := d[name].(map[string]any)
	return m
}

// text returns a member that is a string, or "".
func (d document) text(name string) string {
	s, _ := d[name].(string)
	return s
}

// isTrue reports whether a member is true for Python and JavaScript.
func (d document) isTrue(name string) bool {
	switch v := d[name].(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != ""
	case json.Number:
		f, err := v.Float64()
		return err == nil && f != 0
	}
	return true
}

// id returns a member that is a number or a string, for use in a path.
func (d document) id(name string) string {
	switch v := d[name].(type) {
	case json.Number:
		return v.String()
	case string:
		return v
	}
	return ""
}

// qr returns the code of a successful /qr response, or "".
func (r response) qr() string {
	d, err := r.json()
	if err != nil || r.status != 200 || !d.isTrue("success") {
		return ""
	}
	return d.object("data").text("qrCode")
}

// codeAbsent reports whether the code of a successful response is missing or null.
func (d document) codeAbsent() bool { return d.object("data")["qrCode"] == nil }

// showsQR reports whether a /status response makes the polling scripts request the QR.
func showsQR(data document, states ...string) bool {
	if data.isTrue("hasQR") {
		return true
	}
	status := strings.ToLower(data.text("status"))
	for _, s := range states {
		if status == s {
			return true
		}
	}
	return false
}

func quote(text string) string { return strconv.Quote(text) }
