package enginetest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"qrgate/compat"
	"qrgate/internal/session"
)

// askPairingCode requests a pairing code through the documented API, and returns the response's status and code.
func (r DialectRig) askPairingCode(t *testing.T, name, phone string) (status int, code compat.PairingCode, raw string) {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost,
		compat.SessionsPath+"/"+name+"/pairing-code", strings.NewReader(`{"phoneNumber":"`+phone+`"}`))
	request.Header.Set("X-Api-Key", r.Caller.Key.Reveal())
	res, err := r.Transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var body struct {
		Code string             `json:"code"`
		Data compat.PairingCode `json:"data"`
	}
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, body.Data, body.Code
}

// checkPairingCode: a code for a number comes from a session in any state, in one form, can be typed until its end, and
// is not ended by what qrgate does meanwhile.
func checkPairingCode(t *testing.T, r DialectRig) {
	for name, prepare := range map[string]func(session.Ref){
		"fresh":      func(session.Ref) {},
		"connecting": func(ref session.Ref) { _, _ = r.Engine.Connect(t.Context(), r.Caller, ref, session.Connect) },
		"showing":    func(ref session.Ref) { r.code(t, ref, session.Connect) },
		"late": func(ref session.Ref) {
			r.code(t, ref, session.Connect)
			time.Sleep(120 * time.Second)
		},
	} {
		ref := r.Create(t, "suite-"+name)
		prepare(ref)
		status, first, refusal := r.askPairingCode(t, ref.Name, "+1 (555) 0100-23")
		if status != http.StatusOK || !regexp.MustCompile(`^[0-9A-Z]{4}-[0-9A-Z]{4}$`).MatchString(first.Code) ||
			first.SessionID != ref.Name || first.ID != ref.ID || first.ExpiresIn < 20 || first.ExpiresIn > 160 {
			t.Errorf("%s: %d %s %+v", name, status, refusal, first)
			continue
		}
		if _, again, _ := r.askPairingCode(t, ref.Name, "1555010023"); again.Code != first.Code {
			t.Errorf("%s: a repeated request ends the code", name)
		}
		for range (first.ExpiresIn - 2) / 3 {
			time.Sleep(3 * time.Second)
			_, _ = r.Engine.QR(t.Context(), r.Caller, ref)
			_, _ = r.Engine.Connect(t.Context(), r.Caller, ref, session.Connect)
		}
		if err := r.Face.EnterCode("suite-"+name, first.Code); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if o, err := r.Engine.Status(t.Context(), r.Caller, ref); err != nil || o.State != session.Connected {
			t.Errorf("%s: linked by code: %s %v", name, o.State, err)
		}
		if status, _, refusal := r.askPairingCode(t, ref.Name, "1555010024"); status != http.StatusConflict {
			t.Errorf("%s: a linked session: %d %s", name, status, refusal)
		}
		if o, err := r.Engine.Status(t.Context(), r.Caller, ref); err != nil || o.State != session.Connected {
			t.Errorf("%s: a request for a code ends a linked session: %s %v", name, o.State, err)
		}
	}
	for _, number := range []string{"", "0155501002", "12345", "1555a10023", `1555"},{`} {
		if status, _, refusal := r.askPairingCode(t, "suite-fresh", number); status != http.StatusBadRequest {
			t.Errorf("the number %q: %d %s", number, status, refusal)
		}
	}
	if status, _, refusal := r.askPairingCode(t, "nobody", "1555010023"); status/100 != 4 {
		t.Errorf("an unknown session: %d %s", status, refusal)
	}
}
