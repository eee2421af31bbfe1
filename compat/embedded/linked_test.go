package embedded_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/compat/embedded"
	"qrgate/internal/test/whatsappsim"
)

// What happens between the scan and the login, and after it: the library reports little of it, and the
// session recovers by itself from what passes.
func TestFaultsAfterTheScan(t *testing.T) {
	t.Parallel()
	after := func(f whatsappsim.Fault) whatsappsim.Fault { return whatsappsim.Fault{AfterScan: &f} }
	tests := map[string]struct {
		fault whatsappsim.Fault
		in    time.Duration // when the outcome is looked at
		want  outcome
	}{
		"healthy":                 {whatsappsim.Fault{}, time.Second, outcome{"connected", "", 2}},
		"wrong HMAC":              {whatsappsim.Fault{BadPairHMAC: true}, time.Second, outcome{"error", "pairing_failed", 1}},
		"wrong account signature": {whatsappsim.Fault{BadAccountSig: true}, time.Second, outcome{"error", "pairing_failed", 1}},
		"no 515":                  {whatsappsim.Fault{NoRestart: true}, 12 * time.Second, outcome{"connected", "", 2}},
		"503 on reconnect":        {after(whatsappsim.Fault{HTTPStatus: 503}), 3 * time.Second, outcome{"connected", "whatsapp_unavailable", 3}},
		"reconnect hangs":         {after(whatsappsim.Fault{HangUpgrade: true}), 18 * time.Second, outcome{"connected", "whatsapp_silent", 3}},
		"hello hangs":             {after(whatsappsim.Fault{HangHello: true}), 18 * time.Second, outcome{"connected", "whatsapp_silent", 3}},
		"failure 503 on login":    {after(whatsappsim.Fault{Failure: 503}), 3 * time.Second, outcome{"connected", "whatsapp_unavailable", 3}},
		"failure 401 on login":    {after(whatsappsim.Fault{Failure: 401}), 3 * time.Second, outcome{"disconnected", "logged_out", 2}},
		"failure 405 on login":    {after(whatsappsim.Fault{Failure: 405}), 3 * time.Second, outcome{"error", "client_outdated", 2}},
		"failure 409 on login":    {after(whatsappsim.Fault{Failure: 409}), 3 * time.Second, outcome{"connected", "client_outdated", 3}},
		"login is never finished": {after(whatsappsim.Fault{SilentIQ: true}), 45 * time.Second, outcome{"connected", "whatsapp_silent", 3}},
		"phone unlinks at once":   {after(whatsappsim.Fault{UnlinkAfter: 5 * time.Second}), 10 * time.Second, outcome{"disconnected", "logged_out", 2}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, tt.fault, embedded.Config{}, func(t *testing.T, r *rig, srv *whatsappsim.Server) {
				r.connect("first")
				_ = srv.Scan(context.Background(), r.code("first"), whatsappsim.Account{User: "5550100"}) // it fails where it must
				time.Sleep(tt.in)
				d := r.call("GET", "/api/sessions/first/status").data()
				if diff := cmp.Diff(tt.want, outcome{d["status"].(string), reasonOf(d), srv.Stats().Dials}); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
				linked := d["phoneNumber"] != nil
				if want := tt.want.Status == "connected" || tt.want.Reason == "client_outdated"; linked != want {
					t.Errorf("linked %v, want %v", linked, want)
				}
			})
		})
	}
}

// A linked session that is cut off comes back; while it cannot, it says after three tries that it is offline,
// and never stops trying.
func TestLinkedSessionComesBack(t *testing.T) {
	t.Parallel()
	inBubble(t, whatsappsim.Fault{}, embedded.Config{}, func(t *testing.T, r *rig, srv *whatsappsim.Server) {
		r.connect("first")
		r.scan(srv, "first", "5550100")
		srv.SetFault(whatsappsim.Fault{HTTPStatus: 503})
		srv.CutAll()
		r.untilStatus("first", "connecting", time.Second)
		r.untilStatus("first", "disconnected", 10*time.Second)
		time.Sleep(30 * time.Minute)
		if n := srv.Stats().Dials; n < 30 || n > 45 {
			t.Errorf("%d dials in half an hour, want one a minute", n)
		}
		srv.SetFault(whatsappsim.Fault{})
		r.untilStatus("first", "connected", time.Minute+time.Second)
	})
}

// A link that died without a word is replaced after the second ping that stays unanswered.
func TestLinkedSessionNoticesSilence(t *testing.T) {
	t.Parallel()
	inBubble(t, whatsappsim.Fault{}, embedded.Config{}, func(t *testing.T, r *rig, srv *whatsappsim.Server) {
		r.connect("first")
		r.scan(srv, "first", "5550100")
		r.call("POST", "/api/sessions/first/disconnect")
		r.untilStatus("first", "disconnected", time.Second)
		// The login itself is answered by nobody either, so the silence is noticed by its watchdog.
		srv.QueueFaults(whatsappsim.Fault{SilentIQ: true})
		r.call("POST", "/api/sessions/first/connect", "{}")
		time.Sleep(39 * time.Second)
		r.untilStatus("first", "connecting", time.Second)
		r.untilStatus("first", "connected", 3*time.Second)
	})
}

// Another process with the same device takes the connection over: the two must not fight for it.
func TestReplacedSessionStaysAway(t *testing.T) {
	t.Parallel()
	inBubble(t, whatsappsim.Fault{}, embedded.Config{}, func(t *testing.T, r *rig, srv *whatsappsim.Server) {
		r.connect("first")
		r.scan(srv, "first", "5550100")
		srv.QueueFaults(whatsappsim.Fault{StreamError: "conflict"})
		r.call("POST", "/api/sessions/first/restart")
		d := r.untilStatus("first", "disconnected", time.Second)
		if reasonOf(d) != "session_conflict" {
			t.Errorf("%v", d)
		}
		dials := srv.Stats().Dials
		time.Sleep(10 * time.Minute)
		if n := srv.Stats().Dials; n != dials {
			t.Errorf("%d dials after it was replaced", n-dials)
		}
		r.call("POST", "/api/sessions/first/connect")
		r.untilStatus("first", "connected", time.Second)
	})
}
