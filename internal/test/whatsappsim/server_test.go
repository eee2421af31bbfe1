package whatsappsim_test

import (
	"context"
	"errors"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.mau.fi/whatsmeow/binary"

	"qrgate/internal/test/whatsappsim"
	"qrgate/internal/test/whatsappsim/whatsappsimtest"
)

// Faults are taken in this order: the one after a scan, the queue, what SetFault said, the field.
func TestFault_Order(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := &whatsappsim.Server{Fault: whatsappsim.Fault{HTTPStatus: 500}}
		pipe := &whatsappsim.Pipe{}
		whatsappsimtest.StartOn(t, srv, pipe)
		status := func() string {
			w := newWatch(t, whatsappsimtest.ClientOn(t, pipe.HTTPClient()))
			w.connect(context.Background())
			synctest.Wait()
			w.cli.Disconnect()
			if lines := w.report(); len(lines) > 0 {
				return lines[0]
			}
			return ""
		}
		expect := func(want string) {
			t.Helper()
			if got := status(); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		expect("0s Connect: status 500")
		srv.SetFault(whatsappsim.Fault{HTTPStatus: 501})
		srv.QueueFaults(whatsappsim.Fault{HTTPStatus: 502}, whatsappsim.Fault{HTTPStatus: 503})
		expect("0s Connect: status 502")
		expect("0s Connect: status 503")
		expect("0s Connect: status 501")
		srv.QueueFaults(whatsappsim.Fault{AfterScan: &whatsappsim.Fault{HTTPStatus: 504}}, whatsappsim.Fault{HTTPStatus: 502})
		w := newWatch(t, whatsappsimtest.ClientOn(t, pipe.HTTPClient()))
		w.connect(context.Background())
		if err := srv.Scan(t.Context(), <-w.code, whatsappsim.Account{User: "5550100"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // the reconnect took the 504
		w.cli.Disconnect()
		expect("0s Connect: status 502")
		expect("0s Connect: status 501")
		srv.SetFault(whatsappsim.Fault{})
		expect("0s QR 6 codes")
	})
}

// A connection keeps the fault it began with.
func TestFault_ScanUsesFaultOfItsConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := &whatsappsim.Server{PreKeys: 812}
		w := onPipe(t, srv)
		w.connect(context.Background())
		srv.SetFault(whatsappsim.Fault{BadPairHMAC: true})
		if err := srv.Scan(t.Context(), <-w.code, whatsappsim.Account{User: "5550100"}); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		w.cli.Disconnect()
	})
}

// Close ends every connection, in whatever state it hangs, and returns after the last.
func TestServer_CloseEndsConnections(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]whatsappsim.Fault{
		"upgrade": {HangUpgrade: true}, "hello": {HangHello: true}, "refs": {},
		"no refs": {NoPairDevice: true}, "late refs": {PairDelay: time.Hour}, "later": {CutAfterRefs: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := &whatsappsim.Server{PreKeys: 812}
				w := onPipe(t, srv, f)
				ctx, cancel := context.WithCancel(context.Background())
				returned := make(chan struct{})
				go func() { defer close(returned); w.connect(ctx) }()
				synctest.Wait()
				if n := srv.Stats().Open; n != 1 {
					t.Fatalf("%d connections open, want one", n)
				}
				if err := srv.Close(); err != nil {
					t.Error(err)
				}
				if n := srv.Stats().Open; n != 0 {
					t.Errorf("%d connections open after Close", n)
				}
				synctest.Wait() // until the client has seen it
				cancel()
				<-returned // whatsmeow may take its twenty seconds; a Disconnect meanwhile would stop fake time
			})
		})
	}
}

func TestLifecycle(t *testing.T) {
	t.Parallel()
	closed := &whatsappsim.Server{}
	if err := errors.Join(closed.Close(), closed.Close()); err != nil {
		t.Errorf("closing twice: %v", err)
	}
	pipe := &whatsappsim.Pipe{}
	if err := closed.Serve(pipe); err != nil {
		t.Errorf("serving after Close: %v", err)
	}
	if _, err := pipe.DialContext(t.Context(), "", ""); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("the listener of a closed server: %v", err)
	}
	if err := (&whatsappsim.Server{}).Serve(pipe); !errors.Is(err, net.ErrClosed) {
		t.Errorf("serving a closed listener: %v", err)
	}
}

func TestPipe(t *testing.T) {
	t.Parallel()
	pipe := &whatsappsim.Pipe{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := pipe.DialContext(ctx, "tcp", "web.whatsapp.com:443"); !errors.Is(err, context.Canceled) {
		t.Errorf("no server accepts: %v", err)
	}
	if err := errors.Join(pipe.Close(), pipe.Close()); err != nil {
		t.Errorf("closing twice: %v", err)
	}
	if _, err := pipe.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept after close: %v", err)
	}
	w := newWatch(t, whatsappsimtest.ClientOn(t, pipe.HTTPClient()))
	if err := w.cli.Connect(); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("connect after close: %v", err)
	}
}

// FirstFrameDelay holds the first frame back, whatever it is.
func TestFirstFrameDelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := onPipe(t, &whatsappsim.Server{FirstFrameDelay: 100 * time.Millisecond}, whatsappsim.Fault{Failure: 405})
		w.connect(context.Background())
		time.Sleep(time.Second)
		if w.report()[0] != "100ms ClientOutdated" {
			t.Errorf("reported %q", w.report())
		}
		w.cli.Disconnect()
	})
}

// A client may send anything: an odd stanza gets no response or a plain one, and the connection stays open.
func TestServer_IgnoresUnknownNodes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := &whatsappsim.Server{PreKeys: 812}
		w := onPipe(t, srv)
		w.connect(context.Background())
		synctest.Wait()
		for _, n := range []binary.Node{
			{Tag: "iq"}, {Tag: "message"}, {Tag: "iq", Attrs: binary.Attrs{"id": "1"}},
			{Tag: "iq", Attrs: binary.Attrs{"id": "1", "type": "result"}},
			{Tag: "iq", Attrs: binary.Attrs{"id": "2", "type": "error", "xmlns": "encrypt"}},
			{Tag: "iq", Attrs: binary.Attrs{"id": "3", "type": "set", "xmlns": "encrypt"}, Content: []binary.Node{{Tag: "registration"}}},
			{Tag: "iq", Attrs: binary.Attrs{"id": "4", "type": "set", "xmlns": "md"}, Content: []binary.Node{{Tag: "remove-companion-device"}}},
			{Tag: "iq", Attrs: binary.Attrs{"id": "5", "type": "get", "xmlns": "passive"}, Content: []byte("bytes")},
		} {
			if err := w.cli.DangerousInternals().SendNode(t.Context(), n); err != nil {
				t.Errorf("%v: %v", n, err)
			}
		}
		if err := srv.Scan(t.Context(), <-w.code, whatsappsim.Account{User: "5550100"}); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		w.cli.Disconnect()
	})
}
