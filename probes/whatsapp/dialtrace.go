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

// dialTrace records which steps of one dial succeeded, as net/http reports them.
type dialTrace struct {
	mu        sync.Mutex
	startedAt time.Time
	last      time.Time // the end of the last step that succeeded
	steps     []Step
	onWire    bool // the request was written to a connection
}

// watch returns ctx with hooks into the dial.
func (t *dialTrace) watch(ctx context.Context) context.Context {
	t.last = t.startedAt
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSDone: func(i httptrace.DNSDoneInfo) {
			t.pass(session.StepDNS, i.Err, fmt.Sprintf("%d addresses", len(i.Addrs)))
		},
		ConnectDone: func(_, address string, err error) {
			t.pass(session.StepTCP, err, "connected to "+address)
		},
		TLSHandshakeDone: func(s tls.ConnectionState, err error) {
			t.pass(session.StepTLS, err, tls.VersionName(s.Version))
		},
		WroteRequest: func(httptrace.WroteRequestInfo) {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.onWire = true
		},
	})
}

// pass records a step that succeeded, once: a dial tries several addresses at a time.
func (t *dialTrace) pass(name session.ConnectivityStep, err error, detail string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		return
	}
	for _, s := range t.steps {
		if s.Name == name {
			return
		}
	}
	now := time.Now()
	t.steps = append(t.steps, Step{name, true, now.Sub(t.last), detail})
	t.last = now
}

// completed returns the steps that succeeded, in their order. A custom dialer reports none; they succeeded all the same
// if there is a connection.
func (t *dialTrace) completed() []Step {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.onWire && len(t.steps) == 0 {
		for _, name := range session.ConnectivitySteps()[:3] {
			t.steps = append(t.steps, Step{name, true, 0, "by the configured dialer"})
		}
	}
	return append([]Step(nil), t.steps...)
}

// next is the step at which the dial ended.
func (t *dialTrace) next() session.ConnectivityStep {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.onWire {
		return session.StepUpgrade
	}
	if len(t.steps) == 0 {
		return session.StepDNS
	}
	all := session.ConnectivitySteps()
	for i, name := range all {
		if name == t.steps[len(t.steps)-1].Name {
			return all[i+1]
		}
	}
	return session.StepDNS
}

// sinceLastStep is the time since the last step that succeeded.
func (t *dialTrace) sinceLastStep() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return time.Since(t.last)
}
