package session

import (
	"fmt"
	"time"

	"qrgate/internal/diagnosis"
)

// ConnectivityStep is one step of the gate's own look at WhatsApp, in the order in which they are taken.
type ConnectivityStep string

// The steps.
const (
	ControlDNS       ConnectivityStep = "dns"       // the name web.whatsapp.com
	ControlTCP       ConnectivityStep = "tcp"       // port 443
	ControlTLS       ConnectivityStep = "tls"       // and WhatsApp's own certificate
	ControlUpgrade   ConnectivityStep = "upgrade"   // the websocket
	ControlHandshake ConnectivityStep = "handshake" // the Noise handshake, up to the codes of an unlinked device
)

// ControlSteps lists the steps in their order.
func ControlSteps() []ConnectivityStep {
	return []ConnectivityStep{ControlDNS, ControlTCP, ControlTLS, ControlUpgrade, ControlHandshake}
}

// ConnectivityResult is what the gate found when it went to WhatsApp itself, without the engine. A look whose Code
// is None and whose Step is ControlHandshake was sent codes: the path is free, and the version is accepted.
type ConnectivityResult struct {
	Step     ConnectivityStep `json:"step"` // where it ended
	Code     diagnosis.Code   `json:"code"` // None, or why it went no further
	Took     time.Duration    `json:"took"`
	At       time.Time        `json:"at"`      // when it ended; zero for no look
	Failing  time.Time        `json:"failing"` // since when each look failed, up to this one; zero if it did not
	Evidence []string         `json:"evidence"`
}

// OK reports whether the look got as far as it meant to.
func (l ConnectivityResult) OK() bool { return !l.At.IsZero() && l.Code == diagnosis.None }

// connectivityTTL is how long a look says something about the present.
const connectivityTTL = 10 * time.Minute

// failureTTL is how long a look that failed may give an engine's silence its name: networks are repaired, and
// while the silence lasts there is a new look every minute.
const failureTTL = 3 * time.Minute

// CrossCheck compares what the engine fails with and what the gate itself found, and returns the diagnosis that
// both allow. "The engine fails, I do not" clears WhatsApp and points at the engine's own way there; "we
// both fail at TLS" names what the engine could not. A look at one's own network never overrules what the
// engine named, and the version of the gate's library says nothing of the engine's.
func CrossCheck(d diagnosis.Diagnosis, l ConnectivityResult, now time.Time) diagnosis.Diagnosis {
	if l.At.IsZero() || now.Sub(l.At) > connectivityTTL || l.Step == "" {
		return d
	}
	ago := max(0, now.Sub(l.At)).Round(time.Second) // the doctor looks after it has seen the session
	switch {
	case !isUpstreamPathCause(d.Code):
		return d
	case l.OK() && l.Step == ControlHandshake:
		return d.WithEvidence(fmt.Sprintf("the gate itself was sent codes by WhatsApp %s ago: look at the engine's own network and its library's version", ago))
	case l.OK():
		return d.WithEvidence(fmt.Sprintf("the gate itself reached WhatsApp %s ago: look at the engine's own network", ago))
	case d.Code == l.Code:
		return d.WithEvidence(fmt.Sprintf("the gate itself failed alike %s ago, at %s", ago, l.Step))
	case d.Code == diagnosis.QRNotEmitted && isNetworkCause(l.Code) && ago <= failureTTL:
		shared := diagnosis.New(l.Code, append(d.Evidence, fmt.Sprintf("the gate itself failed %s ago, at %s, and the engine is silent: it shares the way", ago, l.Step))...)
		shared.Inferred = true
		return shared
	}
	return d.WithEvidence(fmt.Sprintf("the gate itself failed %s ago, at %s: %s", ago, l.Step, l.Code))
}

// isUpstreamPathCause reports whether a cause lies between an engine and WhatsApp, where the gate can look too.
func isUpstreamPathCause(c diagnosis.Code) bool {
	return c == diagnosis.QRNotEmitted || c == diagnosis.ClientOutdated || isNetworkCause(c)
}

// isNetworkCause reports whether a cause that the gate meets is likely met by an engine that fails at the same
// time and does not say why.
func isNetworkCause(c diagnosis.Code) bool {
	switch c {
	case diagnosis.DNSFailed, diagnosis.NetworkBlocked, diagnosis.TLSIntercepted, diagnosis.ProxyRefused, diagnosis.WhatsAppSilent, diagnosis.WhatsAppUnavailable:
		return true
	}
	return false
}
