package embedded_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/compat/embedded"
	"qrgate/internal/test/whatsappsim"
)

// outcome is what the API says of a session two minutes after its connect.
type outcome struct {
	Status, Reason string
	Dials          int
}

// The fault table of the library (wasim 4), as the API shows it: whatever WhatsApp or the network does to a
// session that wants a code ends in a state and a reason, after at most three lines in a row.
func TestFaultsBeforeTheQR(t *testing.T) {
	t.Parallel()
	suffer(t, map[string]suffering{
		"403 on upgrade":        {whatsappsim.Fault{HTTPStatus: 403}, thrice("network_blocked")},
		"407 on upgrade":        {whatsappsim.Fault{HTTPStatus: 407}, thrice("proxy_refused")},
		"rate limit on upgrade": {whatsappsim.Fault{HTTPStatus: 429}, thrice("whatsapp_unavailable")},
		"503 on upgrade":        {whatsappsim.Fault{HTTPStatus: 503}, thrice("whatsapp_unavailable")},
		"upgrade hangs":         {whatsappsim.Fault{HangUpgrade: true}, thrice("whatsapp_silent")},
		"hello hangs":           {whatsappsim.Fault{HangHello: true}, thrice("whatsapp_silent")},
		"hello cut":             {whatsappsim.Fault{CutHello: true}, thrice("whatsapp_silent")},
		"hello is a web page":   {whatsappsim.Fault{GarbageHello: true}, failed("tls_intercepted")},
		"foreign Noise root":    {whatsappsim.Fault{BadCert: true}, failed("tls_intercepted")},
		"no codes":              {whatsappsim.Fault{NoPairDevice: true}, thrice("whatsapp_silent")},
		"codes too late":        {whatsappsim.Fault{PairDelay: 30 * time.Second}, thrice("whatsapp_silent")},
		"cut after the codes":   {whatsappsim.Fault{CutAfterRefs: 500 * time.Millisecond}, thrice("whatsapp_unavailable")},
		"codes late":            {whatsappsim.Fault{PairDelay: 2 * time.Second}, outcome{"qr_code", "", 1}},
		"one code":              {whatsappsim.Fault{Refs: 1}, outcome{"disconnected", "qr_expired", 1}},
		"healthy":               {whatsappsim.Fault{}, outcome{"qr_code", "", 1}},
	})
}

// What WhatsApp says after the handshake in place of the codes.
func TestFailuresBeforeTheQR(t *testing.T) {
	t.Parallel()
	suffer(t, map[string]suffering{
		"failure 400":      {whatsappsim.Fault{Failure: 400}, failed("internal")},
		"failure 401":      {whatsappsim.Fault{Failure: 401}, outcome{"disconnected", "logged_out", 1}},
		"failure 402":      {whatsappsim.Fault{Failure: 402}, failed("account_banned")},
		"failure 403":      {whatsappsim.Fault{Failure: 403}, outcome{"disconnected", "logged_out", 1}},
		"failure 405":      {whatsappsim.Fault{Failure: 405}, failed("client_outdated")},
		"failure 406":      {whatsappsim.Fault{Failure: 406}, failed("account_banned")},
		"failure 409":      {whatsappsim.Fault{Failure: 409}, failed("client_outdated")},
		"failure 415":      {whatsappsim.Fault{Failure: 415}, failed("internal")},
		"failure 500":      {whatsappsim.Fault{Failure: 500}, thrice("whatsapp_unavailable")},
		"failure 501":      {whatsappsim.Fault{Failure: 501}, failed("internal")},
		"failure 503":      {whatsappsim.Fault{Failure: 503}, thrice("whatsapp_unavailable")},
		"stream error 401": {whatsappsim.Fault{StreamError: "401"}, outcome{"disconnected", "logged_out", 1}},
		"stream error 500": {whatsappsim.Fault{StreamError: "500"}, thrice("whatsapp_unavailable")},
		"stream error 503": {whatsappsim.Fault{StreamError: "503"}, thrice("whatsapp_unavailable")},
		"stream error 515": {whatsappsim.Fault{StreamError: "515"}, thrice("whatsapp_unavailable")},
		"stream replaced":  {whatsappsim.Fault{StreamError: "conflict"}, outcome{"disconnected", "session_conflict", 1}},
	})
}

type suffering struct {
	fault whatsappsim.Fault
	want  outcome
}

func failed(reason string) outcome { return outcome{"error", reason, 1} }
func thrice(reason string) outcome { return outcome{"error", reason, 3} }

// suffer connects a session under each fault, looks at it after two minutes, and connects it again without.
func suffer(t *testing.T, tests map[string]suffering) {
	t.Helper()
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, tt.fault, embedded.Config{}, func(t *testing.T, r *rig, srv *whatsappsim.Server) {
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
				srv.SetFault(whatsappsim.Fault{}) // what has passed is forgotten at the next connect
				r.call("POST", "/api/sessions/first/connect")
				r.untilStatus("first", "qr_code", 5*time.Second)
			})
		})
	}
}

// A link that was cut while a code was shown for some time is one that worked: the session gets new codes as
// long as somebody wants them.
func TestCodesComeBackAfterACut(t *testing.T) {
	t.Parallel()
	inBubble(t, whatsappsim.Fault{CutAfterRefs: 15 * time.Second}, embedded.Config{}, func(t *testing.T, r *rig, srv *whatsappsim.Server) {
		r.connect("first")
		time.Sleep(2 * time.Minute)
		r.untilStatus("first", "qr_code", 5*time.Second)
		if n := srv.Stats().Dials; n < 7 || n > 9 {
			t.Errorf("%d dials in two minutes, want one every sixteen seconds", n)
		}
		time.Sleep(2 * time.Minute)
		if d := r.call("GET", "/api/sessions/first/status").data(); d["status"] != "error" || reasonOf(d) != "whatsapp_unavailable" {
			t.Errorf("when nobody wants a code any more: %v", d)
		}
	})
}

// On a half-dead link a scan would lead nowhere: the first ping that stays unanswered brings new codes.
func TestHalfDeadLinkBringsNewCodes(t *testing.T) {
	t.Parallel()
	inBubble(t, whatsappsim.Fault{SilentIQ: true}, embedded.Config{}, func(t *testing.T, r *rig, srv *whatsappsim.Server) {
		r.connect("first")
		r.untilStatus("first", "qr_code", time.Second)
		time.Sleep(45 * time.Second)
		r.untilStatus("first", "qr_code", 5*time.Second)
		if n := srv.Stats().Dials; n != 2 {
			t.Errorf("%d dials, want the first and one for the new codes", n)
		}
	})
}
