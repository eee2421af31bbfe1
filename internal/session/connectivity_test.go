package session_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

func TestCrossCheck_CombinesEngineAndOwnCheck(t *testing.T) {
	t.Parallel()
	at := func(step session.ConnectivityStep, code diagnosis.Code) session.ConnectivityResult {
		return session.ConnectivityResult{Step: step, Code: code, At: noon.Add(-time.Minute)}
	}
	ok := at(session.StepHandshake, diagnosis.None)
	old := ok
	old.At = noon.Add(-time.Hour)
	before := func(l session.ConnectivityResult, age time.Duration) session.ConnectivityResult {
		l.At = noon.Add(-age)
		return l
	}
	elsewhere := func(r session.ConnectivityResult) session.ConnectivityResult {
		r.Elsewhere = true
		return r
	}
	for name, tt := range map[string]struct {
		engine   diagnosis.Code
		check    session.ConnectivityResult
		want     diagnosis.Code
		evidence string // part of the evidence; "" for no more of it
	}{
		"engine silent, own check has codes":       {diagnosis.QRNotEmitted, ok, diagnosis.QRNotEmitted, "its library's version"},
		"engine silent, own check reaches upgrade": {diagnosis.QRNotEmitted, at(session.StepUpgrade, diagnosis.None), diagnosis.QRNotEmitted, "check the engine's network"},
		"engine has no DNS, own check OK":          {diagnosis.DNSFailed, ok, diagnosis.DNSFailed, "check the engine's network"},
		"both fail at TLS":                         {diagnosis.TLSIntercepted, at(session.StepTLS, diagnosis.TLSIntercepted), diagnosis.TLSIntercepted, "failed in the same way"},
		"engine silent, own check fails at TLS":    {diagnosis.QRNotEmitted, at(session.StepTLS, diagnosis.TLSIntercepted), diagnosis.TLSIntercepted, "the same network"},
		"engine elsewhere, own check has no TCP":   {diagnosis.QRNotEmitted, elsewhere(at(session.StepTCP, diagnosis.NetworkBlocked)), diagnosis.QRNotEmitted, "network_blocked"},
		"engine elsewhere, WhatsApp is down":       {diagnosis.QRNotEmitted, elsewhere(at(session.StepUpgrade, diagnosis.WhatsAppUnavailable)), diagnosis.WhatsAppUnavailable, "qrgate itself failed"},
		"engine silent, WhatsApp is down":          {diagnosis.QRNotEmitted, at(session.StepUpgrade, diagnosis.WhatsAppUnavailable), diagnosis.WhatsAppUnavailable, "the same network"},
		"engine silent, own version is outdated":   {diagnosis.QRNotEmitted, at(session.StepHandshake, diagnosis.ClientOutdated), diagnosis.QRNotEmitted, "client_outdated"},
		"engine has no DNS, own check has no TCP":  {diagnosis.DNSFailed, at(session.StepTCP, diagnosis.NetworkBlocked), diagnosis.DNSFailed, "network_blocked"},
		"session stuck, own check has no TCP":      {diagnosis.SessionStuck, at(session.StepTCP, diagnosis.NetworkBlocked), diagnosis.SessionStuck, ""},
		"engine unreachable, own check has no TCP": {diagnosis.EngineUnreachable, at(session.StepTCP, diagnosis.NetworkBlocked), diagnosis.EngineUnreachable, ""},
		"no check":                    {diagnosis.QRNotEmitted, session.ConnectivityResult{}, diagnosis.QRNotEmitted, ""},
		"old check":                   {diagnosis.QRNotEmitted, old, diagnosis.QRNotEmitted, ""},
		"failed check of 4 min ago":   {diagnosis.QRNotEmitted, before(at(session.StepDNS, diagnosis.DNSFailed), 4*time.Minute), diagnosis.QRNotEmitted, "dns_failed"},
		"failed check of 2 min ago":   {diagnosis.QRNotEmitted, before(at(session.StepDNS, diagnosis.DNSFailed), 2*time.Minute), diagnosis.DNSFailed, "the same network"},
		"the check lastSuccess after": {diagnosis.QRNotEmitted, before(ok, -4*time.Second), diagnosis.QRNotEmitted, " 0s ago"},
		"healthy":                     {diagnosis.None, ok, diagnosis.None, ""},
	} {
		first := diagnosis.Diagnosis{Code: tt.engine, Evidence: []string{"first"}}
		got := session.CrossCheck(first, tt.check, noon)
		if got.Code != tt.want {
			t.Errorf("%s: %s, want %s", name, got.Code, tt.want)
		}
		if more := strings.Join(got.Evidence, "\n"); (tt.evidence == "") != (more == "first") || !strings.Contains(more, tt.evidence) {
			t.Errorf("%s: evidence %q", name, got.Evidence)
		}
		if first.Evidence[0] != "first" || len(first.Evidence) != 1 {
			t.Errorf("%s: CrossCheck changed its argument", name)
		}
	}
}

