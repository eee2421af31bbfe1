package acquire_test

import (
	"testing"
	"time"

	"qrgate/internal/acquire"
	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/internal/test/enginesim"
)

// qrgate in a network without a way out, in front of an engine elsewhere: what qrgate cannot reach itself names the
// cause of a missing QR until the engine gives any session its QR, and not afterwards.
func TestDiagnosis_OwnConnectivityCountsUntilTheEngineGivesAQR(t *testing.T) {
	var began time.Time
	shut := func(c *acquire.Config) {
		c.Connectivity = func() session.ConnectivityResult {
			return session.ConnectivityResult{Step: session.StepDNS, Code: diagnosis.DNSFailed, At: time.Now().Add(-time.Second), FailingSince: began}
		}
	}
	bubble(t, &enginesim.Engine{QRDelay: 15 * time.Second}, func(r *rig) {
		began = time.Now().Add(-time.Minute)
		silence := func(name string) diagnosis.Diagnosis {
			r.connect("key-a", r.create("key-a", name))
			time.Sleep(14 * time.Second)
			v, err := r.manager.WaitQR(r.t.Context(), r.caller("key-a"), name, session.WaitPreference{Set: true})
			if err != nil {
				r.t.Fatal(err)
			}
			time.Sleep(3 * time.Second)
			if v := r.qr("key-a", name, session.WaitPreference{}); !v.Session.QR.Fresh(v.At) {
				r.t.Fatalf("%s has no QR", name)
			}
			return v.Diagnosis
		}
		if d := silence("first"); d.Code != diagnosis.DNSFailed || !d.Inferred {
			r.t.Errorf("before any QR the silence is called %s, inferred %t", d.Code, d.Inferred)
		}
		if d := silence("second"); d.Code != diagnosis.QRNotEmitted || d.Inferred {
			r.t.Errorf("the engine has a way of its own, and its silence is called %s", d.Code)
		}
	}, shut)
}
