package whatsapp

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// Config says how to look. The zero value looks at the real WhatsApp as far as the upgrade.
type Config struct {
	// Client is the way to WhatsApp; nil: the network, through the proxy of the environment if there is one.
	Client *http.Client
	// Handshake goes the rest of the way; nil: there is none, and the look ends with the upgrade. It returns
	// qrgate.None when WhatsApp sent codes, else the cause, and a sentence for the evidence.
	Handshake func(context.Context) (diagnosis.Code, string)
	// Progress is told of every step when it ends; nil: nobody.
	Progress func(Step)

	// Disabled is the switch: a [Post] then never looks.
	Disabled bool
	// Spacing is the least time between two looks of a [Post]; 0: five minutes, and never less than one.
	Spacing time.Duration
}

// Step is one step of a look.
type Step struct {
	Name   session.ConnectivityStep
	OK     bool
	Took   time.Duration
	Detail string
}

// Bounds of a look.
const (
	wayTime  = 15 * time.Second // DNS to upgrade
	stepTime = 7 * time.Second  // DNS and TCP, and TLS
)

// address is where WhatsApp's web client connects (wasim 2), and origin what it says it is.
const (
	address = "https://web.whatsapp.com/ws/chat"
	origin  = "https://web.whatsapp.com"
)

// Check takes the steps in their order and ends at the first that fails. It takes 15 s at most, and the time
// of the handshake.
func Check(ctx context.Context, c Config) session.ConnectivityResult {
	began := time.Now()
	l := checkRun{c: c, out: session.ConnectivityResult{Code: diagnosis.None}}
	if l.dial(ctx) && c.Handshake != nil {
		l.handshake(ctx)
	}
	l.out.At = time.Now()
	l.out.Took = l.out.At.Sub(began)
	return l.out
}

// checkRun is a look in the making.
type checkRun struct {
	c   Config
	out session.ConnectivityResult
}

// step writes down how a step ended.
func (l *checkRun) step(s Step, code diagnosis.Code) {
	l.out.Step, l.out.Code = s.Name, code
	l.out.Evidence = append(l.out.Evidence, fmt.Sprintf("%s: %s", s.Name, s.Detail))
	if l.c.Progress != nil {
		l.c.Progress(s)
	}
}

// dial dials once, as the engine would, and reads from the dial how far it came: what is looked at is the very
// way that a client takes, its proxies included.
func (l *checkRun) dial(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, wayTime)
	defer cancel()
	client, done := l.client()
	defer done()
	marks := &dialTrace{began: time.Now()}
	res, err := client.Do(request(marks.watch(ctx)))
	if err == nil {
		_ = res.Body.Close()
	}
	for _, s := range marks.completed() {
		l.step(s, diagnosis.None)
	}
	at := marks.next()
	took := marks.since()
	switch {
	case err != nil && ctx.Err() != nil:
		l.step(Step{at, false, took, "no answer"}, timeoutCause(at))
	case err != nil:
		why := causeOf(err, at)
		l.step(Step{why.step, false, took, why.text}, why.code)
	case res.StatusCode != http.StatusSwitchingProtocols:
		l.step(Step{session.ControlUpgrade, false, took, fmt.Sprintf("HTTP %d", res.StatusCode)}, statusCause(res.StatusCode))
	default:
		l.step(Step{session.ControlUpgrade, true, took, "granted"}, diagnosis.None)
		return true
	}
	return false
}

func (l *checkRun) handshake(ctx context.Context) {
	began := time.Now()
	code, why := l.c.Handshake(ctx)
	l.step(Step{session.ControlHandshake, code == diagnosis.None, time.Since(began), why}, code)
}

// client is the way, and what gives its connections back.
func (l *checkRun) client() (*http.Client, func()) {
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if l.c.Client != nil {
		return &http.Client{Transport: l.c.Client.Transport, CheckRedirect: stay}, func() {}
	}
	own := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: stepTime}).DialContext,
		TLSHandshakeTimeout: stepTime,
		DisableKeepAlives:   true,
	}
	return &http.Client{Transport: own, CheckRedirect: stay}, own.CloseIdleConnections
}

// request asks for a websocket.
func request(ctx context.Context) *http.Request {
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
