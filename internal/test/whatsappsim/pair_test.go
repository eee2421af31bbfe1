package whatsappsim_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	waLog "go.mau.fi/whatsmeow/util/log"

	"qrgate/internal/test/whatsappsim"
	"qrgate/internal/test/whatsappsim/whatsappsimtest"
)

// The whole life of a linked device, on loopback and real time.
func TestPair_ConnectCloseReconnect(t *testing.T) {
	t.Parallel()
	srv := &whatsappsim.Server{} // without prekeys, so that the client uploads all of them
	cli := whatsappsimtest.Client(t, whatsappsimtest.Start(t, srv))
	var synced atomic.Int32 // how often the client was notified that it missed nothing
	cli.AddEventHandler(func(e any) {
		if _, ok := e.(*events.OfflineSyncCompleted); ok {
			synced.Add(1)
		}
	})
	w := newWatch(t, cli)
	w.connect(context.Background())
	if err := srv.Scan(t.Context(), <-w.code, whatsappsim.Account{User: "5550100"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return w.count("Connected") == 1 })
	if id := w.cli.Store.ID.String(); id != "5550100:1@s.whatsapp.net" {
		t.Errorf("linked as %s", id)
	}
	srv.CutAll()
	eventually(t, func() bool { return w.count("Connected") == 2 })
	if n := w.count("Disconnected"); n != 1 {
		t.Errorf("%d disconnects, want the cut", n)
	}
	want := whatsappsim.Stats{Dials: 3, Handshakes: 3, PairDevices: 1, Pairings: 1, Logins: 2, Open: 1}
	eventually(t, func() bool { return srv.Stats() == want })
	eventually(t, func() bool { return synced.Load() == 2 })
	w.cli.Disconnect()
	eventually(t, func() bool { return srv.Stats().Open == 0 })
}

// linked returns a server on a pipe and a client of it that has paired and connected.
func linked(t *testing.T, srv *whatsappsim.Server) (*whatsappsim.Pipe, *watch) {
	t.Helper()
	pipe := &whatsappsim.Pipe{}
	whatsappsimtest.StartOn(t, srv, pipe)
	w := newWatch(t, whatsappsimtest.ClientOn(t, pipe.HTTPClient()))
	w.connect(context.Background())
	if err := srv.Scan(t.Context(), <-w.code, whatsappsim.Account{User: "5550100"}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	if !w.cli.IsLoggedIn() {
		t.Fatal("not logged in")
	}
	return pipe, w
}

// A new process with the keys of a paired device logs in without a code.
func TestLogin_SameDeviceAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := &whatsappsim.Server{PreKeys: 812}
		pipe, w := linked(t, srv)
		w.cli.Disconnect()
		time.Sleep(time.Minute)
		again := newClient(t, pipe, w.cli)
		if err := again.Connect(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if !again.IsLoggedIn() {
			t.Error("not logged in")
		}
		if st := srv.Stats(); st.PairDevices != 1 || st.Logins != 2 {
			t.Errorf("%+v, want one set of refs and two logins", st)
		}
		again.Disconnect()
	})
}

// The same device on a second connection ends the first.
func TestLogin_SecondReplacesFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := &whatsappsim.Server{PreKeys: 812}
		pipe, w := linked(t, srv)
		again := newClient(t, pipe, w.cli)
		if err := again.Connect(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if w.count("StreamReplaced") != 1 || w.cli.IsConnected() || !again.IsLoggedIn() {
			t.Errorf("first client: %q, second logged in: %v", w.report(), again.IsLoggedIn())
		}
		srv.Unlink(whatsappsim.Account{User: "5550100"}) // the end of the first has not taken the second's place
		time.Sleep(time.Second)
		if again.IsConnected() {
			t.Error("the second was not notified that it is unlinked")
		}
		again.Disconnect()
	})
}

