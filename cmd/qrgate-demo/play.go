package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"qrgate/internal/test/whatsappsim"
)

// scenario is the rehearsal: the incident's client against the engine, the same client through the gate, and
// the phone.
type scenario struct {
	*environment
	out   io.Writer
	began time.Time
	image string // the QR that the gate handed out
}

// incidentPause is when the incident's client asks for the QR after its connect: once.
const incidentPause = 3 * time.Second

func (p *scenario) run(ctx context.Context) error {
	fmt.Fprintf(p.out, `
 qrgate demo: the incident, rehearsed. No network, no phone, no account.

   simulated WhatsApp   %s
   session engine       %s   codes by real whatsmeow; 500 until %s after connect
   qrgate               %s
`, p.whatsappPort.Addr(), p.engineURL(), p.engine.QRDelay, p.gate.URL())
	return errors.Join(p.incident(ctx), p.gated(ctx), p.scan(ctx))
}

// incident is the client that everybody ran, against the engine itself.
func (p *scenario) incident(ctx context.Context) error {
	p.act("1  The incident: a client asks the engine itself")
	a, err := p.flow(ctx, p.engineURL(), "crm-direct")
	if err != nil {
		return err
	}
	p.say("the CRM shows a spinner, support gets a call")
	if a.status != http.StatusInternalServerError {
		return fmt.Errorf("the engine should have answered 500 and answered %d", a.status)
	}
	return nil
}

// gated is the same client with the same calls, through the gate.
func (p *scenario) gated(ctx context.Context) error {
	p.act("2  The same client, the same calls, through qrgate")
	a, err := p.flow(ctx, p.gate.URL(), "crm-gated")
	if err != nil {
		return err
	}
	if a.status != http.StatusOK || a.Data.QRCode == "" {
		return fmt.Errorf("the gate should have answered with a QR and answered %d %s", a.status, a.Code)
	}
	p.image = a.Data.QRCode
	img, _, err := readQR(p.image)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.out, "\n%s\n", draw(img))
	return nil
}

// scan lets the simulated phone read the picture, and waits for the gate to say so.
func (p *scenario) scan(ctx context.Context) error {
	p.act("3  A phone scans the picture")
	if p.image == "" {
		return errors.New("there is no QR to scan")
	}
	_, text, err := readQR(p.image)
	if err != nil {
		return err
	}
	if err := p.whatsapp.Scan(ctx, text, whatsappsim.Account{User: "5550100"}); err != nil {
		return fmt.Errorf("the phone could not scan it: %w", err)
	}
	p.say("the simulated phone reads it and links the account")
	for range 60 {
		a, err := p.call(ctx, http.MethodGet, p.gate.URL()+"/api/sessions/crm-gated/status", "")
		if err != nil {
			return err
		}
		if a.Data.IsConnected {
			p.line(http.MethodGet, "/api/sessions/crm-gated/status", a)
			fmt.Fprint(p.out, "\n Done: the same engine, the same client, and nobody saw the 500.\n")
			return nil
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return errors.New("the session did not become connected within half a minute")
}

// flow is the incident's client: create, connect, wait three seconds, ask for the QR once.
func (p *scenario) flow(ctx context.Context, base, name string) (answer, error) {
	steps := []struct{ method, path, body string }{
		{http.MethodPost, "/api/sessions", fmt.Sprintf(`{"sessionId":%q,"sessionName":"Demo"}`, name)},
		{http.MethodPost, "/api/sessions/" + name + "/connect", "{}"},
		{http.MethodGet, "/api/sessions/" + name + "/qr", ""},
	}
	var last answer
	for i, s := range steps {
		if i == 2 {
			select {
			case <-time.After(incidentPause):
			case <-ctx.Done():
				return last, ctx.Err()
			}
		}
		a, err := p.call(ctx, s.method, base+s.path, s.body)
		if err != nil {
			return a, err
		}
		p.line(s.method, s.path, a)
		last = a
	}
	return last, nil
}

// answer is what the demo reads of an answer.
type answer struct {
	status  int
	held    time.Duration
	Success bool
	Code    string
	Error   string
	Data    struct {
		Status      string
		QRCode      string
		IsConnected bool
		ExpiresIn   int
	}
}

// call makes one call as the client does, with its time-out of ten seconds.
func (p *scenario) call(ctx context.Context, method, url, body string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader([]byte(body)))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("X-API-Key", demoKey)
	req.Header.Set("Content-Type", "application/json")
	began := time.Now()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	a := answer{status: res.StatusCode, held: time.Since(began)}
	if err := json.NewDecoder(res.Body).Decode(&a); err != nil {
		return a, fmt.Errorf("%s %s: the answer is no JSON: %w", method, url, err)
	}
	return a, nil
}

func (p *scenario) act(title string) {
	p.began = time.Now()
	fmt.Fprintf(p.out, "\n %s\n", title)
}

// line prints one call of the timeline.
func (p *scenario) line(method, path string, a answer) {
	what := a.Data.Status
	if !a.Success {
		what = a.Code + "  " + a.Error
	}
	if a.Data.QRCode != "" && a.status == http.StatusOK {
		what = fmt.Sprintf("%s, scannable for %d s", a.Data.Status, a.Data.ExpiresIn)
	}
	if a.held > 200*time.Millisecond {
		what += fmt.Sprintf("  (held %.1f s)", a.held.Seconds())
	}
	fmt.Fprintf(p.out, "   %5.2f s  %-4s %-38s %d  %s\n", time.Since(p.began).Seconds(), method, path, a.status, what)
}

func (p *scenario) say(text string) {
	fmt.Fprintf(p.out, "   %5.2f s  … %s\n", time.Since(p.began).Seconds(), text)
}
