package dialect

import (
	"context"
	"net/http"
	"strings"
	"time"

	"qrgate/compat"
	"qrgate/internal/secret"
	"qrgate/internal/session"
)

const (
	pairingCodeTimeout = 15 * time.Second       // of one request; the engine may have to connect the session first
	pairingCodeReuse   = 10 * time.Second       // in which a repeated request gets the same code
	minPairingCodeTTL  = time.Minute            // a pairing that ends earlier is replaced first
	pairingPollDelay   = 500 * time.Millisecond // between two calls for the state or the code
)

// pairingCode requests a code that pairs by phone number. The session is connected first if it is not.
func (x *exchange) pairingCode(body compat.Object) (int, any, error) {
	if !x.dialect.Has(PairingCode) {
		return 0, nil, x.notSupported()
	}
	phone, ok := compat.PhoneNumber(compat.StringOf(body["phoneNumber"]))
	if !ok {
		return 0, nil, &failure{status: http.StatusBadRequest, code: compat.CodeValidationError, text: compat.TextBadPhone}
	}
	x.phone = phone
	ctx, cancel := context.WithTimeout(x.ctx, pairingCodeTimeout)
	defer cancel()
	x.ctx = ctx
	issued, ok := x.codes.issued(x.session.Name, phone, time.Now())
	if !ok {
		request := x.requestCode
		if x.dialect.Traits.PairingCodeBegins {
			request = x.beginWithCode
		}
		code, err := request()
		if err != nil {
			return 0, nil, err
		}
		issued = x.codes.issue(x.session.Name, phone, code, time.Now())
	}
	answer := compat.NewPairingCode(x.ref(x.session), issued.code.Reveal(), issued.until, time.Now())
	return http.StatusOK, answer, nil
}

// requestCode requests the code on a pairing that lasts long enough.
func (x *exchange) requestCode() (string, error) {
	if hasCode, isShort := x.codes.pairingState(x.session.Name, time.Now()); isShort || !hasCode {
		_, _, err := x.beginIf("", func(s Session) (Verb, bool) {
			verb, ok := x.dialect.Connects[s.State]
			switch {
			case !isShort:
				return verb, ok && (verb != Connect || !x.codes.MustNotBegin(s.Name, time.Now()))
			case ok:
				return verb, true
			}
			return Restart, s.State.Acquiring() && x.dialect.Has(Restart)
		})
		if err != nil {
			return "", err
		}
		isReady := func() (bool, error) {
			_, _, err := x.qr(nil)
			return x.codes.Present(x.session.Name, time.Now()) != "", err
		}
		if err := x.poll(isReady); err != nil {
			return "", err
		}
	}
	s, err := x.callOne(PairingCode)
	if err != nil {
		return "", err
	}
	return formatCode(s.PairingCode)
}

// beginWithCode ends the pairing that is under way, if any, and begins one for the number.
func (x *exchange) beginWithCode() (string, error) {
	unlock, err := x.codes.Lock(x.ctx, x.session.Name)
	if err != nil {
		return "", err
	}
	s, err := x.callOne(Status)
	switch {
	case err != nil:
	case s.State == session.Connected:
		err = alreadyPaired()
	case s.State.Acquiring():
		x.codes.recordState(x.session.Name, session.Disconnected, time.Now()) // else a poll for the QR may begin a pairing
		if _, err = x.call(Logout); err == nil {
			err = x.poll(func() (bool, error) {
				s, err := x.callOne(Status)
				return !s.State.Acquiring(), err
			})
		}
	}
	if err != nil {
		unlock()
		return "", err
	}
	if s, err = x.begin(PairingCode, unlock); err == nil && s.PairingCode == "" {
		err = x.poll(func() (_ bool, err error) {
			s, err = x.callOne(QR)
			return s.PairingCode != "", err
		})
	}
	if err != nil {
		return "", err
	}
	return formatCode(s.PairingCode)
}

// poll calls isReady until it reports true or fails. At the end of the time the code is not ready.
func (x *exchange) poll(isReady func() (bool, error)) error {
	tick := time.NewTicker(pairingPollDelay)
	defer tick.Stop()
	for hasResponded := false; ; hasResponded = true {
		ok, err := isReady()
		switch {
		case hasResponded && x.ctx.Err() != nil: // the time ended during a call
		case ok || err != nil:
			return err
		}
		select {
		case <-tick.C:
		case <-x.ctx.Done():
			return failures[session.KindNotReady].with("The engine has no pairing code yet. Try again.")
		}
	}
}

// formatCode writes a code as WhatsApp shows it: ABCD-1234.
func formatCode(code string) (string, error) {
	code = strings.ToUpper(strings.ReplaceAll(code, "-", ""))
	if len(code) != 8 || strings.Trim(code, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return "", failures[session.KindBadResponse].with("The engine's pairing code is not readable.")
	}
	return code[:4] + "-" + code[4:], nil
}

func alreadyPaired() error {
	return failures[session.KindAlreadyPaired].with("The session is linked to a phone already.")
}

// issue remembers a code for a number.
func (c *Codes) issue(name, phone, code string, now time.Time) issuedCode {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entry(name, now)
	until := e.begunAt.Add(c.traits.PairingCodeTTL)
	if c.isGood(e, now) && until.Before(c.expiresAt(e)) { // another process began the pairing
		until = c.expiresAt(e)
	}
	e.pairing = issuedCode{secret.NewSecret(phone), secret.NewSecret(code), now, until}
	return e.pairing
}

// issued is the code for a number that was requested a moment ago.
func (c *Codes) issued(name, phone string, now time.Time) (issuedCode, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[name]
	if e == nil || e.pairing.phone.Reveal() != phone || now.Sub(e.pairing.at) >= pairingCodeReuse {
		return issuedCode{}, false
	}
	return e.pairing, true
}

// pairingState reports whether the pairing that was begun last has shown a code, and whether it ends soon, or is not
// known. Then a code that was issued on it is over.
func (c *Codes) pairingState(name string, now time.Time) (hasCode, isShort bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entry(name, now)
	if isShort = e.begunAt.Add(c.traits.PairingCodeTTL).Sub(now) < minPairingCodeTTL; isShort {
		e.pairing = issuedCode{}
	}
	return e.sequence > 0, isShort
}

// isPairingByPhone reports whether a person may be typing a code that a begin would end. Where the engine renews its QR
// by itself, qrgate begins no other pairing meanwhile.
func (c *Codes) isPairingByPhone(name string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[name]
	return e != nil && c.traits.QRBegins && now.Before(e.pairing.until)
}
