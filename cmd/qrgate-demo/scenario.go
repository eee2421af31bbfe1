package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"qrgate/compat"
	"qrgate/internal/secret"
	"qrgate/internal/test/whatsappsim"
)

// phone is the number of the simulated phone.
const phone = "5550100"

// scenario is what the demo shows: a client of the engine itself, the same client of qrgate, and the phone.
type scenario struct {
	*environment
	out       io.Writer
	color     bool
	once      bool          // the demo ends after the scenario
	startedAt time.Time     // of the current step
	code      secret.Secret // in the QR that qrgate returned

	directHasQR bool // the engine itself returned one, too
}

// connectPause is the time from the client's connect to its only QR request.
const connectPause = 3 * time.Second

func (s *scenario) run(ctx context.Context) error {
	engine := "500 until " + s.engine.QRDelay.String() + " after connect"
	if s.dialect != nil {
		engine = engineNames[s.dialect.Kind] + "'s API, each first code " + s.engine.QRDelay.String() + " late"
	}
	fmt.Fprintf(s.out, `
 qrgate demo: the incident and its fix. No network, no phone, no account.

   simulated WhatsApp   %s
   session engine       %s   codes by real whatsmeow; %s
   qrgate               %s
   status page          %s/status
`, s.whatsappPort.Addr(), s.engineURL(), engine, s.gateway.URL(), s.gateway.AdminURL())
	if s.dialect != nil {
		return s.runNative(ctx)
	}
	return errors.Join(s.requestFromEngine(ctx), s.requestFromGateway(ctx), s.scan(ctx), s.printPairingPage(ctx))
}

// printPairingPage prints a link to the page on which a person links a phone.
func (s *scenario) printPairingPage(ctx context.Context) error {
	sessions := s.gateway.URL() + "/api/sessions"
	_, err := s.call(ctx, http.MethodPost, sessions, `{"sessionId":"crm-page","sessionName":"crm-page"}`)
	if err != nil {
		return err
	}
	link, err := s.call(ctx, http.MethodPost, sessions+"/crm-page/qr/link", `{"expiresIn":1800}`)
	if err != nil {
		return err
	}
	if s.once {
		link.Data.URL = "run without --once" // the link ends with the demo
	}
	fmt.Fprintf(s.out, "\n Pairing page of another session, for a browser without a key: %s\n", link.Data.URL)
	return nil
}

// requestFromEngine runs the client against the engine itself.
func (s *scenario) requestFromEngine(ctx context.Context) error {
	s.printStep("1  The incident: a client sends its requests to the engine itself")
	res, err := s.requestQR(ctx, s.engineURL(), "crm-direct")
	if err != nil {
		return err
	}
	s.printNote("the CRM shows a spinner, and its user calls support")
	if res.status != http.StatusInternalServerError {
		return fmt.Errorf("the engine returned %d, expected 500", res.status)
	}
	return nil
}

// requestFromGateway runs the same client with the same requests against qrgate.
func (s *scenario) requestFromGateway(ctx context.Context) error {
	s.printStep("2  The same client sends the same requests to qrgate")
	res, err := s.requestQR(ctx, s.gateway.URL(), "crm-gateway")
	if err != nil {
		return err
	}
	if res.status != http.StatusOK || res.Data.QRCode == "" {
		return fmt.Errorf("qrgate returned %d %s, expected a QR", res.status, res.Code)
	}
	code, err := compat.ReadQR(secret.NewSecret(res.Data.QRCode))
	if err != nil {
		return err
	}
	s.code = code
	return s.draw()
}

func (s *scenario) draw() error {
	drawing, err := compat.DrawQR(s.code, s.color)
	fmt.Fprintf(s.out, "\n%s\n", drawing)
	return err
}

