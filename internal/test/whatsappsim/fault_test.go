package whatsappsim_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/internal/test/whatsappsim"
)

// row is a fault and what an unpaired whatsmeow client reports of it in five minutes, or ten if its Connect
// blocks for so long. The rows are the fault table of the library: what a diagnosis can be built on.
type row struct {
	fault     whatsappsim.Fault
	want      []string
	connected bool // the client's state at the end
}

func TestFault_BeforeQR(t *testing.T) {
	t.Parallel()
	const (
		garbage  = "0s Connect: noise handshake failed: failed to unmarshal handshake response: proto: cannot parse invalid wire-format data"
		badCert  = "0s Connect: noise handshake failed: failed to verify server cert: failed to verify intermediate cert signature"
		timedOut = "20s Connect: noise handshake failed: timed out waiting for handshake response"
	)
	run(t, map[string]row{
		"403 on upgrade": {fault: whatsappsim.Fault{HTTPStatus: 403}, want: []string{"0s Connect: status 403"}},
		"407 on upgrade": {fault: whatsappsim.Fault{HTTPStatus: 407}, want: []string{"0s Connect: status 407"}},
		"429 on upgrade": {fault: whatsappsim.Fault{HTTPStatus: 429}, want: []string{"0s Connect: status 429"}},
		"503 on upgrade": {fault: whatsappsim.Fault{HTTPStatus: 503}, want: []string{"0s Connect: status 503"}},
		"upgrade hangs":  {fault: whatsappsim.Fault{HangUpgrade: true}, want: []string{"10m0s Connect: deadline"}},
		"hello hangs":    {fault: whatsappsim.Fault{HangHello: true}, want: []string{timedOut}},
		"hello cut":      {fault: whatsappsim.Fault{CutHello: true}, want: []string{timedOut}},
		"hello garbage":  {fault: whatsappsim.Fault{GarbageHello: true}, want: []string{garbage}},
		"foreign root":   {fault: whatsappsim.Fault{BadCert: true}, want: []string{badCert}},
		"no refs":        {fault: whatsappsim.Fault{NoPairDevice: true}, connected: true},
	})
}

func TestFault_Failure(t *testing.T) {
	t.Parallel()
	loggedOut := func(reason string) []string {
		return refused("0s LoggedOut on connect true reason " + reason)
	}
	lost := []string{"200ms Disconnected", "200ms qr closed", "200ms qr timeout"}
	outdated := []string{"0s ClientOutdated", "0s qr closed", "0s qr err-client-outdated"}
	run(t, map[string]row{
		"400": {fault: whatsappsim.Fault{Failure: 400}, want: refused("0s ConnectFailure 400")},
		"401": {fault: whatsappsim.Fault{Failure: 401}, want: loggedOut("401")},
		"402": {fault: whatsappsim.Fault{Failure: 402}, want: refused("0s TemporaryBan")},
		"403": {fault: whatsappsim.Fault{Failure: 403}, want: loggedOut("403")},
		"405": {fault: whatsappsim.Fault{Failure: 405}, want: outdated},
		"406": {fault: whatsappsim.Fault{Failure: 406}, want: loggedOut("406")},
		"409": {fault: whatsappsim.Fault{Failure: 409}, want: refused("0s ConnectFailure 409")},
		"415": {fault: whatsappsim.Fault{Failure: 415}, want: refused("0s ConnectFailure 415")},
		"500": {fault: whatsappsim.Fault{Failure: 500}, want: lost},
		"501": {fault: whatsappsim.Fault{Failure: 501}, want: refused("0s ConnectFailure 501")},
		"503": {fault: whatsappsim.Fault{Failure: 503}, want: lost},
	})
}

