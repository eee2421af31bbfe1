package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"qrgate/compat"
	"qrgate/compat/embedded"
	"qrgate/internal/diagnosis"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/proxy"
)

// pairCommand pairs a session with a phone at the terminal.
type pairCommand struct {
	Session string `arg:"" help:"The sessionId of the session to pair."`
	Target  string `default:"http://localhost:8080" placeholder:"URL"`
	APIKey  string `name:"api-key" placeholder:"KEY"`
	Create  bool
	Code    string        `placeholder:"PHONE"`
	JSON    bool          `name:"json"`
	Wait    time.Duration `default:"5m"`
}

// Pauses of the pair command.
const (
	streamRetryDelay  = 2 * time.Second  // before it follows a stream again that has ended
	reconnectInterval = 15 * time.Second // between two connects of a session whose codes have expired
	callTimeout       = 30 * time.Second // a create, a connect or a pairing code
)

// phoneNumber is an international number, as people write it.
var phoneNumber = regexp.MustCompile(`^\+?[1-9][0-9 ()-]{6,}$`)

// run pairs the session and returns the exit code.
func (p pairCommand) run(ctx context.Context, c cli, s settings) int {
	pairing, err := p.newPairing(c, s)
	if err != nil {
		fmt.Fprintf(c.err, "qrgate pair: %v\n", err)
		return exitUsage
	}
	ctx, cancel := context.WithTimeout(ctx, p.Wait)
	defer cancel()
	defer pairing.client.CloseIdleConnections()
	err = pairing.run(ctx)
	var stopped *stopError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &stopped):
		fmt.Fprint(c.err, "qrgate pair: "+formatDiagnosis(stopped.Diagnosis, "en"))
		return exitCode(stopped.Code)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		fmt.Fprintf(c.err, "qrgate pair: the session was not connected within %s\n", p.Wait)
	default:
		fmt.Fprintf(c.err, "qrgate pair: %v\n", err)
	}
	return exitFailed
}

// stopError is a cause that waiting does not remove.
type stopError struct{ diagnosis.Diagnosis }

// Error implements error.
func (e *stopError) Error() string { return e.Title }

// newPairing validates the arguments.
func (p pairCommand) newPairing(c cli, s settings) (*pairing, error) {
	ref, ok := session.ParseRef(p.Session)
	base, err := parseTarget(p.Target)
	switch {
	case !ok:
		return nil, fmt.Errorf("%q is not a sessionId: write up to 100 letters, digits, - and _", p.Session)
	case err != nil:
		return nil, err
	case s.Front == nativeFront:
		return nil, fmt.Errorf("QRGATE_FRONT is native, and pair speaks the documented API: create and connect the "+
			"session with a client of the engine, then GET /_qrgate/sessions/%s/qr.png, or POST …/qr/link for a pairing page",
			p.Session)
	case p.Wait <= 0:
		return nil, errors.New("--wait must be more than 0s")
	case p.Code != "" && !phoneNumber.MatchString(p.Code):
		return nil, errors.New("--code must be an international phone number, as +15550100")
	}
	key, err := p.key(s)
	if err != nil {
		return nil, err
	}
	return &pairing{
		pairCommand: p, ref: ref, out: c.out, color: c.color,
		caller: session.Caller{Key: key}, client: &compat.Client{
			BaseURL: base, Transport: proxy.Transport(), UserAgent: "qrgate-pair",
		},
	}, nil
}

// key returns the key of the flag, of this host's settings, or the key that qrgate generated on this host.
func (p pairCommand) key(s settings) (secret.Secret, error) {
	if p.APIKey != "" {
		return secret.NewSecret(p.APIKey), nil
	}
	if s.APIKeys != "" {
		keys, err := embedded.ParseKeys(s.APIKeys)
		if err != nil {
			return secret.Secret{}, fmt.Errorf("QRGATE_API_KEYS: %w", err)
		}
		return keys[0].Key, nil
	}
	if _, err := os.Stat(filepath.Join(s.DataDir, embedded.KeyFile)); err != nil {
		return secret.Secret{}, errors.New("an API key is needed: set --api-key, or QRGATE_API_KEYS")
	}
	key, _, err := embedded.LoadOrMakeKey(s.DataDir)
	return key.Key, err
}