// scan lets the simulated phone scan the QR, and waits until qrgate reports the link.
func (s *scenario) scan(ctx context.Context) error {
	s.printStep("3  A phone scans the QR")
	if s.code.Empty() {
		return errors.New("there is no QR to scan")
	}
	if err := s.whatsapp.Scan(ctx, s.code.Reveal(), whatsappsim.Account{User: phone}); err != nil {
		return fmt.Errorf("scan: %w", err)
	}
	s.printNote("the simulated phone scans it and links the account")
	isLinked := s.isLinked
	if s.dialect != nil {
		isLinked = s.isNativeLinked
	}
	for range 60 {
		done, err := isLinked(ctx)
		if err != nil {
			return err
		}
		if done {
			done := "the same engine and the same client, but the client received a QR."
			if s.directHasQR {
				done = "the client received its QR through qrgate as well, and its phone is linked."
			}
			fmt.Fprintf(s.out, "\n Done: %s\n", done)
			return nil
		}
		if err := sleep(ctx, 500*time.Millisecond); err != nil {
			return err
		}
	}
	return errors.New("the session was not connected within 30 seconds")
}

// isLinked reports whether the session's state is that of a linked phone.
func (s *scenario) isLinked(ctx context.Context) (bool, error) {
	const path = "/api/sessions/crm-gateway/status"
	res, err := s.call(ctx, http.MethodGet, s.gateway.URL()+path, "")
	if err == nil && res.Data.IsConnected {
		s.printCall(http.MethodGet, path, res)
	}
	return res.Data.IsConnected, err
}

// requestQR is the client of the incident: create, connect, wait three seconds, request the QR once.
func (s *scenario) requestQR(ctx context.Context, base, name string) (response, error) {
	requests := []struct {
		pause              time.Duration
		method, path, body string
	}{
		{0, http.MethodPost, "/api/sessions", fmt.Sprintf(`{"sessionId":%q,"sessionName":"Demo"}`, name)},
		{0, http.MethodPost, "/api/sessions/" + name + "/connect", "{}"},
		{connectPause, http.MethodGet, "/api/sessions/" + name + "/qr", ""},
	}
	var res response
	for _, r := range requests {
		err := sleep(ctx, r.pause)
		if err == nil {
			res, err = s.call(ctx, r.method, base+r.path, r.body)
		}
		if err != nil {
			return res, err
		}
		s.printCall(r.method, r.path, res)
	}
	return res, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// response holds the members of a response that the demo reads.
type response struct {
	status  int
	took    time.Duration
	Success bool
	Code    string
	Error   string
	Data    struct {
		Status      string
		QRCode      string
		PairingCode string
		URL         string
		IsConnected bool
		ExpiresIn   int
	}
}

// call sends one request with the client's timeout of ten seconds.
func (s *scenario) call(ctx context.Context, method, url, body string) (response, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return response{}, err
	}
	req.Header.Set("X-API-Key", demoKey)
	req.Header.Set("Content-Type", "application/json")
	startedAt := time.Now()
	answered, err := http.DefaultClient.Do(req)
	if err != nil {
		return response{}, err
	}
	defer func() { _ = answered.Body.Close() }()
	res := response{status: answered.StatusCode, took: time.Since(startedAt)}
	if err := json.NewDecoder(answered.Body).Decode(&res); err != nil {
		return res, fmt.Errorf("%s %s: the response is not JSON: %w", method, url, err)
	}
	return res, nil
}

func (s *scenario) printStep(title string) {
	s.startedAt = time.Now()
	fmt.Fprintf(s.out, "\n %s\n", title)
}

func (s *scenario) printCall(method, path string, res response) {
	result := res.Data.Status
	if !res.Success {
		result = res.Code + "  " + res.Error
	}
	if res.Data.QRCode != "" && res.status == http.StatusOK {
		result = fmt.Sprintf("%s, scannable for %d s", res.Data.Status, res.Data.ExpiresIn)
	}
	if res.took > 200*time.Millisecond {
		result += fmt.Sprintf("  (after %.1f s)", res.took.Seconds())
	}
	elapsed := time.Since(s.startedAt).Seconds()
	fmt.Fprintf(s.out, "   %5.2f s  %-4s %-38s %d  %s\n", elapsed, method, path, res.status, result)
}

func (s *scenario) printNote(text string) {
	fmt.Fprintf(s.out, "   %5.2f s  … %s\n", time.Since(s.startedAt).Seconds(), text)
}
