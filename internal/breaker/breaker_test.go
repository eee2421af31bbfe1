package breaker_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/internal/breaker"
)

// engine is the transport behind the breaker.
type engine func(*http.Request) (*http.Response, error)

func (e engine) RoundTrip(r *http.Request) (*http.Response, error) { return e(r) }

func fails(with error) engine {
	return func(*http.Request) (*http.Response, error) { return nil, with }
}

func responds(status int) engine {
	return func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Body: http.NoBody}, nil
	}
}

// connects opens a connection, then does as after does.
func connects(after engine) engine { return got(httptrace.GotConnInfo{}, after) }

// reuses takes an idle connection.
func reuses(after engine) engine {
	return got(httptrace.GotConnInfo{Reused: true, WasIdle: true}, after)
}

func got(c httptrace.GotConnInfo, after engine) engine {
	return func(r *http.Request) (*http.Response, error) {
		httptrace.ContextClientTrace(r.Context()).GotConn(c)
		return after(r)
	}
}

func slow(d time.Duration, after engine) engine {
	return func(r *http.Request) (*http.Response, error) {
		select {
		case <-time.After(d):
			return after(r)
		case <-r.Context().Done():
			return nil, context.Cause(r.Context())
		}
	}
}

var (
	refused   = fails(&net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")})
	dropped   = slow(3*time.Second, fails(&net.OpError{Op: "dial", Net: "tcp", Err: os.ErrDeadlineExceeded}))
	handshake = slow(3*time.Second, fails(os.ErrDeadlineExceeded)) // as net/http's own: a time-out, and no OpError
	reset     = fails(&net.OpError{Op: "read", Net: "tcp", Err: errors.New("connection reset by peer")})
	malformed = fails(errors.New(`net/http: invalid header field name ""`))
)

// line is a breaker in front of a changing engine.
type line struct {
	*testing.T
	*breaker.Breaker
	engine  engine
	reached atomic.Int32 // calls that came through
	log     []string     // changes of state
}

func newLine(t *testing.T) *line {
	l := &line{T: t, engine: responds(200)}
	l.Breaker = breaker.New(engine(func(r *http.Request) (*http.Response, error) {
		l.reached.Add(1)
		r.Body.(*trackedBody).made = true
		return l.engine(r)
	}), func(from, to breaker.State) { l.log = append(l.log, string(from)+" → "+string(to)) })
	return l
}

// call makes one call, which its client cancels after patience.
func (l *line) call(e engine, patience time.Duration) error {
	l.Helper()
	l.engine = e
	ctx, cancel := context.WithTimeout(l.Context(), patience)
	defer cancel()
	return l.send(ctx)
}

func (l *line) send(ctx context.Context) error {
	l.Helper()
	body := &trackedBody{Reader: strings.NewReader("{}")}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://engine.test/", body)
	if err != nil {
		l.Fatal(err)
	}
	res, err := l.RoundTrip(r)
	if res != nil {
		_ = res.Body.Close()
	}
	if !body.made && !body.closed {
		l.Error("a call that was not sent left its body open")
	}
	return err
}

type trackedBody struct {
	io.Reader
	made, closed bool
}

func (w *trackedBody) Close() error { w.closed = true; return nil }

const ever = time.Hour

func TestBreaker_CountsOnlyFailedConnections(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		engine   engine
		patience time.Duration
		want     breaker.State
	}{
		"refused":                          {refused, ever, breaker.Open},
		"packets are dropped":              {dropped, ever, breaker.Open},
		"no TLS handshake":                 {handshake, ever, breaker.Open},
		"the client left during the dial":  {dropped, time.Second, breaker.Closed},
		"200":                              {responds(200), ever, breaker.Closed},
		"503":                              {responds(503), ever, breaker.Closed},
		"a slow response":                  {connects(slow(time.Minute, responds(200))), ever, breaker.Closed},
		"a client that did not wait":       {connects(slow(time.Minute, responds(200))), time.Second, breaker.Closed},
		"no response in time":              {connects(handshake), ever, breaker.Closed},
		"the connection was cut":           {connects(reset), ever, breaker.Closed},
		"cut before anybody knew of it":    {reset, ever, breaker.Closed},
		"a request that cannot be written": {malformed, ever, breaker.Closed},
		"refused, and the client had left": {refused, 0, breaker.Closed},
		"a dead connection, then none":     {reuses(refused), ever, breaker.Open},
		"an old connection, and 200":       {reuses(responds(200)), ever, breaker.Closed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newLine(t)
				for range 4 {
					_ = l.call(c.engine, c.patience)
				}
				if got := l.State(); got != breaker.Closed {
					t.Errorf("%s after four calls", got)
				}
				for range 8 {
					_ = l.call(c.engine, c.patience)
				}
				if got := l.State(); got != c.want {
					t.Errorf("%s, want %s", got, c.want)
				}
			})
		})
	}
}

