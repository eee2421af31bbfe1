package whatsappsim_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/internal/test/whatsappsim"
	"qrgate/internal/test/whatsappsim/whatsappsimtest"
)

// scanRow is a fault and what whatsmeow reports of it when its code is scanned after three seconds.
type scanRow struct {
	fault whatsappsim.Fault
	scan  error // what Scan returns
	want  []string
	login bool // the client's state at the end
}

// left is the number of devices that the account has in the end.
func (r scanRow) left() int {
	if r.scan != nil || r.fault.AfterScan != nil && r.fault.AfterScan.UnlinkAfter > 0 {
		return 0
	}
	return 1
}

func TestFault_Scan(t *testing.T) {
	t.Parallel()
	shown := []string{"0s QR 6 codes", "0s qr code"}
	paired := append(shown[:2:2], "3s PairSuccess", "3s qr closed", "3s qr success")
	then := func(f whatsappsim.Fault) whatsappsim.Fault { return whatsappsim.Fault{AfterScan: &f} }
	tests := map[string]scanRow{
		"healthy":       {want: append([]string{"3s Connected"}, paired...), login: true},
		"wrong HMAC":    {fault: whatsappsim.Fault{BadPairHMAC: true}, scan: whatsappsim.ErrRefused, want: append(shown[:2:2], "3s PairError invalid device identity HMAC in pair success message", "3s qr closed", "3s qr error")},
		"wrong sign":    {fault: whatsappsim.Fault{BadAccountSig: true}, scan: whatsappsim.ErrRefused, want: append(shown[:2:2], "3s PairError invalid device signature in pair success message", "3s qr closed", "3s qr error")},
		"dead code":     {fault: whatsappsim.Fault{RefreshAfterRefs: time.Second}, scan: whatsappsim.ErrExpiredRef, want: shown},
		"no restart":    {fault: whatsappsim.Fault{NoRestart: true}, want: paired},
		"then HTTP 503": {fault: then(whatsappsim.Fault{HTTPStatus: 503}), want: paired},
		"then 503":      {fault: then(whatsappsim.Fault{Failure: 503}), want: append([]string{"3.2s Connected", "3.2s Disconnected"}, paired...), login: true},
		"then 401":      {fault: then(whatsappsim.Fault{Failure: 401}), want: append([]string{"3s LoggedOut on connect true reason 401"}, paired...)},
		"then unlinked": {fault: then(whatsappsim.Fault{UnlinkAfter: 5 * time.Second}),
			want: append(append([]string{"3s Connected"}, paired...), "8s LoggedOut on connect false reason 401")},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := &whatsappsim.Server{PreKeys: 812}
				w := onPipe(t, srv, tt.fault)
				w.connect(context.Background())
				time.Sleep(3 * time.Second)
				if err := srv.Scan(t.Context(), <-w.code, whatsappsim.Account{User: "5550100"}); !errors.Is(err, tt.scan) {
					t.Errorf("scan: %v, want %v", err, tt.scan)
				}
				time.Sleep(30 * time.Second)
				if diff := cmp.Diff(sorted(tt.want), w.report()); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
				if got := w.cli.IsLoggedIn(); got != tt.login {
					t.Errorf("logged in %v, want %v", got, tt.login)
				}
				if n, want := srv.Unlink(whatsappsim.Account{User: "5550100"}), tt.left(); n != want {
					t.Errorf("the account has %d devices, want %d", n, want)
				}
				synctest.Wait() // a frame that meets a Disconnect leaves a goroutine of whatsmeow behind
				w.cli.Disconnect()
			})
		})
	}
}

// A server that responds to no query delays Connected by two query time-outs.
func TestFault_SilentServerConnectsLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := &whatsappsim.Server{PreKeys: 812}
		w := onPipe(t, srv, whatsappsim.Fault{AfterScan: &whatsappsim.Fault{SilentIQ: true}})
		w.connect(context.Background())
		if err := srv.Scan(t.Context(), <-w.code, whatsappsim.Account{User: "5550100"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(170 * time.Second)
		if got := strings.Join(w.report(), "\n"); !strings.Contains(got, "2m30s Connected") || strings.Count(got, " Connected") != 1 {
			t.Errorf("want Connected at 150 s and not before, got\n%s", got)
		}
		w.cli.Disconnect()
	})
}

// The phone says linked and the client is dead: whatsmeow's reconnect hangs for as long as the server likes.
// On real time, because whatsmeow waits for a mutex meanwhile, which fake time does not see.
func TestFault_HangAfterScan(t *testing.T) {
	t.Parallel()
	srv := &whatsappsim.Server{PreKeys: 812}
	srv.QueueFaults(whatsappsim.Fault{AfterScan: &whatsappsim.Fault{HangUpgrade: true}})
	w := newWatch(t, whatsappsimtest.Client(t, whatsappsimtest.Start(t, srv)))
	w.connect(context.Background())
	if err := srv.Scan(t.Context(), <-w.code, whatsappsim.Account{User: "5550100"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return srv.Stats().Dials == 2 })
	eventually(t, func() bool { return strings.Contains(strings.Join(w.report(), "\n"), "PairSuccess") })
	if st := srv.Stats(); st.Pairings != 1 || st.Logins != 0 {
		t.Errorf("%+v, want a pairing and no login", st)
	}
	srv.CutAll() // lets the client's Disconnect through
	eventually(t, func() bool { return srv.Stats().Open == 0 })
}
