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
	"net/http"
	"time"

	"qrgate/compat"
	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// Config configures a check. The zero value checks the real WhatsApp up to the upgrade.
type Config struct {
	// Client makes the connection; nil: the network, through the proxy of the environment if there is one.
	Client *http.Client
	// Handshake makes the handshake; nil: the check ends with the upgrade. It returns diagnosis.None when WhatsApp sent
	// codes, else the cause, and a sentence for the evidence.
	Handshake func(context.Context) (diagnosis.Code, string)
	// Progress receives every step when it ends; may be nil.
	Progress func(compat.DialStep)

	// Disabled makes a [Watcher] never check.
	Disabled bool
	// Interval is the least time between two checks of a [Watcher]; 0: five minutes. It is never less than one.
	Interval time.Duration
}

// dialTimeout limits the steps from DNS to the upgrade.
const dialTimeout = 15 * time.Second

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
func (k *check) add(s compat.DialStep, code diagnosis.Code) {
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
	client := compat.DialClient(k.config.Client)
	defer client.CloseIdleConnections()
	traced, trace := compat.TraceDial(ctx, client)
	res, err := client.Do(upgradeRequest(traced))
	if err == nil {
		_ = res.Body.Close()
	}
	for _, s := range trace.Steps() {
		k.add(s, diagnosis.None)
	}
	took := trace.SinceLastStep()
	if trace.IsUpgraded() {
		k.add(compat.DialStep{Name: session.StepUpgrade, OK: true, Took: took, Detail: "switched protocols"}, diagnosis.None)
		return true
	}
	failure := trace.Failure(err)
	k.add(compat.DialStep{Name: failure.Step, Took: took, Detail: failure.Text}, failure.Code)
	return false
}

func (k *check) handshake(ctx context.Context) {
	startedAt := time.Now()
	code, detail := k.config.Handshake(ctx)
	step := compat.DialStep{Name: session.StepHandshake, OK: code == diagnosis.None, Detail: detail}
	step.Took = time.Since(startedAt)
	k.add(step, code)
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
