package whatsappsim_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/internal/test/whatsappsim"
)

func TestRotation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := &whatsappsim.Server{PreKeys: 812}
		w := onPipe(t, srv)
		w.connect(context.Background())
		time.Sleep(159 * time.Second)
		want := []string{"0s QR 6 codes", "0s qr code",
			"1m0s qr code", "1m20s qr code", "1m40s qr code", "2m0s qr code", "2m20s qr code"}
		if diff := cmp.Diff(want, w.report()); diff != "" {
			t.Errorf("before the end (-want +got)\n%s", diff)
		}
		if !w.cli.IsConnected() {
			t.Error("the server closed before the refs ran out")
		}
		time.Sleep(2 * time.Second)
		want = append(want, "2m40s qr closed", "2m40s qr timeout")
		if diff := cmp.Diff(want, w.report()); diff != "" {
			t.Errorf("after the end (-want +got)\n%s", diff)
		}
		if w.cli.IsConnected() || srv.Stats().Open != 0 {
			t.Error("the client did not hang up by itself")
		}
	})
}

// No client is hurried: the server leaves a connection open whose refs have all expired.
func TestRotation_ServerKeepsConnectionAfterLastRef(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := &whatsappsim.Server{RefTTL: []time.Duration{time.Second}}
		w := onPipe(t, srv)
		w.connect(context.Background())
		time.Sleep(time.Minute - time.Second)
		if n := srv.Stats().Open; n != 1 {
			t.Errorf("%d connections open, want the one", n)
		}
		if err := srv.Scan(t.Context(), <-w.code, whatsappsim.Account{User: "5550100"}); !errors.Is(err, whatsappsim.ErrExpiredRef) {
			t.Errorf("scan of an expired code: %v", err)
		}
		w.cli.Disconnect()
	})
}

// Each code can be scanned until the moment it is replaced, and not from then on.
func TestRotation_ScanKeepsTimesOfRefs(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		life []time.Duration
		code int // which of the codes is scanned
		at   time.Duration
		want error
	}{
		"first, at once":             {code: 0, at: 0},
		"first, at its end":          {code: 0, at: 60*time.Second - 1},
		"first, too late":            {code: 0, at: 60 * time.Second, want: whatsappsim.ErrExpiredRef},
		"second, before it is shown": {code: 1, at: 0},
		"second, at its end":         {code: 1, at: 80*time.Second - 1},
		"second, too late":           {code: 1, at: 80 * time.Second, want: whatsappsim.ErrExpiredRef},
		"last, at its end":           {code: 5, at: 160*time.Second - 1},
		"own life, in time":          {life: []time.Duration{5 * time.Second}, code: 2, at: 15*time.Second - 1},
		"own life, too late":         {life: []time.Duration{5 * time.Second}, code: 2, at: 15 * time.Second, want: whatsappsim.ErrExpiredRef},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := &whatsappsim.Server{RefTTL: tt.life, PreKeys: 812}
				w := onPipe(t, srv)
				w.connect(context.Background())
				time.Sleep(tt.at)
				err := srv.Scan(t.Context(), w.all()[tt.code], whatsappsim.Account{User: "5550100"})
				if !errors.Is(err, tt.want) {
					t.Errorf("got %v, want %v", err, tt.want)
				}
				if got, want := srv.Stats().Pairings, 1; (got == want) != (tt.want == nil) {
					t.Errorf("%d pairings", got)
				}
				time.Sleep(time.Second)
				w.cli.Disconnect()
			})
		})
	}
}