// newClient is another client with the device of the first.
func newClient(t *testing.T, pipe *whatsappsim.Pipe, of *whatsmeow.Client) *whatsmeow.Client {
	t.Helper()
	cli := whatsmeow.NewClient(of.Store, waLog.Noop)
	cli.SetPreLoginHTTPClient(pipe.HTTPClient())
	cli.SetWebsocketHTTPClient(pipe.HTTPClient())
	t.Cleanup(cli.Disconnect)
	return cli
}

// A device that was removed, by either side, or whose keys are others, is turned away.
func TestLogin_UnlinkedDeviceRefused(t *testing.T) {
	t.Parallel()
	other := whatsappsimtest.Device()
	tests := map[string]struct {
		spoil   func(*testing.T, *whatsappsim.Server, *whatsmeow.Client)
		reports string // the event of the connected client
	}{
		"removed on the phone": {reports: "LoggedOut on connect false reason 401",
			spoil: func(t *testing.T, srv *whatsappsim.Server, _ *whatsmeow.Client) {
				if n := srv.Unlink(whatsappsim.Account{User: "5550100"}); n != 1 {
					t.Errorf("%d devices removed", n)
				}
			}},
		"logged out": {spoil: func(t *testing.T, _ *whatsappsim.Server, cli *whatsmeow.Client) {
			if err := cli.Logout(t.Context()); err != nil {
				t.Error(err)
			}
		}},
		"other keys": {spoil: func(_ *testing.T, _ *whatsappsim.Server, cli *whatsmeow.Client) {
			cli.Disconnect()
			cli.Store.NoiseKey = other.NoiseKey
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := &whatsappsim.Server{PreKeys: 812}
				pipe, w := linked(t, srv)
				id := *w.cli.Store.ID
				tt.spoil(t, srv, w.cli)
				time.Sleep(time.Second)
				if tt.reports != "" && w.count(tt.reports) != 1 {
					t.Errorf("reported %q, want %q", w.report(), tt.reports)
				}
				synctest.Wait() // whatsmeow may still be forgetting
				w.cli.Store.ID, w.cli.Store.Deleted = &id, false
				again := newClient(t, pipe, w.cli)
				second := &watch{cli: again, began: time.Now()}
				again.AddEventHandler(second.event)
				second.connect(context.Background())
				time.Sleep(time.Second)
				if second.count("LoggedOut on connect true reason 401") != 1 {
					t.Errorf("reported %q, want logged out", second.report())
				}
			})
		})
	}
}

// One account links several devices, each with a number of its own.
func TestPair_SeveralDevicesPerAccount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := &whatsappsim.Server{PreKeys: 812}
		pipe, first := linked(t, srv)
		second := newWatch(t, whatsappsimtest.ClientOn(t, pipe.HTTPClient()))
		second.connect(context.Background())
		account := whatsappsim.Account{User: "5550100", LID: "777", Name: "iphone"}
		if err := srv.Scan(t.Context(), <-second.code, account); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if !second.cli.IsLoggedIn() || !first.cli.IsLoggedIn() {
			t.Error("not both logged in")
		}
		st := second.cli.Store
		if st.ID.Device != 2 || st.LID.User != "777" || st.Platform != "iphone" {
			t.Errorf("linked as %v, %v on %s", st.ID, st.LID, st.Platform)
		}
		if n := srv.Unlink(whatsappsim.Account{User: "5550100", Device: 2}); n != 1 {
			t.Errorf("%d devices removed", n)
		}
		time.Sleep(time.Second)
		if second.cli.IsConnected() || !first.cli.IsLoggedIn() {
			t.Error("want the second device removed and the first not")
		}
		first.cli.Disconnect()
	})
}

