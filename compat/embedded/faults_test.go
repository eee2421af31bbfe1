package embedded_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/internal/test/whatsappsim"
)

// outcome is the status of a session, and the number of dials so far.
type outcome struct {
	Status, Reason string
	Dials          int
}

// Every fault of WhatsApp or the network before the code ends in a state and a reason, after at most three
// connections in a row.
func TestFaults_BeforeTheQR(t *testing.T) {
	t.Parallel()
	checkFaults(t, map[string]faultCase{
		"403 on upgrade":        {whatsappsim.Fault{HTTPStatus: 403}, failedThrice("network_blocked")},
		"407 on upgrade":        {whatsappsim.Fault{HTTPStatus: 407}, failedThrice("proxy_refused")},
		"rate limit on upgrade": {whatsappsim.Fault{HTTPStatus: 429}, failedThrice("whatsapp_unavailable")},
		"503 on upgrade":        {whatsappsim.Fault{HTTPStatus: 503}, failedThrice("whatsapp_unavailable")},
		"upgrade hangs":         {whatsappsim.Fault{HangUpgrade: true}, failedThrice("whatsapp_silent")},
		"hello hangs":           {whatsappsim.Fault{HangHello: true}, failedThrice("whatsapp_silent")},
		"hello cut":             {whatsappsim.Fault{CutHello: true}, failedThrice("whatsapp_silent")},
		"hello is a web page":   {whatsappsim.Fault{GarbageHello: true}, failedOnce("tls_intercepted")},
		"foreign Noise root":    {whatsappsim.Fault{BadCert: true}, failedOnce("tls_intercepted")},
		"no codes":              {whatsappsim.Fault{NoPairDevice: true}, failedThrice("whatsapp_silent")},
		"codes too late":        {whatsappsim.Fault{PairDelay: 30 * time.Second}, failedThrice("whatsapp_silent")},
		"cut after the codes":   {whatsappsim.Fault{CutAfterRefs: 500 * time.Millisecond}, failedThrice("whatsapp_unavailable")},
		"codes late":            {whatsappsim.Fault{PairDelay: 2 * time.Second}, outcome{"qr_code", "", 1}},
		"one code":              {whatsappsim.Fault{Refs: 1}, outcome{"disconnected", "qr_expired", 1}},
		"healthy":               {whatsappsim.Fault{}, outcome{"qr_code", "", 1}},
	})
}

// Errors that WhatsApp sends after the handshake in place of codes.
func TestFaults_WhatsAppErrorsBeforeTheQR(t *testing.T) {
	t.Parallel()
	checkFaults(t, map[string]faultCase{
		"failure 400":      {whatsappsim.Fault{Failure: 400}, failedOnce("internal")},
		"failure 401":      {whatsappsim.Fault{Failure: 401}, outcome{"disconnected", "logged_out", 1}},
		"failure 402":      {whatsappsim.Fault{Failure: 402}, failedOnce("account_banned")},
		"failure 403":      {whatsappsim.Fault{Failure: 403}, outcome{"disconnected", "logged_out", 1}},
		"failure 405":      {whatsappsim.Fault{Failure: 405}, failedOnce("client_outdated")},
		"failure 406":      {whatsappsim.Fault{Failure: 406}, failedOnce("account_banned")},
		"failure 409":      {whatsappsim.Fault{Failure: 409}, failedOnce("client_outdated")},
		"failure 415":      {whatsappsim.Fault{Failure: 415}, failedOnce("internal")},
		"failure 500":      {whatsappsim.Fault{Failure: 500}, failedThrice("whatsapp_unavailable")},
		"failure 501":      {whatsappsim.Fault{Failure: 501}, failedOnce("whatsapp_unavailable")},
		"failure 503":      {whatsappsim.Fault{Failure: 503}, failedThrice("whatsapp_unavailable")},
		"stream error 401": {whatsappsim.Fault{StreamError: "401"}, outcome{"disconnected", "logged_out", 1}},
		"stream error 500": {whatsappsim.Fault{StreamError: "500"}, failedThrice("whatsapp_unavailable")},
		"stream error 503": {whatsappsim.Fault{StreamError: "503"}, failedThrice("whatsapp_unavailable")},
		"stream error 515": {whatsappsim.Fault{StreamError: "515"}, failedThrice("whatsapp_unavailable")},
		"stream replaced":  {whatsappsim.Fault{StreamError: "conflict"}, outcome{"disconnected", "session_conflict", 1}},
	})
}

type faultCase struct {
	fault whatsappsim.Fault
	want  outcome
}

func failedOnce(reason string) outcome   { return outcome{"error", reason, 1} }
func failedThrice(reason string) outcome { return outcome{"error", reason, 3} }

