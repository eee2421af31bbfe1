package proxy

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"qrgate/compat"
)

// pairsByPhone reports whether the engine serves POST …/pairing-code. An engine that does refuses a request without a
// number; one of another kind has no such route. What it responds holds for a while.
func (s *sessionRequest) pairsByPhone() bool {
	h := s.handler
	if h.config.Pairing.PairsByPhone || h.config.Native != nil {
		return h.config.Pairing.PairsByPhone
	}
	if known := h.byPhone.Load(); known != nil && time.Since(known.at) < byPhoneTTL {
		return known.isServed
	}
	inner := responseWriter{request: *s.request.Clone(s.ctx())}
	inner.request.Header["Content-Type"] = []string{compat.ContentType}
	inner.setBody([]byte("{}"))
	a, _ := s.forward("pairing_code", &inner.request, s.sessionPath("pairing-code"), "", byPhoneTimeout)
	_, err := compat.Parse(a.Body)
	isServed := a.Status/100 == 4 && err == nil && !slices.Contains(noRoute, a.Status)
	if a.Status != 0 && a.Status != http.StatusTooManyRequests {
		h.byPhone.Store(&byPhone{isServed, time.Now()})
	}
	return isServed && a.Status != http.StatusTooManyRequests
}

// byPhone is what the engine responded to a request for a pairing code without a number.
type byPhone struct {
	isServed bool
	at       time.Time
}

const (
	byPhoneTTL     = 5 * time.Minute
	byPhoneTimeout = 2 * time.Second
)

// noRoute are statuses of a route that the engine does not have, or not for the caller.
var noRoute = []int{
	http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed,
}

// PairingCode is the body of POST /pair/{token}/code, under data.
type PairingCode struct {
	PairingCode string `json:"pairingCode"`
	ExpiresIn   int    `json:"expiresIn"` // whole seconds
}

// pairingCode handles POST /pair/{token}/code: a code that the phone's owner types in, instead of scanning a QR.
func (p *pairRequest) pairingCode() {
	wanted, ok := p.jsonBody()
	switch {
	case !ok:
		return
	case !p.link.ByPhone:
		p.reply(problem(http.StatusNotFound, compat.CodeNotFound, textNoPairRoute))
		return
	case !p.links().CountCode(p.ctx(), p.link):
		r := problem(http.StatusTooManyRequests, compat.CodeRateLimitExceeded, textManyCodes)
		r.retryAfter = retryWhenFixed
		p.reply(r)
		return
	}
	body, _ := json.Marshal(map[string]string{"phoneNumber": compat.StringOf(wanted["phoneNumber"])}) // cannot fail
	res, err := p.forward("pairing_code", p.engineRequest(body), p.sessionPath("pairing-code"), "", callTimeout)
	if p.hasLeft() {
		return
	}
	if err != nil {
		status := http.StatusServiceUnavailable
		if res.Status == http.StatusBadRequest || res.Status == http.StatusTooManyRequests {
			status = res.Status
		}
		p.reply(problem(status, compat.CodeEngineBadAnswer, textNoCode))
		return
	}
	found, _ := compat.Parse(res.Body)
	code := compat.SessionOf(found)
	p.writeJSON(http.StatusOK, compat.Envelope{Success: true, Data: PairingCode{
		compat.StringOf(code["pairingCode"]), int(compat.Int(code["expiresIn"])),
	}}, nil)
}
