package proxy

import (
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
)

// headerLoop is where proxies name themselves to each other (RFC 8586). Via would do, but makes some servers send
// their answers unpacked.
const headerLoop = "Cdn-Loop"

const textLoop = "The gate's engine is the gate itself: the address in QRGATE_ENGINE_URL leads back here. Set it to the engine's own address."

// Loop marks what a gate sends to its engine, and knows it again. A gate whose engine's address leads back to itself
// would ask itself without end; one request of a client would be ten thousand. A gate before another gate is none.
type Loop struct{ name string }

// NewLoop gives a gate a name that no other has.
func NewLoop() *Loop { return &Loop{"qrgate-" + rand.Text()} }

// mark adds the gate's name to a request.
func (l *Loop) mark(h http.Header) { h.Add(headerLoop, l.name) }

// Seen reports whether a request was here before.
func (l *Loop) Seen(h http.Header) bool {
	return slices.ContainsFunc(h[headerLoop], func(line string) bool { return strings.Contains(line, l.name) })
}

// Transport marks the calls that the gate makes on its own account.
func (l *Loop) Transport(next http.RoundTripper) http.RoundTripper { return loopTransport{l, next} }

type loopTransport struct {
	loop *Loop
	next http.RoundTripper
}

// RoundTrip sends a copy of r that is marked.
func (m loopTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	m.loop.mark(r.Header)
	return m.next.RoundTrip(r)
}
