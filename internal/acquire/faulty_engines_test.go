package acquire_test

import (
	"strings"
	"testing"
	"time"

	"qrgate/internal/acquire"
	"qrgate/internal/session"
	"qrgate/internal/test/enginesim"
)

// persistent is a client that asks for the QR again until it has one, as every poller does.
func (r *rig) persistent(key, id string, patience time.Duration) (*session.Snapshot, time.Duration) {
	r.t.Helper()
	began := time.Now()
	for {
		v, err := r.manager.WaitQR(r.t.Context(), r.caller(key), id, session.WaitPreference{})
		if err != nil {
			r.t.Fatalf("after %v: %v", time.Since(began), err)
		}
		if v.Session.QR.Fresh(v.At) {
			return v, time.Since(began)
		}
		if time.Since(began) > patience {
			r.t.Fatalf("no QR after %v: %s, %s %q", time.Since(began), v.Session.State, v.Diagnosis.Code, v.Diagnosis.Evidence)
		}
		time.Sleep(5 * time.Second)
	}
}

// Engines that fail in the ways that were observed, and the longest that a polling client may wait there.
func TestWaitQR_SucceedsWithAnEngineThat(t *testing.T) {
	engines := map[string]struct {
		engine *enginesim.Engine
		within time.Duration
		during func(r *rig)
	}{
		"fails two connects":          {engine: &enginesim.Engine{ConnectFailures: 2, QRDelay: time.Second}, within: 2 * time.Second},
		"denies the status":           {engine: &enginesim.Engine{Status404UntilLinked: true, QRDelay: 4 * time.Second}, within: 5 * time.Second},
		"is stuck until reconnected":  {engine: &enginesim.Engine{StuckUntilReconnect: true, QRDelay: time.Second}, within: 20 * time.Second},
		"is stuck until restarted":    {engine: &enginesim.Engine{StuckUntilRestart: true, QRDelay: time.Second}, within: 40 * time.Second},
		"hides codes in its list":     {engine: &enginesim.Engine{ListHidesQR: true, QRDelay: 4 * time.Second}, within: 5 * time.Second},
		"sends bare base64":           {engine: &enginesim.Engine{BareBase64: true}, within: time.Second},
		"sends the code's text":       {engine: &enginesim.Engine{RawCode: true}, within: time.Second},
		"names no expiry":             {engine: &enginesim.Engine{NoExpiry: true}, within: time.Second},
		"has a clock an hour ahead":   {engine: &enginesim.Engine{ClockSkew: time.Hour}, within: time.Second},
		"has a clock an hour behind":  {engine: &enginesim.Engine{ClockSkew: -time.Hour}, within: time.Second},
		"answers 404 while not ready": {engine: &enginesim.Engine{NotYet: 404, QRDelay: 4 * time.Second}, within: 5 * time.Second},
		"answers 200 without a code":  {engine: &enginesim.Engine{NotYet: 200, NotYetNull: true, QRDelay: 4 * time.Second}, within: 5 * time.Second},
		"answers 204 while not ready": {engine: &enginesim.Engine{NotYet: 204, QRDelay: 4 * time.Second}, within: 5 * time.Second},
		"answers 502 while not ready": {engine: &enginesim.Engine{NotYet: 502, QRDelay: 4 * time.Second}, within: 5 * time.Second},
		"is restarted in the middle": {engine: &enginesim.Engine{QRDelay: 4 * time.Second}, within: 25 * time.Second, during: func(r *rig) {
			time.Sleep(2 * time.Second)
			r.engine.Restart()
		}},
		"is down for five seconds in the middle": {engine: &enginesim.Engine{QRDelay: 4 * time.Second, DownFor: 5 * time.Second}, within: 16 * time.Second, during: func(r *rig) {
			time.Sleep(time.Second)
			r.engine.Change(func(e *enginesim.Engine) { e.DiesAt = time.Now() })
		}},
	}
	for name, c := range engines {
		t.Run(name, func(t *testing.T) {
			bubble(t, c.engine, func(r *rig) {
				ref := r.create("key-a", "crm-1")
				r.connect("key-a", ref)
				if c.during != nil {
					go c.during(r)
				}
				if _, took := r.persistent("key-a", "crm-1", time.Minute); took > c.within {
					r.t.Errorf("the QR came after %v, want within %v", took, c.within)
				}
			})
		})
	}
}

// Recovery connects with force only where the operator allows it.
func TestRecovery_ForceNeedsPermission(t *testing.T) {
	for name, leave := range map[string]bool{"with leave": true, "without": false} {
		bubbleIn(t, name, &enginesim.Engine{StuckUntilForce: true}, func(r *rig) {
			r.connect("key-a", r.create("key-a", "crm-1"))
			time.Sleep(59 * time.Second)
			forced := false
			for _, c := range r.engine.Calls() {
				forced = forced || strings.Contains(string(c.Body), "force")
			}
			if forced != leave {
				r.t.Errorf("force was asked for: %t, want %t", forced, leave)
			}
		}, func(c *acquire.Config) { c.AllowForce = leave })
	}
}
