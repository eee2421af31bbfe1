package compat

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/redact"
	"qrgate/internal/session"
)

// whatsappHost is the host to which WhatsApp's web client connects.
const whatsappHost = "web.whatsapp.com"

// stepTimeout limits DNS and TCP together, and TLS, of a dial by [DialClient].
const stepTimeout = 7 * time.Second

// DialClient returns a client for dials of WhatsApp's websocket that [TraceDial] can observe: c, or one for the network
// through the proxy of the environment. It follows no redirect, because only a captive portal sends one, and keeps no
// connection.
func DialClient(c *http.Client) *http.Client {
	out := http.Client{Transport: &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: stepTimeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: stepTimeout,
		DisableKeepAlives:   true,
	}}
	if c != nil {
		out = *c
	}
	if t, ok := out.Transport.(*http.Transport); ok {
		t = t.Clone()
		t.DisableKeepAlives = true
		t.ReadBufferSize, t.WriteBufferSize = 1<<10, 1<<10 // the websocket has buffers of its own
		out.Transport = dialTransport{t}
	}
	out.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &out
}

// dialTransport passes the responses to the trace in the request's context.
type dialTransport struct{ *http.Transport }

// RoundTrip implements [http.RoundTripper].
func (d dialTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := d.Transport.RoundTrip(r)
	if t, ok := r.Context().Value(dialTraceKey{}).(*DialTrace); ok && err == nil {
		t.mu.Lock()
		if t.upgraded = res.StatusCode == http.StatusSwitchingProtocols; !t.upgraded {
			t.response = res // the trace of an open connection keeps none
		}
		t.mu.Unlock()
	}
	return res, err
}

// DialTrace observes one dial of WhatsApp's websocket, and names the step and the cause of its failure.
type DialTrace struct {
	proxy string         // host and port of the HTTP proxy; "" without one
	roots *x509.CertPool // nil: those of the system

	mu        sync.Mutex
	steps     []DialStep
	lastAt    time.Time      // the end of the last step that succeeded
	addresses []net.IPAddr   // of the host, or of the proxy
	peer      string         // the address of the last TCP connection, or of the last attempt
	connected bool           // to the peer
	tlsBegun  bool           // the TLS handshake has begun
	onWire    bool           // the upgrade was written to a connection
	responded bool           // the upgrade has a response
	upgraded  bool           // the server switched to the websocket protocol
	response  *http.Response // that refuses the upgrade
	conn      net.Conn
}

// DialStep is the result of one step.
type DialStep struct {
	Name   session.ConnectivityStep
	OK     bool
	Took   time.Duration
	Detail string
}

type dialTraceKey struct{}

// TraceDial returns the context for one dial with a client of [DialClient], and its trace.
func TraceDial(ctx context.Context, c *http.Client) (context.Context, *DialTrace) {
	t := &DialTrace{lastAt: time.Now()}
	if transport, ok := c.Transport.(dialTransport); ok {
		t.inspect(transport.Transport)
	}
	ctx = context.WithValue(ctx, dialTraceKey{}, t)
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSDone:     t.onDNS,
		ConnectDone: t.onConnect,
		TLSHandshakeStart: func() {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.tlsBegun = true
		},
		TLSHandshakeDone: t.onTLS,
		GotConn: func(info httptrace.GotConnInfo) {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.conn = info.Conn
		},
		WroteRequest: func(httptrace.WroteRequestInfo) {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.onWire = true
		},
		GotFirstResponseByte: func() {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.responded = true
		},
	}), t
}

// inspect reads the proxy and the trusted roots of a transport.
func (t *DialTrace) inspect(transport *http.Transport) {
	if transport.TLSClientConfig != nil {
		t.roots = transport.TLSClientConfig.RootCAs
	}
	if transport.Proxy == nil {
		return
	}
	request := &http.Request{URL: &url.URL{Scheme: "https", Host: whatsappHost}}
	if proxy, err := transport.Proxy(request); err == nil && proxy != nil {
		t.proxy = proxy.Host
	}
}

func (t *DialTrace) onDNS(info httptrace.DNSDoneInfo) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.addresses = info.Addrs
	shown := make([]string, 0, 3)
	for _, a := range info.Addrs[:min(len(info.Addrs), 3)] {
		shown = append(shown, a.String())
	}
	t.pass(session.StepDNS, info.Err, fmt.Sprintf("%d addresses: %s", len(info.Addrs), strings.Join(shown, ", ")))
}

func (t *DialTrace) onConnect(_, address string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.connected {
		t.peer, t.connected = address, err == nil
	}
	t.pass(session.StepTCP, err, "connected to "+address)
}

func (t *DialTrace) onTLS(state tls.ConnectionState, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	detail := tls.VersionName(state.Version)
	if len(state.PeerCertificates) > 0 {
		detail += ", certificate issued by " + issuerOf(state.PeerCertificates[0])
	}
	t.pass(session.StepTLS, err, detail)
}