// Failures must be in a row.
func TestBreaker_OneConnectionCloses(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	for range 10 {
		for range 4 {
			_ = l.call(refused, ever)
		}
		_ = l.call(connects(reset), ever)
	}
	if l.reached.Load() != 50 || len(l.log) != 0 {
		t.Errorf("%d calls of 50 came through, %v", l.reached.Load(), l.log)
	}
}

// During an outage five calls wait for the dial, later ones fail at once, one per second tries, and the first
// connection ends it.
func TestBreaker_Outage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		began := time.Now()
		for range 5 {
			_ = l.call(dropped, ever)
		}
		if took := time.Since(began); took != 15*time.Second || l.State() != breaker.Open {
			t.Errorf("%s after %v", l.State(), took)
		}
		l.reached.Store(0)
		for range 90 {
			asked := time.Now()
			err := l.call(responds(200), ever)
			dial, ok := errors.AsType[*net.OpError](err)
			if !ok || dial.Op != "dial" || dial.Timeout() || time.Since(asked) != 0 {
				t.Fatalf("%v after %v", err, time.Since(asked))
			}
			time.Sleep(11 * time.Millisecond)
		}
		if l.reached.Load() != 0 {
			t.Errorf("%d calls came through an open circuit", l.reached.Load())
		}
		time.Sleep(breaker.OpenTimeout)
		_ = l.call(refused, ever)
		if l.State() != breaker.Open || l.reached.Load() != 1 {
			t.Errorf("%s after a try that failed, of %d", l.State(), l.reached.Load())
		}
		time.Sleep(breaker.OpenTimeout + time.Millisecond)
		if err := l.call(responds(500), ever); err != nil || l.State() != breaker.Closed {
			t.Errorf("%v, and %s", err, l.State())
		}
		want := []string{"closed → open", "open → half_open", "half_open → open", "open → half_open", "half_open → closed"}
		if diff := cmp.Diff(want, l.log); diff != "" {
			t.Error(diff)
		}
	})
}

// open returns a line whose circuit is open and lets the next call try.
func open(t *testing.T) *line {
	l := newLine(t)
	for range 5 {
		_ = l.call(refused, ever)
	}
	time.Sleep(breaker.OpenTimeout + time.Millisecond)
	l.reached.Store(0)
	return l
}

// The response to the trial call is slow. Its connection closes the circuit for other calls at once.
func TestBreaker_SlowResponseClosesAtConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := open(t)
		l.engine = slow(time.Second, connects(slow(time.Minute, responds(200))))
		done := make(chan error)
		go func() { done <- l.send(t.Context()) }()
		synctest.Wait()
		if err := l.send(t.Context()); err == nil || l.reached.Load() != 1 {
			t.Errorf("%d calls try at once, %v", l.reached.Load(), err)
		}
		time.Sleep(time.Second + time.Millisecond)
		if err := l.call(responds(200), ever); err != nil || l.State() != breaker.Closed {
			t.Errorf("%v, and %s", err, l.State())
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// The client of the trial call cancels it before its dial ends: the next call tries at once.
func TestBreaker_CanceledCallIsNotTheTrial(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := open(t)
		if err := l.call(dropped, time.Second); !errors.Is(err, context.DeadlineExceeded) || l.State() != breaker.HalfOpen {
			t.Errorf("%v, and %s", err, l.State())
		}
		if err := l.call(responds(200), ever); err != nil || l.State() != breaker.Closed {
			t.Errorf("%v, and %s", err, l.State())
		}
	})
}

// A call that an open circuit fails has the error of the last dial.
func TestBreaker_KeepsLastReason(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	for range 5 {
		_ = l.call(fails(&net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}), ever)
	}
	l.reached.Store(0)
	if err := l.call(responds(200), ever); l.reached.Load() != 0 || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("last error %v", err)
	}
}
