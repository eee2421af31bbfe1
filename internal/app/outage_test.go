package app_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"qrgate/internal/test/enginesim"
)

// dialTime is the bound of a dial, as proxy.Transport has it.
const dialTime = 3 * time.Second

// network is the network between qrgate and its engine. Where it is closed connections are lost, and packets are
// dropped: who dials waits for nothing.
type network struct {
	mu     sync.Mutex
	closed bool
	conns  []net.Conn
}

func (r *network) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for _, c := range r.conns {
		_ = c.Close()
	}
	r.conns = nil
}

func (r *network) open() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = false
}

// passes keeps a connection that was opened, for close; false where the network is closed.
func (r *network) passes(c net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.conns = append(r.conns, c)
	}
	return !r.closed
}

type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// dial is next by this network.
func (r *network) dial(next dialer) dialer {
	if r == nil {
		return next
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := next(ctx, network, address)
		if err != nil || r.passes(c) {
			return c, err
		}
		_ = c.Close()
		select {
		case <-time.After(dialTime):
			return nil, &net.OpError{Op: "dial", Net: network, Err: os.ErrDeadlineExceeded}
		case <-ctx.Done():
			return nil, &net.OpError{Op: "dial", Net: network, Err: context.Cause(ctx)}
		}
	}
}

// by puts a network before the engine.
func by(link *network) func(*setup) { return func(s *setup) { s.network = link } }

// asked makes a call that passes through, and returns how long it took.
func (r *rig) asked(path string) (response, time.Duration) {
	r.Helper()
	began := time.Now()
	return r.get(path), time.Since(began)
}

// With packets dropped the first five requests wait for a dial each. The others get the same response at once; and when
// the network works again a retry succeeds within a second.
func TestOutage_CostsFiveDials(t *testing.T) {
	var link network
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		id := r.create("crm-1")
		link.close()
		for range 5 {
			res, took := r.asked("/api/messages/unread")
			res.wantsCode(http.StatusServiceUnavailable, "ENGINE_UNREACHABLE")
			if took != dialTime {
				r.Errorf("a dial took %v", took)
			}
		}
		for _, path := range []string{"/api/messages/unread", "/api/sessions", "/api/sessions/" + id} {
			res, took := r.asked(path)
			res.wantsCode(http.StatusServiceUnavailable, "ENGINE_UNREACHABLE")
			if took != 0 || res.Header.Get("Retry-After") == "" {
				r.Errorf("%s: responded after %v, headers %v", path, took, res.Header)
			}
		}
		if res := r.post("/api/sessions", `{"sessionId":"crm-2","sessionName":"Test"}`); res.StatusCode != http.StatusServiceUnavailable {
			r.Errorf("create: %d %s", res.StatusCode, res.body)
		}
		link.open()
		began := time.Now()
		for r.get("/api/sessions").StatusCode != http.StatusOK {
			if time.Since(began) > 1100*time.Millisecond {
				r.Fatalf("no request succeeded within %v", time.Since(began))
			}
			time.Sleep(50 * time.Millisecond)
		}
		if n := r.calls(0, enginesim.RouteCreate); n != 1 {
			r.Errorf("%d creates reached the engine, of one that could", n)
		}
	}, by(&link))
}

// A waiting request outlives an outage of the engine of any kind.
func TestOutage_WaitingRequestGetsQR(t *testing.T) {
	var link network
	bubble(t, &enginesim.Engine{QRDelay: 8 * time.Second}, func(r *rig) {
		id := r.create("crm-1")
		r.connect(id)
		time.Sleep(time.Second)
		link.close()
		time.AfterFunc(5*time.Second, link.open)
		res, took := r.asked("/api/sessions/" + id + "/qr?wait=30")
		res.wants(http.StatusOK)
		res.wantsQR()
		if took > 10*time.Second {
			r.Errorf("it took %v", took)
		}
	}, by(&link))
}

// A refused connection is never reported as a timeout, neither before the circuit opens nor after.
func TestOutage_DroppedPackets(t *testing.T) {
	var link network
	bubble(t, &enginesim.Engine{QRDelay: time.Hour}, func(r *rig) {
		id := r.create("crm-1")
		r.connect(id)
		time.Sleep(time.Second)
		link.close()
		for began := time.Now(); time.Since(began) < 40*time.Second; time.Sleep(time.Second) {
			code := r.get("/api/sessions/" + id + "/qr/status").text("data.diagnosis.code")
			if code == "engine_timeout" || time.Since(began) > 10*time.Second && code != "engine_unreachable" {
				r.Errorf("after %v: %q", time.Since(began), code)
			}
		}
	}, by(&link))
}