// pass records a step that succeeded, once: a dial tries several addresses at a time.
func (t *DialTrace) pass(name session.ConnectivityStep, err error, detail string) {
	if err != nil || slices.ContainsFunc(t.steps, func(s DialStep) bool { return s.Name == name }) {
		return
	}
	now := time.Now()
	t.steps = append(t.steps, DialStep{name, true, now.Sub(t.lastAt), detail})
	t.lastAt = now
}

// Steps returns the steps that succeeded, in their order. A custom dialer reports none; they succeeded all the same if
// there is a connection.
func (t *DialTrace) Steps() []DialStep {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.onWire && len(t.steps) == 0 {
		for _, name := range session.ConnectivitySteps()[:3] {
			t.steps = append(t.steps, DialStep{name, true, 0, "by the configured dialer"})
		}
	}
	return slices.Clone(t.steps)
}

// SinceLastStep is the time since the last step that succeeded.
func (t *DialTrace) SinceLastStep() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return time.Since(t.lastAt)
}

// IfPending calls f unless the server has responded to the upgrade.
func (t *DialTrace) IfPending(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.responded {
		f()
	}
}

// CloseConn closes the connection of the dial, if there is one.
func (t *DialTrace) CloseConn() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn != nil {
		_ = t.conn.Close()
	}
}

// IsUpgraded reports whether the server switched to the websocket protocol.
func (t *DialTrace) IsUpgraded() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.upgraded
}

// DialFailure is why a dial failed, and at which step. The text has no error text and no status number: clients search
// bodies for the digits of a rate limit.
type DialFailure struct {
	Step session.ConnectivityStep
	Code diagnosis.Code
	Text string
}

// Failure names the cause of a dial's error; nil is a response that refuses the upgrade. A canceled dial counts as one
// without a response in time.
func (t *DialTrace) Failure(err error) DialFailure {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.response != nil {
		return t.refusal()
	}
	f, step := ClassifyTransportError(err), t.nextStep()
	hasNoResponse := f.Timeout || errors.Is(err, context.Canceled)
	ending := map[bool]string{true: "does not respond", false: "closes the connection"}[hasNoResponse]
	switch {
	case f.Class == TransportProxy:
		if step == session.StepDNS { // the proxy is an address, so nothing was resolved
			step = session.StepTCP
		}
		return DialFailure{step, diagnosis.ProxyRefused,
			"the proxy " + t.proxy + " is unreachable or refuses to connect" + describeProxyError(err)}
	case t.proxy != "" && t.connected && !t.tlsBegun && !t.onWire:
		return DialFailure{session.StepTLS, diagnosis.ProxyRefused,
			"the proxy " + t.proxy + " accepts the connection and " + ending}
	case f.Class == TransportDNS:
		return DialFailure{session.StepDNS, diagnosis.DNSFailed, "the host name cannot be resolved: " + describeDNSError(err)}
	case t.isResolvedElsewhere() && !t.onWire:
		return DialFailure{step, diagnosis.DNSFailed, fmt.Sprintf(
			"the name is resolved to %s, which is no address of WhatsApp", t.addresses[0].String())}
	case f.Class == TransportTLS:
		return t.certificateFailure(err, f.Reason)
	case f.Class == TransportDial || step == session.StepTCP || step == session.StepDNS:
		return DialFailure{session.StepTCP, diagnosis.NetworkBlocked, t.describePeer("no TCP connection", f.Reason)}
	case step == session.StepTLS:
		text := t.describePeer("the server accepts TCP and, during TLS, "+ending, "")
		return DialFailure{step, diagnosis.NetworkBlocked, text}
	case hasNoResponse:
		text := "WhatsApp accepts the connection and does not respond to the upgrade"
		return DialFailure{step, diagnosis.WhatsAppSilent, text}
	}
	text := "WhatsApp closes the connection before it responds to the upgrade"
	return DialFailure{step, diagnosis.WhatsAppUnavailable, text}
}

// describeDNSError says what the resolver answered, and which one.
func describeDNSError(err error) string {
	failed, _ := errors.AsType[*net.DNSError](err)
	text := "the resolver reports an error"
	switch {
	case failed == nil:
	case failed.IsNotFound:
		text = "no such host"
	case failed.IsTimeout:
		text = "the resolver does not answer"
	}
	if failed != nil && failed.Server != "" {
		text += " (" + failed.Server + ")"
	}
	return text
}

// describeProxyError is the reason in the error of a proxy, from a closed list; net/http reports a refused CONNECT as
// the bare text of its status.
func describeProxyError(err error) string {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return ": connection refused"
	}
	for status := 400; status < 600; status++ {
		if text := http.StatusText(status); text != "" && strings.HasSuffix(err.Error(), text) {
			return ": " + text
		}
	}
	if _, isDNS := errors.AsType[*net.DNSError](err); isDNS {
		return ": " + describeDNSError(err)
	}
	return ""
}