// An engine that returned a QR while qrgate's own checks failed has another route to WhatsApp. An engine whose QR is
// older may be affected by the same outage.
func TestDiagnose_EngineWithOwnRouteIgnoresFailedChecks(t *testing.T) {
	t.Parallel()
	s := session.Session{State: session.Created}.AfterConnect(noon)
	check := session.ConnectivityResult{Step: session.StepDNS, Code: diagnosis.DNSFailed, At: noon.Add(8 * time.Second), FailingSince: noon.Add(-time.Hour)}
	ok := session.ConnectivityResult{Step: session.StepUpgrade, At: noon.Add(8 * time.Second)}
	for name, tt := range map[string]struct {
		check       session.ConnectivityResult
		lastSuccess time.Time
		want        diagnosis.Code
		inferred    bool
	}{
		"no QR yet":               {check, time.Time{}, diagnosis.DNSFailed, true},
		"a QR before the failure": {check, noon.Add(-2 * time.Hour), diagnosis.DNSFailed, true},
		"a QR since":              {check, noon.Add(-time.Minute), diagnosis.QRNotEmitted, false},
		"qrgate has a route, too": {ok, noon.Add(-time.Minute), diagnosis.QRNotEmitted, false},
	} {
		d := session.Diagnose(s, session.Environment{Connectivity: tt.check, LastSuccess: tt.lastSuccess}, noon.Add(9*time.Second))
		if d.Code != tt.want || d.Inferred != tt.inferred {
			t.Errorf("%s: %s, inferred %t", name, d.Code, d.Inferred)
		}
		if apart := name == "a QR since"; apart == strings.Contains(strings.Join(d.Evidence, " "), "qrgate itself") {
			t.Errorf("%s: %q", name, d.Evidence)
		}
	}
}

func TestDiagnose_UsesConnectivityResult(t *testing.T) {
	t.Parallel()
	s := session.Session{State: session.Created}.AfterConnect(noon)
	check := session.ConnectivityResult{Step: session.StepDNS, Code: diagnosis.DNSFailed, At: noon.Add(8 * time.Second)}
	if d := session.Diagnose(s, session.Environment{Connectivity: check}, noon.Add(9*time.Second)); d.Code != diagnosis.DNSFailed {
		t.Errorf("%s", d.Code)
	}
}

func TestIsElsewhere(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"http://127.0.0.1:8084": false, "http://[::1]:8084": false, "http://10.0.0.7": false, "http://engine:8084": false,
		"http://engine.default.svc": false, "http://engine.local.": false, "http://localhost": false,
		"https://engine.example.com": true, "https://203.0.113.7": true, "https://[2001:db8::1]": true,
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if got := session.IsElsewhere(u); got != want {
			t.Errorf("%s: %t", address, got)
		}
	}
}

// An expired certificate at the engine is what qrgate's own check finds.
func TestCrossCheck_ExpiredCertificate(t *testing.T) {
	t.Parallel()
	s := disconnectedFor("WebSocket Error (certificate has expired) CERT_HAS_EXPIRED")
	for code, want := range map[diagnosis.Code]diagnosis.Code{
		diagnosis.ClockWrong: diagnosis.ClockWrong, diagnosis.TLSIntercepted: diagnosis.TLSIntercepted,
		diagnosis.NetworkBlocked: diagnosis.Undetermined, diagnosis.None: diagnosis.Undetermined,
	} {
		check := session.ConnectivityResult{Step: session.StepTLS, Code: code, At: noon}
		if got := session.Diagnose(s, session.Environment{Connectivity: check}, noon.Add(9*time.Second)); got.Code != want {
			t.Errorf("own check %s: %s", code, got.Code)
		}
		check.Elsewhere = true
		if got := session.Diagnose(s, session.Environment{Connectivity: check}, noon.Add(9*time.Second)); got.Code != diagnosis.Undetermined {
			t.Errorf("own check %s elsewhere: %s", code, got.Code)
		}
	}
}