// Scan refuses what no phone could scan, and leaves the code as good as it was.
func TestScan_Refusals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := &whatsappsim.Server{PreKeys: 812}
		pipe := &whatsappsim.Pipe{}
		whatsappsimtest.StartOn(t, srv, pipe)
		mine, yours := newWatch(t, whatsappsimtest.ClientOn(t, pipe.HTTPClient())), newWatch(t, whatsappsimtest.ClientOn(t, pipe.HTTPClient()))
		mine.connect(context.Background())
		yours.connect(context.Background())
		code, foreign := <-mine.code, <-yours.code
		me := whatsappsim.Account{User: "5550100"}
		tests := []struct {
			name, code string
			account    whatsappsim.Account
			want       error
		}{
			{"no code", "hello", me, whatsappsim.ErrQR},
			{"no number", code, whatsappsim.Account{}, whatsappsim.ErrAccount},
			{"a word", code, whatsappsim.Account{User: "phone"}, whatsappsim.ErrAccount},
			{"a leading zero", code, whatsappsim.Account{User: "0550100"}, whatsappsim.ErrAccount},
			{"a large device", code, whatsappsim.Account{User: "5550100", Device: 100}, whatsappsim.ErrAccount},
			{"a bad lid", code, whatsappsim.Account{User: "5550100", LID: "x"}, whatsappsim.ErrAccount},
			{"an unknown ref", "x" + tail(code), me, whatsappsim.ErrUnknownRef},
			{"keys of another client", head(code) + tail(foreign), me, whatsappsim.ErrForeignKey},
			{"one foreign key", mix(code, foreign, 1), me, whatsappsim.ErrForeignKey},
			{"another", mix(code, foreign, 2), me, whatsappsim.ErrForeignKey},
			{"the other way", head(foreign) + tail(code), me, whatsappsim.ErrForeignKey},
			{"nothing was used", code, me, nil},
			{"used", code, me, whatsappsim.ErrUnknownRef},
		}
		for _, tt := range tests {
			if err := srv.Scan(t.Context(), tt.code, tt.account); !errors.Is(err, tt.want) {
				t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
			}
		}
		yours.cli.Disconnect()
		synctest.Wait()
		if err := srv.Scan(t.Context(), foreign, me); !errors.Is(err, whatsappsim.ErrUnknownRef) {
			t.Errorf("of a closed connection: %v", err)
		}
		time.Sleep(time.Second)
		mine.cli.Disconnect()
	})
}

// head is the ref of a code, tail the keys.
func head(code string) string { ref, _, _ := strings.Cut(code, ","); return ref }
func tail(code string) string { _, keys, _ := strings.Cut(code, ","); return "," + keys }

// mix is code with one field of another.
func mix(code, other string, field int) string {
	fields := strings.Split(code, ",")
	fields[field] = strings.Split(other, ",")[field]
	return strings.Join(fields, ",")
}

// Scan fails if the client refuses, does not respond or disconnects, and when its context ends.
func TestScan_NoSignatureEnds(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		end  func(*whatsmeow.Client, context.CancelFunc) // what happens a second after the scan
		want error
		at   time.Duration
	}{
		"says nothing": {want: whatsappsim.ErrRefused, at: 10 * time.Second,
			end: func(*whatsmeow.Client, context.CancelFunc) {}},
		"goes away": {want: whatsappsim.ErrRefused, at: time.Second,
			end: func(cli *whatsmeow.Client, _ context.CancelFunc) { cli.Disconnect() }},
		"patience": {want: context.Canceled, at: time.Second,
			end: func(_ *whatsmeow.Client, cancel context.CancelFunc) { cancel() }},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := &whatsappsim.Server{}
				w := onPipe(t, srv)
				release := make(chan struct{})
				defer close(release)
				w.cli.PrePairCallback = func(types.JID, string, string) bool { <-release; return false }
				w.connect(context.Background())
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				time.AfterFunc(time.Second, func() { tt.end(w.cli, cancel) })
				began := time.Now()
				if err := srv.Scan(ctx, <-w.code, whatsappsim.Account{User: "5550100"}); !errors.Is(err, tt.want) {
					t.Errorf("%v, want %v", err, tt.want)
				}
				if got := time.Since(began); got != tt.at {
					t.Errorf("after %v, want %v", got, tt.at)
				}
				if n := srv.Stats().Pairings; n != 0 {
					t.Errorf("%d pairings", n)
				}
				w.cli.Disconnect()
			})
		})
	}
}