// nextStep is the step at which the dial ended.
func (t *DialTrace) nextStep() session.ConnectivityStep {
	all := session.ConnectivitySteps()
	switch {
	case t.onWire:
		return session.StepUpgrade
	case len(t.steps) == 0:
		return session.StepDNS
	}
	return all[slices.Index(all, t.steps[len(t.steps)-1].Name)+1]
}

// isResolvedElsewhere reports whether the resolver returned only addresses that cannot be WhatsApp's: a block list that
// answers 0.0.0.0, or a captive portal. With a proxy the addresses are the proxy's.
func (t *DialTrace) isResolvedElsewhere() bool {
	return t.proxy == "" && len(t.addresses) > 0 && !slices.ContainsFunc(t.addresses, func(a net.IPAddr) bool {
		return !a.IP.IsUnspecified() && !a.IP.IsLoopback() && !a.IP.IsPrivate() && !a.IP.IsLinkLocalUnicast()
	})
}

// describePeer adds the address of the peer and the reason, where they are known.
func (t *DialTrace) describePeer(text, reason string) string {
	if t.peer != "" {
		text += " (" + t.peer + ")"
	}
	if reason != "" {
		text += ": " + reason
	}
	return text
}

// refusal is the cause of a response other than 101.
func (t *DialTrace) refusal() DialFailure {
	status := t.response.StatusCode
	f := DialFailure{session.StepUpgrade, diagnosis.NetworkBlocked, "the upgrade is refused: " + http.StatusText(status)}
	switch {
	case status == http.StatusProxyAuthRequired, t.response.Header.Get("Via") != "":
		f.Code = diagnosis.ProxyRefused
	case status == http.StatusNetworkAuthenticationRequired: // only captive portals send it
	case status == http.StatusTooManyRequests, status >= http.StatusInternalServerError:
		f.Code = diagnosis.WhatsAppUnavailable
	}
	if location, err := t.response.Location(); err == nil {
		f.Text += ", a redirect to " + location.Host
	}
	for _, name := range []string{"Server", "Via"} {
		if value := t.response.Header.Get(name); value != "" {
			f.Text += ", " + name + ": " + shorten(value)
		}
	}
	return f
}

// certificateFailure is the cause of a TLS handshake that failed. A chain that would be valid at another time shows a
// wrong clock; any other certificate shows another server in place of WhatsApp's.
func (t *DialTrace) certificateFailure(err error, reason string) DialFailure {
	text := t.describePeer("the certificate is not WhatsApp's", reason)
	f := DialFailure{session.StepTLS, diagnosis.TLSIntercepted, text}
	failed, ok := errors.AsType[*tls.CertificateVerificationError](err)
	if !ok || len(failed.UnverifiedCertificates) == 0 {
		return f
	}
	leaf := failed.UnverifiedCertificates[0]
	const layout = "2006-01-02 15:04"
	from, to := leaf.NotBefore.UTC().Format(layout), leaf.NotAfter.UTC().Format(layout)
	details := fmt.Sprintf("; issued by %s, valid from %s to %s", issuerOf(leaf), from, to)
	invalid, isInvalid := errors.AsType[x509.CertificateInvalidError](err)
	if isInvalid && invalid.Reason == x509.Expired && t.isValidAtAnotherTime(failed.UnverifiedCertificates) {
		now := time.Now().UTC().Format(layout)
		text := "WhatsApp's certificate is not valid at " + now + ", the time of this machine" + details
		return DialFailure{session.StepTLS, diagnosis.ClockWrong, text}
	}
	f.Text += details
	return f
}

// isValidAtAnotherTime reports whether a chain of certificates is WhatsApp's but for the time.
func (t *DialTrace) isValidAtAnotherTime(chain []*x509.Certificate) bool {
	options := x509.VerifyOptions{DNSName: whatsappHost, Roots: t.roots, Intermediates: x509.NewCertPool()}
	for _, c := range chain {
		if c.NotBefore.After(options.CurrentTime) {
			options.CurrentTime = c.NotBefore
		}
	}
	for _, c := range chain[1:] {
		options.Intermediates.AddCert(c)
	}
	_, err := chain[0].Verify(options)
	return err == nil
}

// issuerOf names who issued a certificate.
func issuerOf(c *x509.Certificate) string {
	return shorten(nameOf(c.Issuer))
}

func nameOf(n pkix.Name) string {
	for _, name := range append([]string{n.CommonName}, n.Organization...) {
		if name != "" {
			return name
		}
	}
	return "an unnamed issuer"
}

// shorten reduces a text of a peer to 40 characters of one line.
func shorten(text string) string {
	runes := []rune(redact.Line(text))
	return string(runes[:min(len(runes), 40)])
}