// pairing is one run.
type pairing struct {
	pairCommand
	client      *compat.Client
	caller      session.Caller
	ref         session.Ref
	out         io.Writer
	color       bool
	shown       string // when the shown QR was generated
	message     string // the last one
	connectedAt time.Time
	codeUntil   time.Time // when the pairing code expires
}

func (p *pairing) run(ctx context.Context) error {
	if p.Create {
		_, err := p.client.Create(ctx, p.caller, p.Session, p.Session)
		failure, _ := errors.AsType[*session.EngineError](err)
		if exists := failure != nil && failure.Status == http.StatusConflict; err != nil && !exists {
			return explain(err)
		}
	}
	report, err := p.status(ctx)
	if err != nil {
		return explain(err)
	}
	if report.State != session.Connected && report.State != session.AwaitingScan {
		if err := p.connect(ctx); err != nil {
			return explain(err)
		}
	}
	if p.Code != "" && report.State != session.Connected {
		if err := p.requestCode(ctx); err != nil {
			return err
		}
	}
	for {
		isConnected, err := p.follow(ctx)
		if err != nil || isConnected {
			return err
		}
		select {
		case <-time.After(streamRetryDelay):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (p *pairing) status(ctx context.Context) (session.SessionReport, error) {
	response, err := p.client.Do(ctx, p.caller, compat.SessionRequest("status", http.MethodGet, p.ref, "status"))
	return response.SessionReport("status", p.ref, err)
}

func (p *pairing) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	p.connectedAt = time.Now()
	_, err := p.client.Connect(ctx, p.caller, p.ref, session.Connect)
	return err
}

// requestCode requests a pairing code for the phone number and prints it.
func (p *pairing) requestCode(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	request := compat.SessionRequest("pairing code", http.MethodPost, p.ref, "pairing-code")
	request.Body = fmt.Sprintf(`{"phoneNumber":%q}`, p.Code)
	response, err := p.client.Do(ctx, p.caller, request)
	failure, _ := errors.AsType[*session.EngineError](err)
	switch {
	case failure == nil:
	case failure.Kind == session.KindAlreadyPaired:
		return nil // the stream reports it
	case failure.Status == http.StatusNotFound, failure.Status == http.StatusMethodNotAllowed,
		failure.Status == http.StatusNotImplemented:
		return fmt.Errorf("%w: this engine gives no pairing codes; leave out --code to pair with the QR", err)
	default:
		return explain(err)
	}
	var made struct {
		Data struct {
			SessionID   string `json:"sessionId"`
			PairingCode string `json:"pairingCode"`
			ExpiresAt   string `json:"expiresAt"`
			ExpiresIn   int    `json:"expiresIn"`
		} `json:"data"`
	}
	if err := json.Unmarshal(response.Body, &made); err != nil || made.Data.PairingCode == "" {
		return errors.New("the response has no pairing code")
	}
	p.codeUntil = time.Now().Add(time.Duration(made.Data.ExpiresIn) * time.Second)
	if p.JSON {
		printJSON(p.out, made.Data)
		return nil
	}
	fmt.Fprintf(p.out, "On the phone: WhatsApp, Linked devices, Link a device, Link with phone number. "+
		"Code %s, valid for %d s.\n", made.Data.PairingCode, made.Data.ExpiresIn)
	return nil
}

// explain adds what to do to the errors that an operator meets most.
func explain(err error) error {
	failure, ok := errors.AsType[*session.EngineError](err)
	if !ok {
		return err
	}
	switch failure.Kind {
	case session.KindSessionNotFound:
		return fmt.Errorf("%w: the session does not exist; --create makes it", err)
	case session.KindKeyRefused:
		return fmt.Errorf("%w: the API key is not valid for this target; set --api-key", err)
	case session.KindUnreachable:
		return fmt.Errorf("%w: start qrgate, or correct --target", err)
	}
	if failure.Text != "" {
		return fmt.Errorf("%w: %s", err, failure.Text)
	}
	return err
}

// follow reads the stream of the session's changes until the session is connected or the stream ends.
func (p *pairing) follow(ctx context.Context) (isConnected bool, err error) {
	url := p.client.BaseURL.JoinPath("api", "sessions", p.ref.URLSegment(), "qr", "status")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url.String(), nil)
	if err != nil {
		return false, err
	}
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("X-API-Key", p.caller.Key.Reveal())
	res, err := p.client.Transport.RoundTrip(req)
	if err != nil {
		return false, explain(compat.TransportError(ctx, "follow", err))
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(res.Body, 1<<16))
		response := compat.Response{Status: res.StatusCode, Header: res.Header, Body: body, Complete: true}
		failure := response.EngineError("follow")
		switch {
		case failure == nil:
			return false, errors.New("the response is no stream: HTTP " + res.Status)
		case failure.Kind == session.KindSessionNotFound:
			return false, errors.New("the session was deleted")
		}
		return false, explain(failure)
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		data, isData := strings.CutPrefix(lines.Text(), "data: ")
		var status proxy.QRStatus
		if !isData || json.Unmarshal([]byte(data), &status) != nil {
			continue
		}
		if isConnected, err = p.handle(ctx, status); err != nil || isConnected {
			return isConnected, err
		}
	}
	return false, ctx.Err()
}

