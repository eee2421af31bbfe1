package embedded

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"qrgate/compat"
	"qrgate/internal/diagnosis"
	"qrgate/internal/redact"
	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// Error codes of the two other ways to pair.
const (
	codePairingCode  = "PAIRING_CODE_ERROR"
	codeNoPasskey    = "PASSKEY_NOT_REQUESTED"
	codePasskeyError = "PASSKEY_ERROR"
	codeLinking      = "PAIRING_IN_PROGRESS"
)

const (
	pairingCodeWait   = 8 * time.Second  // for a connection on which a pairing code can be requested
	minPairingCodeTTL = 2 * time.Minute  // a connection that ends earlier is replaced first
	pairingCodeReuse  = 10 * time.Second // in which a repeated request gets the same code
	pairingPollDelay  = 50 * time.Millisecond
	linkingTimeout    = 9 * time.Second // of one request; clients wait 10 s
	assertionDelay    = 3 * time.Second // after an assertion, before another one: it would end the first one's pairing
)

// pairingName must have the form "Browser (OS)"; WhatsApp refuses others.
const pairingName = "Chrome (Linux)"

// passkeyState is the pairing of an account that WhatsApp protects with a passkey. It is immutable.
type passkeyState struct {
	Options json.RawMessage // what the authenticator must sign
	Code    string          // to be compared with the phone's, once the assertion is accepted
}

// onRefresh renews the secret in the codes: WhatsApp has refused a scan and accepts the same ref with another one.
func (c *connection) onRefresh() {
	cli := c.client.Load()
	if cli == nil || c.jid != "" {
		return
	}
	fresh := make([]byte, 32)
	_, _ = rand.Read(fresh) // never fails
	cli.Store.AdvSecretKey = fresh
	c.report(secretRenewed{secret: secret.NewSecret(base64.StdEncoding.EncodeToString(fresh))})
}

// withSecret replaces the fourth field of a code: "…#ref,noise,identity,secret,client".
func withSecret(code, fresh secret.Secret) secret.Secret {
	fields := strings.Split(code.Reveal(), ",")
	if len(fields) < 4 {
		return code
	}
	fields[3] = fresh.Reveal()
	return secret.NewSecret(strings.Join(fields, ","))
}

// onPasskeyConfirmation confirms at once if the phone's owner has nothing to compare.
func (c *connection) onPasskeyConfirmation(e *events.PairPasskeyConfirmation) {
	if !e.SkipHandoffUX {
		c.report(passkeyAccepted{code: e.Code})
		return
	}
	ctx, cancel := context.WithTimeout(c.ctx, linkingTimeout)
	defer cancel()
	if err := c.client.Load().SendPasskeyConfirmation(ctx); err != nil {
		c.session.log().Warn("cannot confirm the passkey", "error", redact.Foreign(err.Error()))
		c.report(rejected{unlinked: true, why: newReason(diagnosis.PairingFailed, "The passkey could not be confirmed.")})
	}
}

// passkeyData is the body of GET and POST …/passkey.
type passkeyData struct {
	ID        int64           `json:"id"`
	SessionID string          `json:"sessionId"`
	Step      string          `json:"step"` // assertion or confirmation
	PublicKey json.RawMessage `json:"publicKey,omitempty"`
	Code      string          `json:"code,omitempty"`
	ExpiresAt string          `json:"expiresAt"`
}

// passkey shows what the session waits for: an assertion of the account's passkey, then a confirmation.
func (e *Engine) passkey(_ *http.Request, s *engineSession) response {
	v := s.refreshed()
	p := v.link.Passkey
	if p == nil {
		return problem(http.StatusNotFound, codeNoPasskey, "WhatsApp requests no passkey for this session")
	}
	data := passkeyData{ID: v.row.id, SessionID: v.row.sessionID, Step: "assertion", PublicKey: p.Options, Code: p.Code,
		ExpiresAt: compat.Millis(v.link.Deadline)}
	if p.Code != "" {
		data.Step, data.PublicKey = "confirmation", nil
	}
	return ok(compat.Envelope{Success: true, Data: data})
}

// sendPasskey takes the authenticator's response, or {"confirm":true} when the codes are equal.
func (e *Engine) sendPasskey(r *http.Request, s *engineSession) response {
	var body struct {
		types.WebAuthnResponse
		Confirm bool `json:"confirm"`
	}
	if problem := readJSON(r, &body); problem != nil {
		return *problem
	}
	v, cli := s.current()
	if v.link.Passkey == nil || cli == nil {
		return problem(http.StatusNotFound, codeNoPasskey, "WhatsApp requests no passkey for this session")
	}
	select {
	case s.linking <- struct{}{}:
		defer func() { <-s.linking }()
	default:
		return linkingBusy()
	}
	ctx, cancel := context.WithTimeout(r.Context(), linkingTimeout)
	defer cancel()
	var err error
	switch {
	case v.link.Passkey.Code != "" && !body.Confirm:
		return invalid(`compare the code with the phone's and send {"confirm":true}`)
	case v.link.Passkey.Code != "":
		err = cli.SendPasskeyConfirmation(ctx)
	case len(body.RawID) == 0 || len(body.Response.Signature) == 0:
		return invalid("the body must be the authenticator's response: id, rawId, type and response")
	case s.assertedFor == v.link.Passkey && time.Since(s.assertedAt) < assertionDelay:
		return linkingBusy()
	default:
		if err = cli.SendPasskeyResponse(ctx, &body.WebAuthnResponse); err == nil {
			s.assertedFor, s.assertedAt = v.link.Passkey, time.Now()
		}
	}
	if err != nil {
		s.log().Warn("cannot send the passkey", "error", redact.Foreign(err.Error()))
		return problem(http.StatusBadGateway, codePasskeyError, "WhatsApp did not accept the passkey")
	}
	return ok(compat.ActionResult("The passkey was sent.", v.ref(), compat.WireConnecting))
}

