// Package whatsapp checks the connection from this host to WhatsApp, without the engine: DNS, TCP, TLS, the upgrade to
// a websocket, and a handshake up to the codes of an unpaired device. Beside a failing engine it shows whether
// WhatsApp, the network here or the engine alone is at fault; see [session.CrossCheck].
//
//	result := whatsapp.Check(ctx, whatsapp.Config{Handshake: …}) // once
//	watcher := whatsapp.New(whatsapp.Config{Handshake: …})       // in the background
//	go watcher.Run(ctx)
//	watcher.Trigger() // never blocks
//	watcher.Last()
//
// The handshake is a function, because only package embedded implements the protocol. Each one opens a registration at
// WhatsApp, which counts those, so checks are at least five minutes apart.
package whatsapp

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"time"

	"qrgate/compat"
	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// Config says how to check. The zero value checks the real WhatsApp up to the upgrade.
type Config struct {
	// Client makes the connection; nil: the network, through the proxy of the environment if there is one.
	Client *http.Client
	// Handshake makes the handshake; nil: the check ends with the upgrade. It returns diagnosis.None when WhatsApp sent
	// codes, else the cause, and a sentence for the evidence.
	Handshake func(context.Context) (diagnosis.Code, string)
	// Progress receives every step when it ends; may be nil.
	Progress func(Step)

	// Disabled makes a [Watcher] never check.
	Disabled bool
	// Interval is the least time between two checks of a [Watcher]; 0: five minutes. It is never less than one.
	Interval time.Duration
}

// Step is the result of one step.
type Step struct {
	Name   session.ConnectivityStep
	OK     bool
	Took   time.Duration
	Detail string
}

// Bounds of a check.
const (
	dialTimeout = 15 * time.Second // from DNS to the upgrade
	stepTimeout = 7 * time.Second  // of DNS and TCP, and of TLS
)

// WhatsApp's web client connects to address and sends origin.
const (
	address = "https://web.whatsapp.com/ws/chat"
	origin  = "https://web.whatsapp.com"
)

// Check takes the steps in their order and ends at the first that fails. It takes 15 s at most, and the time of the
// handshake.
func Check(ctx context.Context, c Config) session.ConnectivityResult {
	startedAt := time.Now()
	k := check{config: c, result: session.ConnectivityResult{Code: diagnosis.None}}
	if k.dial(ctx) && c.Handshake != nil {
		k.handshake(ctx)
	}
	k.result.At = time.Now()
	k.result.Took = k.result.At.Sub(startedAt)
	return k.result
}

// check is a check in progress.
type check struct {
	config Config
	result session.ConnectivityResult
}

// add records how a step ended.
func (k *check) add(s Step, code diagnosis.Code) {
	k.result.Step, k.result.Code = s.Name, code
	k.result.Evidence = append(k.result.Evidence, fmt.Sprintf("%s: %s", s.Name, s.Detail))
	if k.config.Progress != nil {
		k.config.Progress(s)
	}
}

// dial dials once, as the engine would, proxies included, and reads from the trace which steps succeeded.
func (k *check) dial(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	client, closeClient := k.client()
	defer closeClient()
	trace := &dialTrace{startedAt: time.Now()}
	res, err := client.Do(upgradeRequest(trace.watch(ctx)))
	if err == nil {
		_ = res.Body.Close()
	}
	for _, s := range trace.completed() {
		k.add(s, diagnosis.None)
	}
	step, took := trace.next(), trace.sinceLastStep()
	switch {
	case err != nil && ctx.Err() != nil:
		k.add(Step{step, false, took, "no response"}, timeoutCode(step))
	case err != nil:
		failure := dialFailure(err, step)
		k.add(Step{failure.step, false, took, failure.detail}, failure.code)
	case res.StatusCode != http.StatusSwitchingProtocols:
		detail := fmt.Sprintf("HTTP %d", res.StatusCode)
		k.add(Step{session.StepUpgrade, false, took, detail}, statusCode(res.StatusCode))
	default:
		k.add(Step{session.StepUpgrade, true, took, "switched protocols"}, diagnosis.None)
		return true
	}
	return false
}

func (k *check) handshake(ctx context.Context) {
	startedAt := time.Now()
	code, detail := k.config.Handshake(ctx)
	k.add(Step{session.StepHandshake, code == diagnosis.None, time.Since(startedAt), detail}, code)
}

// client returns the HTTP client and the function that closes its connections.
func (k *check) client() (*http.Client, func()) {
	noRedirect := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if k.config.Client != nil {
		return &http.Client{Transport: k.config.Client.Transport, CheckRedirect: noRedirect}, func() {}
	}
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: stepTimeout}).DialContext,
		TLSHandshakeTimeout: stepTimeout,
		DisableKeepAlives:   true,
	}
	return &http.Client{Transport: transport, CheckRedirect: noRedirect}, transport.CloseIdleConnections
}

func upgradeRequest(ctx context.Context) *http.Request {
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, address, nil) // a constant URL parses
	nonce := make([]byte, 16)
	_, _ = rand.Read(nonce) // never fails
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
		"Sec-WebSocket-Key": base64.StdEncoding.EncodeToString(nonce), "Origin": origin,
	} {
		req.Header.Set(name, value)
	}
	return req
}

// failure is why a dial failed, and at which step.
type failure struct {
	step   session.ConnectivityStep
	code   diagnosis.Code
	detail string
}

// dialFailure classifies an error of the dial. step is the trace's next step; the error's own class comes first,
// because a custom dialer reports nothing to the trace.
func dialFailure(err error, step session.ConnectivityStep) failure {
	switch f := compat.ClassifyTransportError(err); f.Class {
	case compat.TransportProxy:
		if step == session.StepDNS { // the proxy is an address, so nothing was resolved
			step = session.StepTCP
		}
		return failure{step, diagnosis.ProxyRefused, f.Reason}
	case compat.TransportDNS:
		return failure{session.StepDNS, diagnosis.DNSFailed, "the host name cannot be resolved"}
	case compat.TransportTLS:
		return failure{session.StepTLS, diagnosis.TLSIntercepted, "the certificate is not WhatsApp's own"}
	case compat.TransportDial:
		return failure{session.StepTCP, diagnosis.NetworkBlocked, "no connection to port 443"}
	case compat.TransportTimeout:
		return failure{step, timeoutCode(step), "no response"}
	}
	return failure{step, diagnosis.NetworkBlocked, "the connection was closed"}
}

// timeoutCode is the cause of a timeout at a step.
func timeoutCode(step session.ConnectivityStep) diagnosis.Code {
	switch step {
	case session.StepDNS:
		return diagnosis.DNSFailed
	case session.StepTCP, session.StepTLS:
		return diagnosis.NetworkBlocked
	}
	return diagnosis.WhatsAppSilent
}

// statusCode is the cause of a status other than 101.
func statusCode(status int) diagnosis.Code {
	switch {
	case status == http.StatusProxyAuthRequired:
		return diagnosis.ProxyRefused
	case status == http.StatusTooManyRequests, status >= http.StatusInternalServerError:
		return diagnosis.WhatsAppUnavailable
	}
	return diagnosis.NetworkBlocked
}
