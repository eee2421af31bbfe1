// Package breaker is a circuit breaker for calls to the engine. Where packets are dropped, each call would wait for the
// whole timeout of a dial; while the circuit is open, calls fail at once.
//
// Only connections that cannot be opened count as failures. Slow responses, errors of the engine and clients that
// disconnect do not.
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

	"qrgate/compat"
)

// limit is how many connections in a row must fail before the circuit opens: an outage should open it after one round
// of polls, a short restart of the engine should not.
const limit = 5

// OpenTimeout is how long an open circuit fails all calls before one of them may try. It is the longest time that the
// breaker adds to an outage.
const OpenTimeout = time.Second

// State is the state of a circuit.
type State string

// The states of a circuit.
const (
	Closed   State = "closed"    // every call is sent
	HalfOpen State = "half_open" // one call is sent and decides; the others fail at once
	Open     State = "open"      // calls fail at once
)

// Breaker is a transport with a circuit breaker. It starts nothing.
type Breaker struct {
	next    http.RoundTripper
	circuit *gobreaker.TwoStepCircuitBreaker[struct{}]
	last    atomic.Pointer[openError] // why the last connection could not be opened
}

var _ http.RoundTripper = (*Breaker)(nil)

// New returns a closed circuit for next. It calls changed for every change of state, in order and with the circuit
// locked: changed must be fast and must not call the breaker.
func New(next http.RoundTripper, changed func(from, to State)) *Breaker {
	return &Breaker{next: next, circuit: gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests:   1,
		Timeout:       OpenTimeout,
		ReadyToTrip:   func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= limit },
		IsExcluded:    func(err error) bool { return errors.Is(err, errInconclusive) },
		OnStateChange: func(_ string, from, to gobreaker.State) { changed(stateOf(from), stateOf(to)) },
	})}
}

// openError is the error of a call that an open circuit did not send: the error of the last call that was sent.
type openError struct{ error }

// Unwrap returns the error of the last call that was sent, so that it is classified in the same way.
func (u openError) Unwrap() error { return u.error }

// Error states that the call was not sent.
func (u openError) Error() string { return "not tried, the circuit is open: " + u.error.Error() }

// RoundTrip implements [http.RoundTripper]. The error of a call that is not sent is a [*net.OpError] of the operation
// "dial", as for a refused connection. No call is sent twice: the call that tries a half-open circuit is a caller's
// own.
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
			if err != nil && !errors.Is(err, errInconclusive) {
				b.last.Store(&openError{err})
			}
			report(err)
		})
	}
	// A new connection counts as success at once: its response may take a minute, and a half-open circuit would block all
	// other calls meanwhile. A reused connection may be dead, and counts only with its response.
	ctx := httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) {
		if !c.Reused {
			reportOnce(nil)
		}
	}})
	defer func() { reportOnce(connectError(err, r.Context().Err() != nil)) }()
	return b.next.RoundTrip(r.WithContext(ctx))
}

// Last is why the last connection could not be opened; nil if all could. The callback of [New] may call it.
func (b *Breaker) Last() error {
	if last := b.last.Load(); last != nil {
		return last.error
	}
	return nil
}

// why is the error of a call that was not sent.
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

// errInconclusive is the result of a call that counts neither as success nor as failure.
var errInconclusive = errors.New("inconclusive call")

// connectError is the error of a call if no connection could be opened, nil after a success, and errInconclusive for
// any other error: that is the request's own and must not open the circuit. A cancellation ends a dial, too, and a
// timeout before there is a connection is one of the dial or of the TLS handshake.
func connectError(err error, isCanceled bool) error {
	f := compat.ClassifyTransportError(err)
	if err == nil || !isCanceled && (f.IsNotConnected() || f.Timeout) {
		return err
	}
	return errInconclusive
}