func TestFault_StreamError(t *testing.T) {
	t.Parallel()
	lost := []string{"200ms Disconnected", "200ms qr closed", "200ms qr timeout"}
	run(t, map[string]row{
		"401":      {fault: whatsappsim.Fault{StreamError: "401"}, want: refused("0s LoggedOut on connect false reason 401")},
		"500":      {fault: whatsappsim.Fault{StreamError: "500"}, want: append([]string{"0s StreamError 500"}, lost...)},
		"503":      {fault: whatsappsim.Fault{StreamError: "503"}, want: lost},
		"516":      {fault: whatsappsim.Fault{StreamError: "516"}, want: append([]string{"0s StreamError 516"}, lost...)},
		"conflict": {fault: whatsappsim.Fault{StreamError: "conflict"}, want: []string{"0s StreamReplaced"}},
		"515, once": {fault: whatsappsim.Fault{StreamError: "515"}, want: append([]string{"0s QR 6 codes", "0s qr code"},
			"1m0s qr code", "1m20s qr code", "1m40s qr code", "2m0s qr code", "2m20s qr code", "2m40s qr closed", "2m40s qr timeout")},
	})
}

func TestFault_QR(t *testing.T) {
	t.Parallel()
	run(t, map[string]row{
		"refs late": {fault: whatsappsim.Fault{PairDelay: 2 * time.Second, Refs: 1},
			want: []string{"22s qr closed", "22s qr timeout", "2s QR 1 codes", "2s qr code"}},
		"cut after refs": {fault: whatsappsim.Fault{CutAfterRefs: 500 * time.Millisecond},
			want: []string{"0s QR 6 codes", "0s qr code", "500ms Disconnected", "500ms qr closed", "500ms qr timeout"}},
		"one ref": {fault: whatsappsim.Fault{Refs: 1},
			want: []string{"0s QR 1 codes", "0s qr code", "20s qr closed", "20s qr timeout"}},
		"keys refreshed": {fault: whatsappsim.Fault{RefreshAfterRefs: time.Second, Refs: 1}, // not a word about it
			want: []string{"0s QR 1 codes", "0s qr code", "20s qr closed", "20s qr timeout"}},
	})
}

// refused are the lines of a client that reports what and gives up.
func refused(what string) []string {
	return []string{what, "0s qr closed", "0s qr err-unexpected-state"}
}

// run plays each row on fake time.
func run(t *testing.T, rows map[string]row) {
	t.Helper()
	for name, r := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := onPipe(t, &whatsappsim.Server{}, r.fault)
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
				defer cancel()
				w.connect(ctx)
				time.Sleep(5 * time.Minute)
				if diff := cmp.Diff(r.want, w.report()); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
				if got := w.cli.IsConnected(); got != r.connected {
					t.Errorf("connected %v, want %v", got, r.connected)
				}
				w.cli.Disconnect()
			})
		})
	}
}

// A server that sends 515 to an unpaired client again and again keeps it in a silent loop.
func TestFault_515ReconnectsWithoutEvent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := &whatsappsim.Server{Fault: whatsappsim.Fault{StreamError: "515"}, FirstFrameDelay: time.Second}
		w := onPipe(t, srv)
		w.connect(context.Background())
		time.Sleep(10*time.Second + 500*time.Millisecond)
		if got := w.report(); got != nil {
			t.Errorf("reported %q, want silence", got)
		}
		if st := srv.Stats(); st.Dials != 11 || st.PairDevices != 0 {
			t.Errorf("%+v, want eleven dials in ten seconds and no refs", st)
		}
		w.cli.Disconnect()
	})
}

// On a half-dead link the client notices, and after three minutes hangs up without an event that says so.
func TestFault_HalfOpenConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := onPipe(t, &whatsappsim.Server{}, whatsappsim.Fault{SilentIQ: true, NoPairDevice: true})
		w.connect(context.Background())
		time.Sleep(2 * time.Minute)
		if !w.cli.IsConnected() {
			t.Error("not connected after two minutes")
		}
		time.Sleep(3 * time.Minute)
		if w.cli.IsConnected() {
			t.Error("connected after five minutes")
		}
		for _, line := range w.report() {
			if !strings.HasSuffix(line, " KeepAliveTimeout") {
				t.Errorf("reported %q", line)
			}
		}
		if n := len(w.report()); n < 4 || n > 8 {
			t.Errorf("%d reports, want one in some 35 seconds", n)
		}
	})
}