func linkingBusy() response {
	return problem(http.StatusConflict, codeLinking, "another request of this kind is being processed; wait 3 seconds")
}

// current returns the session and the client of its connection, nil without one.
func (s *engineSession) current() (view, *whatsmeow.Client) {
	s.mu.Lock()
	c := s.conn
	s.mu.Unlock()
	if c == nil {
		return s.view(), nil
	}
	return s.view(), c.client.Load()
}

// pairingCode requests a code of eight characters for the phone of a number. Its life is that of the connection's QRs.
func (e *Engine) pairingCode(r *http.Request, s *engineSession) response {
	var body struct {
		PhoneNumber string `json:"phoneNumber"`
	}
	if problem := readJSON(r, &body); problem != nil {
		return *problem
	}
	phone, isPhone := compat.PhoneNumber(body.PhoneNumber)
	if !isPhone {
		return invalid(compat.TextBadPhone)
	}
	ctx, cancel := context.WithTimeout(r.Context(), linkingTimeout)
	defer cancel()
	select {
	case s.linking <- struct{}{}: // one at a time: a later code ends an earlier one
	case <-ctx.Done():
		return linkingBusy()
	}
	defer func() { <-s.linking }()
	v, cli := s.awaitCodes(ctx)
	if v.link.JID != "" {
		return problem(http.StatusBadRequest, compat.CodeSessionAlreadyConnected, "La sesión ya está conectada")
	}
	if cli == nil {
		return noPairingCode(v.link.LastDisconnect)
	}
	now := time.Now()
	if c := s.issued; c.client == cli && c.phone == phone && now.Sub(c.at) < pairingCodeReuse {
		return ok(c.body(v, now))
	}
	text, err := cli.PairPhone(ctx, phone, true, whatsmeow.PairClientChrome, pairingName)
	if err != nil {
		s.log().Warn("cannot get a pairing code", "error", redact.Foreign(err.Error()))
		if errors.Is(err, whatsmeow.ErrIQRateOverLimit) {
			return problem(http.StatusTooManyRequests, compat.CodeRateLimitExceeded,
				"WhatsApp allows no further pairing code at present")
		}
		if ctx.Err() != nil {
			return noPairingCode(newReason(diagnosis.WhatsAppSilent, "WhatsApp does not respond."))
		}
		return problem(http.StatusBadGateway, codePairingCode, "WhatsApp gave no pairing code; check the phone number")
	}
	s.issued = pairingCode{cli, phone, text, now}
	return ok(s.issued.body(v, now))
}

// noPairingCode is the response without a connection on which a code can be requested.
func noPairingCode(why reason) response {
	text := "there is no connection to WhatsApp for a pairing code: connect the session and try again"
	if !why.isKnown() {
		return problem(http.StatusServiceUnavailable, codePairingCode, text)
	}
	return problem(http.StatusServiceUnavailable, string(why.Code), text+". "+why.Text)
}

// pairingCode is a code that WhatsApp gave for a number on one connection.
type pairingCode struct {
	client      *whatsmeow.Client
	phone, text string
	at          time.Time
}

func (c pairingCode) body(v view, now time.Time) compat.Envelope {
	return compat.NewPairingCode(v.ref(), c.text, v.link.codesUntil(), now)
}

// awaitCodes connects the session if it must, and waits for a connection whose codes last long enough. The client is
// nil if there is none in time.
func (s *engineSession) awaitCodes(ctx context.Context) (view, *whatsmeow.Client) {
	v := s.refreshed()
	if v.link.JID != "" {
		return v, nil // also while it is disconnected
	}
	if v.link.Phase == idle || v.link.Phase == showing && time.Until(v.link.codesUntil()) < minPairingCodeTTL {
		s.apply(nil, connectRequested{force: v.link.Phase == showing})
	}
	end := time.NewTimer(pairingCodeWait)
	defer end.Stop()
	poll := time.NewTicker(pairingPollDelay)
	defer poll.Stop()
	for {
		v, cli := s.current()
		switch v.link.Phase {
		case showing:
			return v, cli
		case idle, pairing, loggingIn, online, passkeyPending:
			return v, nil
		}
		select {
		case <-poll.C:
		case <-end.C:
			return v, nil
		case <-ctx.Done():
			return v, nil
		}
	}
}

// codesUntil is when the last code of the connection expires.
func (l linkState) codesUntil() time.Time {
	return l.Deadline.Add(time.Duration(max(len(l.Codes)-1, 0)) * session.RefreshQRTTL)
}

// marshalOptions is the request of a passkey as the authenticator reads it.
func marshalOptions(e *events.PairPasskeyRequest) json.RawMessage {
	b, _ := json.Marshal(e.PublicKey)
	return b
}
