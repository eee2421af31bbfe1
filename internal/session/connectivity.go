package session

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"qrgate/internal/diagnosis"
)

// ConnectivityStep is a step of qrgate's own connectivity check.
type ConnectivityStep string

// The steps, in their order.
const (
	StepDNS       ConnectivityStep = "dns"       // resolve web.whatsapp.com
	StepTCP       ConnectivityStep = "tcp"       // connect to port 443
	StepTLS       ConnectivityStep = "tls"       // verify WhatsApp's certificate
	StepUpgrade   ConnectivityStep = "upgrade"   // upgrade to a websocket
	StepHandshake ConnectivityStep = "handshake" // Noise handshake, and the codes of an unpaired device
)

// ConnectivitySteps lists the steps in their order.
func ConnectivitySteps() []ConnectivityStep {
	return []ConnectivityStep{StepDNS, StepTCP, StepTLS, StepUpgrade, StepHandshake}
}

// ConnectivityResult is the result of a connection to WhatsApp that qrgate made itself, without the engine. Code None
// at StepHandshake means that WhatsApp sent codes: the network works, and WhatsApp accepts the library's version.
type ConnectivityResult struct {
	Step         ConnectivityStep `json:"step"` // the last step
	Code         diagnosis.Code   `json:"code"` // None, or the cause of its failure
	Took         time.Duration    `json:"took"`
	At           time.Time        `json:"at"`      // the end of the check; zero without a check
	FailingSince time.Time        `json:"failing"` // since when every check fails; zero if this one did not
	Evidence     []string         `json:"evidence"`
	// Elsewhere: the engine is probably in another network than qrgate, so that a failed check shows nothing about the
	// engine's network.
	Elsewhere bool `json:"-"`
}

// localDomains are top-level domains of private networks, containers and tests.
var localDomains = []string{
	"arpa", "corp", "home", "internal", "intranet", "lan", "local", "localdomain", "localhost", "private", "svc", "test",
}

// IsElsewhere reports whether an engine is probably in another network than qrgate: it has a public address or name.
func IsElsewhere(engine *url.URL) bool {
	host := engine.Hostname()
	if ip := net.ParseIP(host); ip != nil {
		return !ip.IsLoopback() && !ip.IsPrivate() && !ip.IsLinkLocalUnicast() && !ip.IsUnspecified()
	}
	dot := strings.LastIndexByte(strings.TrimSuffix(host, "."), '.')
	return dot >= 0 && !slices.Contains(localDomains, strings.ToLower(strings.TrimSuffix(host[dot+1:], ".")))
}

// end describes the last step.
func (r ConnectivityResult) end() string {
	if n := len(r.Evidence); n > 0 {
		return r.Evidence[n-1]
	}
	return string(r.Step)
}

// concernsEngine reports whether the cause of a failed check probably affects the engine, too.
func (r ConnectivityResult) concernsEngine() bool {
	return isNetworkCause(r.Code) && (!r.Elsewhere || r.Code.Part() == diagnosis.WhatsApp)
}

// OK reports whether the check succeeded.
func (r ConnectivityResult) OK() bool { return !r.At.IsZero() && r.Code == diagnosis.None }

const (
	// connectivityTTL is how long a result is evidence.
	connectivityTTL = 10 * time.Minute
	// failureTTL is how long a failed check may be the cause of a missing QR: networks are repaired, and while QRs are
	// missing qrgate checks every minute.
	failureTTL = 3 * time.Minute
)

// CrossCheck compares the engine's failure with qrgate's own check. If only the engine fails, the diagnosis stays and
// the evidence points at the engine's network; if the engine reports no cause and qrgate fails too, qrgate's cause is
// the diagnosis. A check never overrules a cause that the engine named.
func CrossCheck(d diagnosis.Diagnosis, r ConnectivityResult, now time.Time) diagnosis.Diagnosis {
	isExpired := isExpiredCertificate(d)
	if r.At.IsZero() || now.Sub(r.At) > connectivityTTL || r.Step == "" || !isExpired && !isUpstreamPathCause(d.Code) {
		return d
	}
	ago := max(0, now.Sub(r.At)).Round(time.Second) // qrgate doctor checks after it has polled the session
	switch {
	case r.OK() && r.Step == StepHandshake:
		return d.WithEvidence(fmt.Sprintf("qrgate itself received codes from WhatsApp %s ago: "+
			"check the engine's network and its library's version", ago))
	case r.OK():
		return d.WithEvidence(fmt.Sprintf("qrgate itself reached WhatsApp %s ago: check the engine's network", ago))
	case d.Code == r.Code:
		return d.WithEvidence(fmt.Sprintf("qrgate itself failed in the same way %s ago, at %s", ago, r.end()))
	case isExpired && (r.Code == diagnosis.ClockWrong || r.Code == diagnosis.TLSIntercepted):
		if r.Elsewhere || ago > failureTTL {
			return d
		}
		return diagnosis.New(r.Code, append(d.Evidence, fmt.Sprintf("qrgate itself failed %s ago, at %s", ago, r.end()))...)
	case d.Code == diagnosis.QRNotEmitted && r.concernsEngine() && ago <= failureTTL:
		why := "both use the same network"
		if r.Elsewhere {
			why = "WhatsApp is the same for both"
		}
		shared := diagnosis.New(r.Code, append(d.Evidence, fmt.Sprintf("qrgate itself failed %s ago, at %s; "+
			"the engine reports no cause: %s", ago, r.end(), why))...)
		shared.Inferred = true
		return shared
	}
	return d.WithEvidence(fmt.Sprintf("qrgate itself failed %s ago, at %s (%s)", ago, r.end(), r.Code))
}

// isExpiredCertificate reports whether the engine found an expired certificate in place of WhatsApp's: its clock is
// ahead, or another server has it. qrgate's own check sees which.
func isExpiredCertificate(d diagnosis.Diagnosis) bool {
	return d.Code == diagnosis.Undetermined && slices.ContainsFunc(d.Evidence, func(line string) bool {
		return strings.Contains(line, "certificate has expired") || strings.Contains(line, "cert_has_expired")
	})
}

// networkCauses are the causes that probably affect an engine, too, if qrgate has found them for itself.
var networkCauses = []diagnosis.Code{
	diagnosis.DNSFailed, diagnosis.NetworkBlocked, diagnosis.TLSIntercepted, diagnosis.ProxyRefused,
	diagnosis.WhatsAppSilent, diagnosis.WhatsAppUnavailable,
}

func isNetworkCause(c diagnosis.Code) bool { return slices.Contains(networkCauses, c) }

// isUpstreamPathCause reports whether a cause lies between an engine and WhatsApp.
func isUpstreamPathCause(c diagnosis.Code) bool {
	others := []diagnosis.Code{diagnosis.QRNotEmitted, diagnosis.ClientOutdated, diagnosis.ClockWrong}
	return slices.Contains(others, c) || isNetworkCause(c)
}
