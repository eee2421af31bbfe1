package qrgate_test

import (
	"strings"
	"testing"
	"time"

	"qrgate"
)

// What the engine fails with and what the gate itself found are weighed against each other.
func TestWeigh(t *testing.T) {
	t.Parallel()
	at := func(step qrgate.ConnectivityStep, code qrgate.Code) qrgate.ConnectivityResult {
		return qrgate.ConnectivityResult{Step: step, Code: code, At: noon.Add(-time.Minute)}
	}
	clean := at(qrgate.ControlHandshake, qrgate.None)
	old := clean
	old.At = noon.Add(-time.Hour)
	before := func(l qrgate.ConnectivityResult, age time.Duration) qrgate.ConnectivityResult {
		l.At = noon.Add(-age)
		return l
	}
	for name, tt := range map[string]struct {
		engine qrgate.Code
		look   qrgate.ConnectivityResult
		want   qrgate.Code
		says   string // part of the evidence; "" for no more of it
	}{
		"the engine is silent, I am sent codes":      {qrgate.QRNotEmitted, clean, qrgate.QRNotEmitted, "its library's version"},
		"the engine is silent, I get to the upgrade": {qrgate.QRNotEmitted, at(qrgate.ControlUpgrade, qrgate.None), qrgate.QRNotEmitted, "the engine's own network"},
		"the engine has no DNS, I have":              {qrgate.DNSFailed, clean, qrgate.DNSFailed, "the engine's own network"},
		"both fail at TLS":                           {qrgate.TLSIntercepted, at(qrgate.ControlTLS, qrgate.TLSIntercepted), qrgate.TLSIntercepted, "failed alike"},
		"the engine is silent, I fail at TLS":        {qrgate.QRNotEmitted, at(qrgate.ControlTLS, qrgate.TLSIntercepted), qrgate.TLSIntercepted, "it shares the way"},
		"the engine is silent, WhatsApp is down":     {qrgate.QRNotEmitted, at(qrgate.ControlUpgrade, qrgate.WhatsAppUnavailable), qrgate.WhatsAppUnavailable, "it shares the way"},
		"the engine is silent, my version is old":    {qrgate.QRNotEmitted, at(qrgate.ControlHandshake, qrgate.ClientOutdated), qrgate.QRNotEmitted, "client_outdated"},
		"the engine has no DNS, I have no TCP":       {qrgate.DNSFailed, at(qrgate.ControlTCP, qrgate.NetworkBlocked), qrgate.DNSFailed, "network_blocked"},
		"one session is stuck, I have no TCP":        {qrgate.SessionStuck, at(qrgate.ControlTCP, qrgate.NetworkBlocked), qrgate.SessionStuck, ""},
		"the engine is dead, I have no TCP":          {qrgate.EngineUnreachable, at(qrgate.ControlTCP, qrgate.NetworkBlocked), qrgate.EngineUnreachable, ""},
		"nobody looked":                              {qrgate.QRNotEmitted, qrgate.ConnectivityResult{}, qrgate.QRNotEmitted, ""},
		"the look is old":                            {qrgate.QRNotEmitted, old, qrgate.QRNotEmitted, ""},
		"the look that failed may be over":           {qrgate.QRNotEmitted, before(at(qrgate.ControlDNS, qrgate.DNSFailed), 4*time.Minute), qrgate.QRNotEmitted, "dns_failed"},
		"the look that failed is of a moment ago":    {qrgate.QRNotEmitted, before(at(qrgate.ControlDNS, qrgate.DNSFailed), 2*time.Minute), qrgate.DNSFailed, "shares the way"},
		"the look came after":                        {qrgate.QRNotEmitted, before(clean, -4*time.Second), qrgate.QRNotEmitted, " 0s ago"},
		"nothing is wrong":                           {qrgate.None, clean, qrgate.None, ""},
	} {
		first := qrgate.Diagnosis{Code: tt.engine, Evidence: []string{"first"}}
		got := qrgate.CrossCheck(first, tt.look, noon)
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
	s := qrgate.Session{State: qrgate.Created}.AfterConnect(qrgate.Connect, noon)
	look := qrgate.ConnectivityResult{Step: qrgate.ControlDNS, Code: qrgate.DNSFailed, At: noon.Add(8 * time.Second), Failing: noon.Add(-time.Hour)}
	clean := qrgate.ConnectivityResult{Step: qrgate.ControlUpgrade, At: noon.Add(8 * time.Second)}
	for name, tt := range map[string]struct {
		look     qrgate.ConnectivityResult
		came     time.Time
		want     qrgate.Code
		inferred bool
	}{
		"no QR yet":               {look, time.Time{}, qrgate.DNSFailed, true},
		"a QR before the failure": {look, noon.Add(-2 * time.Hour), qrgate.DNSFailed, true},
		"a QR since":              {look, noon.Add(-time.Minute), qrgate.QRNotEmitted, false},
		"the gate has a way too":  {clean, noon.Add(-time.Minute), qrgate.QRNotEmitted, false},
	} {
		d := qrgate.Diagnose(s, qrgate.Environment{Control: tt.look, LastSuccess: tt.came}, noon.Add(9*time.Second))
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
	s := qrgate.Session{State: qrgate.Created}.AfterConnect(qrgate.Connect, noon)
	look := qrgate.ConnectivityResult{Step: qrgate.ControlDNS, Code: qrgate.DNSFailed, At: noon.Add(8 * time.Second)}
	if d := qrgate.Diagnose(s, qrgate.Environment{Control: look}, noon.Add(9*time.Second)); d.Code != qrgate.DNSFailed {
		t.Errorf("%s", d.Code)
	}
}
