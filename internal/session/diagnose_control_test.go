package session_test

import (
	"strings"
	"testing"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// What the engine fails with and what the gate itself found are weighed against each other.
func TestWeigh(t *testing.T) {
	t.Parallel()
	at := func(step session.ConnectivityStep, code diagnosis.Code) session.ConnectivityResult {
		return session.ConnectivityResult{Step: step, Code: code, At: noon.Add(-time.Minute)}
	}
	clean := at(session.ControlHandshake, diagnosis.None)
	old := clean
	old.At = noon.Add(-time.Hour)
	before := func(l session.ConnectivityResult, age time.Duration) session.ConnectivityResult {
		l.At = noon.Add(-age)
		return l
	}
	for name, tt := range map[string]struct {
		engine diagnosis.Code
		look   session.ConnectivityResult
		want   diagnosis.Code
		says   string // part of the evidence; "" for no more of it
	}{
		"the engine is silent, I am sent codes":      {diagnosis.QRNotEmitted, clean, diagnosis.QRNotEmitted, "its library's version"},
		"the engine is silent, I get to the upgrade": {diagnosis.QRNotEmitted, at(session.ControlUpgrade, diagnosis.None), diagnosis.QRNotEmitted, "the engine's own network"},
		"the engine has no DNS, I have":              {diagnosis.DNSFailed, clean, diagnosis.DNSFailed, "the engine's own network"},
		"both fail at TLS":                           {diagnosis.TLSIntercepted, at(session.ControlTLS, diagnosis.TLSIntercepted), diagnosis.TLSIntercepted, "failed alike"},
		"the engine is silent, I fail at TLS":        {diagnosis.QRNotEmitted, at(session.ControlTLS, diagnosis.TLSIntercepted), diagnosis.TLSIntercepted, "it shares the way"},
		"the engine is silent, WhatsApp is down":     {diagnosis.QRNotEmitted, at(session.ControlUpgrade, diagnosis.WhatsAppUnavailable), diagnosis.WhatsAppUnavailable, "it shares the way"},
		"the engine is silent, my version is old":    {diagnosis.QRNotEmitted, at(session.ControlHandshake, diagnosis.ClientOutdated), diagnosis.QRNotEmitted, "client_outdated"},
		"the engine has no DNS, I have no TCP":       {diagnosis.DNSFailed, at(session.ControlTCP, diagnosis.NetworkBlocked), diagnosis.DNSFailed, "network_blocked"},
		"one session is stuck, I have no TCP":        {diagnosis.SessionStuck, at(session.ControlTCP, diagnosis.NetworkBlocked), diagnosis.SessionStuck, ""},
		"the engine is dead, I have no TCP":          {diagnosis.EngineUnreachable, at(session.ControlTCP, diagnosis.NetworkBlocked), diagnosis.EngineUnreachable, ""},
		"nobody looked":                              {diagnosis.QRNotEmitted, session.ConnectivityResult{}, diagnosis.QRNotEmitted, ""},
		"the look is old":                            {diagnosis.QRNotEmitted, old, diagnosis.QRNotEmitted, ""},
		"the look that failed may be over":           {diagnosis.QRNotEmitted, before(at(session.ControlDNS, diagnosis.DNSFailed), 4*time.Minute), diagnosis.QRNotEmitted, "dns_failed"},
		"the look that failed is of a moment ago":    {diagnosis.QRNotEmitted, before(at(session.ControlDNS, diagnosis.DNSFailed), 2*time.Minute), diagnosis.DNSFailed, "shares the way"},
		"the look came after":                        {diagnosis.QRNotEmitted, before(clean, -4*time.Second), diagnosis.QRNotEmitted, " 0s ago"},
		"nothing is wrong":                           {diagnosis.None, clean, diagnosis.None, ""},
	} {
		first := diagnosis.Diagnosis{Code: tt.engine, Evidence: []string{"first"}}
		got := session.CrossCheck(first, tt.look, noon)
		if got.Code != tt.want {
			t.Errorf("%s: %s, want %s", name, got.Code, tt.want)
		}
		if more := strings.Join(got.Evidence, "\n"); (tt.says == "") != (more == "first") || !strings.Contains(more, tt.says) {
			t.Errorf("%s: evidence %q", name, got.Evidence)
		}
		if first.Evidence[0] != "first" || len(first.Evidence) != 1 {
			t.Errorf("%s: the evidence given was changed", name)
		}
	}
}

// An engine that gave somebody a QR while the gate's own looks failed has another way: they say nothing of it. One that
// gave the QR before may share the outage.
func TestTheEnginesOwnWay(t *testing.T) {
	t.Parallel()
	s := session.Session{State: session.Created}.AfterConnect(session.Connect, noon)
	look := session.ConnectivityResult{Step: session.ControlDNS, Code: diagnosis.DNSFailed, At: noon.Add(8 * time.Second), Failing: noon.Add(-time.Hour)}
	clean := session.ConnectivityResult{Step: session.ControlUpgrade, At: noon.Add(8 * time.Second)}
	for name, tt := range map[string]struct {
		look     session.ConnectivityResult
		came     time.Time
		want     diagnosis.Code
		inferred bool
	}{
		"no QR yet":               {look, time.Time{}, diagnosis.DNSFailed, true},
		"a QR before the failure": {look, noon.Add(-2 * time.Hour), diagnosis.DNSFailed, true},
		"a QR since":              {look, noon.Add(-time.Minute), diagnosis.QRNotEmitted, false},
		"the gate has a way too":  {clean, noon.Add(-time.Minute), diagnosis.QRNotEmitted, false},
	} {
		d := session.Diagnose(s, session.Environment{Connectivity: tt.look, LastSuccess: tt.came}, noon.Add(9*time.Second))
		if d.Code != tt.want || d.Inferred != tt.inferred {
			t.Errorf("%s: %s, inferred %t", name, d.Code, d.Inferred)
		}
		if apart := name == "a QR since"; apart == strings.Contains(strings.Join(d.Evidence, " "), "the gate itself") {
			t.Errorf("%s: %q", name, d.Evidence)
		}
	}
}

// Diagnose weighs by itself.
func TestDiagnoseKnowsTheControlLook(t *testing.T) {
	t.Parallel()
	s := session.Session{State: session.Created}.AfterConnect(session.Connect, noon)
	look := session.ConnectivityResult{Step: session.ControlDNS, Code: diagnosis.DNSFailed, At: noon.Add(8 * time.Second)}
	if d := session.Diagnose(s, session.Environment{Connectivity: look}, noon.Add(9*time.Second)); d.Code != diagnosis.DNSFailed {
		t.Errorf("%s", d.Code)
	}
}