// checkFaults connects a session with each fault, checks it after two minutes, and connects it again without.
func checkFaults(t *testing.T, tests map[string]faultCase) {
	t.Helper()
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runInBubble(t, tt.fault, func(t *testing.T, r *rig, srv *whatsappsim.Server) {
				r.connect("first")
				time.Sleep(2 * time.Minute)
				d := r.call("GET", "/api/sessions/first/status").data()
				got := outcome{d["status"].(string), reasonOf(d), srv.Stats().Dials}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
				if a := r.call("GET", "/api/sessions/first/qr"); a.status == 500 && !strings.Contains(a.raw, "QR: "+tt.want.Reason) {
					t.Errorf("qr does not name the reason: %s", a.raw)
				}
				srv.SetFault(whatsappsim.Fault{}) // the next connect clears the reason
				r.call("POST", "/api/sessions/first/connect")
				r.untilStatus("first", "qr_code", 5*time.Second)
			})
		})
	}
}

// A connection that was cut after a code was shown for a while counts as successful: the session gets new codes as
// long as a client waits.
func TestConnection_CutWhileShowingGetsNewCodes(t *testing.T) {
	t.Parallel()
	runInBubble(t, whatsappsim.Fault{CutAfterRefs: 15 * time.Second}, func(t *testing.T, r *rig, srv *whatsappsim.Server) {
		r.connect("first")
		time.Sleep(2 * time.Minute)
		r.untilStatus("first", "qr_code", 5*time.Second)
		if n := srv.Stats().Dials; n < 7 || n > 9 {
			t.Errorf("%d dials in two minutes, want one every 16 s", n)
		}
		time.Sleep(2 * time.Minute)
		if d := r.call("GET", "/api/sessions/first/status").data(); d["status"] != "error" || reasonOf(d) != "whatsapp_unavailable" {
			t.Errorf("when no client waits any more: %v", d)
		}
	})
}

// A scan on a dead connection has no effect, so the first missed ping leads to new codes.
func TestConnection_MissedPingWhileShowingGetsNewCodes(t *testing.T) {
	t.Parallel()
	runInBubble(t, whatsappsim.Fault{SilentIQ: true}, func(t *testing.T, r *rig, srv *whatsappsim.Server) {
		r.connect("first")
		r.untilStatus("first", "qr_code", time.Second)
		time.Sleep(45 * time.Second)
		r.untilStatus("first", "qr_code", 5*time.Second)
		if n := srv.Stats().Dials; n != 2 {
			t.Errorf("%d dials, want the first and one for the new codes", n)
		}
	})
}

// Faults between the scan and the login, and after it. The session recovers from temporary ones.
func TestFaults_AfterTheScan(t *testing.T) {
	t.Parallel()
	after := func(f whatsappsim.Fault) whatsappsim.Fault { return whatsappsim.Fault{AfterScan: &f} }
	tests := map[string]struct {
		fault whatsappsim.Fault
		in    time.Duration // when the outcome is checked
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
			runInBubble(t, tt.fault, func(t *testing.T, r *rig, srv *whatsappsim.Server) {
				r.connect("first")
				_ = srv.Scan(context.Background(), r.code("first"), whatsappsim.Account{User: "5550100"}) // some faults make it fail
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

// A paired session whose connection is cut reconnects. After three failures it reports "disconnected", and it never
// stops retrying.
func TestConnection_PairedSessionReconnects(t *testing.T) {
	t.Parallel()
	runInBubble(t, whatsappsim.Fault{}, func(t *testing.T, r *rig, srv *whatsappsim.Server) {
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

func TestConnection_SilentLoginIsRetried(t *testing.T) {
	t.Parallel()
	runInBubble(t, whatsappsim.Fault{}, func(t *testing.T, r *rig, srv *whatsappsim.Server) {
		r.connect("first")
		r.scan(srv, "first", "5550100")
		r.call("POST", "/api/sessions/first/disconnect")
		r.untilStatus("first", "disconnected", time.Second)
		// The login itself gets no response, so its timeout ends the connection.
		srv.QueueFaults(whatsappsim.Fault{SilentIQ: true})
		r.call("POST", "/api/sessions/first/connect", "{}")
		time.Sleep(39 * time.Second)
		r.untilStatus("first", "connecting", time.Second)
		r.untilStatus("first", "connected", 3*time.Second)
	})
}

// Another process with the same device takes over the connection: this one must not take it back.
func TestConnection_ReplacedSessionStaysDisconnected(t *testing.T) {
	t.Parallel()
	runInBubble(t, whatsappsim.Fault{}, func(t *testing.T, r *rig, srv *whatsappsim.Server) {
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