// handle shows a change of the session.
func (p *pairing) handle(ctx context.Context, status proxy.QRStatus) (isConnected bool, err error) {
	code := secret.Secret{}
	isNew := p.Code == "" && status.Ready && status.GeneratedAt != nil && *status.GeneratedAt != p.shown
	if isNew {
		if code, err = p.code(ctx); err != nil {
			return false, nil // replaced meanwhile: the next event has another one
		}
		p.shown = *status.GeneratedAt
	}
	if p.JSON {
		printJSON(p.out, struct {
			proxy.QRStatus
			Code string `json:"code,omitempty"`
		}{status, code.Reveal()})
	} else if err := p.show(status, code); err != nil {
		return false, err
	}
	d := status.Diagnosis
	switch {
	case status.State == session.Connected:
		return true, nil
	case d != nil && d.NeedsPerson():
		return false, &stopError{*d}
	case p.Code != "" && time.Now().After(p.codeUntil):
		return false, p.requestCode(ctx) // it connects the session, too
	case d != nil && d.Code == diagnosis.QRExpired && time.Since(p.connectedAt) > reconnectInterval:
		return false, explain(p.connect(ctx))
	}
	return false, nil
}

// code fetches the QR and decodes it.
func (p *pairing) code(ctx context.Context) (secret.Secret, error) {
	response, err := p.client.Do(ctx, p.caller, compat.SessionRequest(session.OpQR, http.MethodGet, p.ref, "qr"))
	report, err := response.SessionReport(session.OpQR, p.ref, err)
	if err != nil {
		return secret.Secret{}, err
	}
	return compat.ReadQR(report.Image)
}

// show prints a new QR, or a message that differs from the last one. On a terminal a new QR replaces the old one.
func (p *pairing) show(status proxy.QRStatus, code secret.Secret) error {
	if !code.Empty() {
		drawing, err := compat.DrawQR(code, p.color)
		if err != nil {
			return err
		}
		if p.color {
			fmt.Fprint(p.out, "\x1b[H\x1b[2J")
		}
		fmt.Fprintf(p.out, "\n%s\n", drawing)
	}
	message := "Waiting for a QR …"
	switch d := status.Diagnosis; {
	case status.State == session.Connected:
		message = "Connected."
	case p.Code != "" && d == nil:
		return nil
	case status.Ready:
		message = fmt.Sprintf("On the phone: WhatsApp, Linked devices, Link a device. Code %d, valid for %d s.",
			status.Sequence, status.ExpiresIn)
	case d != nil:
		message = d.Title + ". " + d.Help
	case p.shown != "":
		message = "The code has expired. The next one follows."
	case status.Queue != nil:
		message = fmt.Sprintf("Waiting for the engine's rate limit, place %d.", status.Queue.Place)
	}
	if message != p.message && (!status.Ready || !code.Empty()) {
		fmt.Fprintln(p.out, message)
		p.message = message
	}
	return nil
}
