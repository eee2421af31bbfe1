// Package breaker stands before the engine and answers for one that is not there. Where packets are dropped,
// finding that out takes the whole bound of a dial, and without a breaker every caller pays it anew: while the
// circuit is open callers are told at once.
//
// Only connections that cannot be opened count. Slow answers, errors of the engine and clients that leave
// say that somebody is there, or nothing at all.
package breaker

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
)

// limit is how many connections in a row must fail before the circuit opens. A restart of the engine that
// nobody waits for should not open it, an outage should after one round of looks.
const limit = 5

// OpenTimeout is how long an open circuit tells callers at once before one of them may try. It is the most that the
// breaker adds to an outage.
const OpenTimeout = time.Second

// State is what a circuit does with calls.
type State string

// The states of a circuit.
const (
	Closed   State = "closed"    // every call goes through
	HalfOpen State = "half_open" // one call goes through and decides; the others are told at once
	Open     State = "open"      // callers are told at once
)

// States lists every state.
func States() []State { return []State{Closed, HalfOpen, Open} }

// Breaker is a transport with a circuit before it. It starts nothing.
type Breaker struct {
	next    http.RoundTripper
	circuit *gobreaker.TwoStepCircuitBreaker[struct{}]
	last    atomic.Pointer[openError] // why the last connection could not be opened
}

var _ http.RoundTripper = (*Breaker)(nil)

// New returns a closed circuit before next. It calls changed once for every change of state, in their order
// and with the circuit locked: changed must be quick and must not call the breaker.
func New(next http.RoundTripper, changed func(from, to State)) *Breaker {
	return &Breaker{next: next, circuit: gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests:   1,
		Timeout:       OpenTimeout,
		ReadyToTrip:   func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= limit },
		IsExcluded:    func(err error) bool { return err == errInconclusive },
		OnStateChange: func(_ string, from, to gobreaker.State) { changed(stateOf(from), stateOf(to)) },
	})}
}

// openError is the error of a call that an open circuit did not make: what the last one that was made met.
type openError struct{ error }

// Unwrap returns what the last call met, so that callers are told the same as those who paid for it.
func (u openError) Unwrap() error { return u.error }

// Error says that nothing was tried.
func (u openError) Error() string { return "not tried, the circuit is open: " + u.error.Error() }

// RoundTrip implements [http.RoundTripper]. While the circuit is not closed its error is a [*net.OpError] of
// the operation "dial", as if the connection had been refused; nothing has been sent then. No call is sent
// twice: the one that tries a half-open circuit is a caller's own.
func (b *Breaker) RoundTrip(r *http.Request) (res *http.Response, err error) {
	report, refused := b.circuit.Allow()
	if refused != nil {
		if r.Body != nil {
			_ = r.Body.Close() // as every RoundTripper must
		}
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: b.why(refused)}
	}
	var once sync.Once
	reportOnce := func(err error) {
		once.Do(func() {
			if err != nil && err != errInconclusive {
				b.last.Store(&openError{err})
			}
			report(err)
		})
	}
	// A new connection is news as soon as it is there. The answer may take a minute, and a half-open circuit
	// that waited for it would keep everybody else away from an engine that is back. One that lay idle may
	// be dead, and proves nothing before its answer.
	ctx := httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) {
		if !c.Reused {
			reportOnce(nil)
		}
	}})
	defer func() { reportOnce(verdict(err, r.Context().Err() != nil)) }()
	return b.next.RoundTrip(r.WithContext(ctx))
}

// Last is why the last connection could not be opened; nil if all could. It may be asked while the circuit changes.
func (b *Breaker) Last() error {
	if last := b.last.Load(); last != nil {
		return last.error
	}
	return nil
}

// why is the error of a call that was not made.
func (b *Breaker) why(refused error) error {
	if last := b.last.Load(); last != nil {
		return *last
	}
	return refused
}

// State is the state of the circuit now.
func (b *Breaker) State() State { return stateOf(b.circuit.State()) }

func stateOf(s gobreaker.State) State {
	switch s {
	case gobreaker.StateOpen:
		return Open
	case gobreaker.StateHalfOpen:
		return HalfOpen
	}
	return Closed
}

// errInconclusive is the verdict on a call that says nothing about whether the engine is there.
var errInconclusive = errors.New("the call says nothing about the engine")

// verdict is what the end of a call says about the engine, if no new connection was had before: nil that it is
// there, errInconclusive nothing, anything else that no connection could be opened. given is whether the caller had
// given the call up, which ends a dial as well and is nobody's failure.
func verdict(err error, given bool) error {
	switch {
	case err == nil:
		return nil
	case !given && dialFailed(err):
		return err
	}
	return errInconclusive
}

// dialFailed reports whether a call failed for want of a connection. A time-out before there is a connection is
// one of the dial or of the TLS handshake; what else can fail then is the request itself, which is the
// caller's doing and must not close the engine to others.
func dialFailed(err error) bool {
	if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Op == "dial" {
		return true
	}
	timed, ok := errors.AsType[net.Error](err)
	return ok && timed.Timeout()
}
