package whatsapp

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http/httptrace"
	"sync"
	"time"

	"qrgate/internal/session"
)

// dialTrace are how far one dial came, as net/http tells it.
type dialTrace struct {
	mu     sync.Mutex
	began  time.Time
	last   time.Time // the end of the last step that was passed
	steps  []Step
	onWire bool // a connection is there and the request was written
}

// watch returns ctx with hooks into the dial.
func (m *dialTrace) watch(ctx context.Context) context.Context {
	m.last = m.began
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSDone: func(i httptrace.DNSDoneInfo) {
			m.pass(session.ControlDNS, i.Err, fmt.Sprintf("%d addresses", len(i.Addrs)))
		},
		ConnectDone:      func(_, address string, err error) { m.pass(session.ControlTCP, err, "connected to "+address) },
		TLSHandshakeDone: func(s tls.ConnectionState, err error) { m.pass(session.ControlTLS, err, tls.VersionName(s.Version)) },
		WroteRequest:     func(httptrace.WroteRequestInfo) { m.mu.Lock(); defer m.mu.Unlock(); m.onWire = true },
	})
}

// pass notes a step that succeeded, once: a dial tries several addresses at a time.
func (m *dialTrace) pass(name session.ConnectivityStep, err error, detail string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		return
	}
	for _, s := range m.steps {
		if s.Name == name {
			return
		}
	}
	now := time.Now()
	m.steps = append(m.steps, Step{name, true, now.Sub(m.last), detail})
	m.last = now
}

// completed are the steps that succeeded, in their order. A dialer of somebody's own tells nothing of them; what
// lies before a connection that is there was passed all the same.
func (m *dialTrace) completed() []Step {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.onWire && len(m.steps) == 0 {
		for _, name := range session.ControlSteps()[:3] {
			m.steps = append(m.steps, Step{name, true, 0, "by the configured dialer"})
		}
	}
	return append([]Step(nil), m.steps...)
}

// next is the step that the dial was at when it ended.
func (m *dialTrace) next() session.ConnectivityStep {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.onWire {
		return session.ControlUpgrade
	}
	if len(m.steps) == 0 {
		return session.ControlDNS
	}
	all := session.ControlSteps()
	for i, name := range all {
		if name == m.steps[len(m.steps)-1].Name {
			return all[i+1]
		}
	}
	return session.ControlDNS
}

// since is the time since the last step that was passed.
func (m *dialTrace) since() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Since(m.last)
}
