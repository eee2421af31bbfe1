package clienttest

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

var errTimeout = errors.New("timed out")

// maxText is how much of a body a client reads here. The real ones know no limit.
const maxText = 8 << 20

// user is a client while it runs.
type user struct {
	target Target
	http   http.Client
	begin  time.Time

	mu     sync.Mutex // the wizard's requests overlap
	result Result
}

func newUser(at Target, prefix string) *user {
	u := &user{target: at, begin: time.Now()}
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

// call is a request to be made.
type call struct {
	method, path, body string
	timeout            time.Duration // python's: of connecting, and of every pause between bytes; 0: none
	headers            []string      // names and values in turn
}

// reply is what came back.
type reply struct {
	status  int
	text    string
	err     error // no whole answer
	timeout bool  // err is a time-out
}

// do makes a request and takes it down.
func (u *user) do(ctx context.Context, c call) reply {
	u.mu.Lock()
	index := len(u.result.Steps)
	at := time.Since(u.begin)
	u.result.Steps = append(u.result.Steps, Step{At: at, Method: c.method, Path: c.path})
	u.mu.Unlock()

	r := u.send(ctx, c)

	u.mu.Lock()
	defer u.mu.Unlock()
	step := &u.result.Steps[index]
	step.Took, step.Status = time.Since(u.begin)-at, r.status
	if r.err != nil {
		step.Err = r.err.Error()
	}
	return r
}

func (u *user) send(ctx context.Context, c call) reply {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	alive := func() {}
	if c.timeout > 0 {
		timer := time.AfterFunc(c.timeout, func() { cancel(errTimeout) })
		defer timer.Stop()
		alive = func() { timer.Reset(c.timeout) }
	}
	request, err := u.request(ctx, c)
	if err != nil {
		return reply{err: err}
	}
	response, err := u.http.Do(request)
	if err != nil {
		return reply{err: err, timeout: context.Cause(ctx) == errTimeout}
	}
	defer func() { _ = response.Body.Close() }()
	text, err := readAll(response.Body, alive)
	return reply{response.StatusCode, text, err, err != nil && context.Cause(ctx) == errTimeout}
}

func (u *user) request(ctx context.Context, c call) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, c.method, u.target.Base+c.path, strings.NewReader(c.body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("X-API-Key", u.target.Key)
	request.Header.Set("Content-Type", "application/json") // on GET too (5.3)
	request.Header.Set("Accept", "*/*")
	request.Header.Set("User-Agent", "python-requests/2.31.0")
	for i := 0; i+1 < len(c.headers); i += 2 {
		request.Header.Set(c.headers[i], c.headers[i+1])
	}
	return request, nil
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

// end closes the books.
func (u *user) end(err error) Result {
	u.mu.Lock()
	defer u.mu.Unlock()
	r := u.result
	r.Took, r.Err = time.Since(u.begin), err
	r.Steps = append([]Step(nil), r.Steps...)
	return r
}

// show takes a QR; claiming success goes with it.
func (u *user) show(qr string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.result.GotQR, u.result.QR, u.result.Claims = qr != "", qr, true
}
