package whatsapp_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/internal/test/whatsappsim"
	"qrgate/internal/test/whatsappsim/whatsappsimtest"
	"qrgate/probes/whatsapp"
)

// withWatcher runs a watcher against a simulator in fake time.
func withWatcher(t *testing.T, c whatsapp.Config, test func(*whatsapp.Watcher, *whatsappsim.Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		srv, pipe := &whatsappsim.Server{}, &whatsappsim.Pipe{}
		whatsappsimtest.StartOn(t, srv, pipe)
		c.Client = pipe.HTTPClient()
		c.Handshake = handshakeBy(c.Client)
		watcher := whatsapp.New(c)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- watcher.Run(ctx) }()
		test(watcher, srv)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		time.Sleep(20 * time.Second)
	})
}

// Without a trigger there is no check; many triggers are one check, and the next comes after the interval.
func TestWatcher_LimitsChecks(t *testing.T) {
	t.Parallel()
	withWatcher(t, whatsapp.Config{}, func(p *whatsapp.Watcher, srv *whatsappsim.Server) {
		time.Sleep(time.Hour)
		if n := srv.Stats().Dials; n != 0 || !p.Last().At.IsZero() {
			t.Fatalf("%d dials without a trigger", n)
		}
		for range 100 {
			p.Trigger()
		}
		time.Sleep(time.Second)
		first := p.Last()
		if !first.OK() || first.Step != session.StepHandshake {
			t.Fatalf("%+v", first)
		}
		srv.SetFault(whatsappsim.Fault{Failure: 405}) // concerns only qrgate's own library: no earlier check
		p.Trigger()
		time.Sleep(5*time.Minute - 2*time.Second)
		if p.Last().At != first.At {
			t.Error("a second check came too early")
		}
		time.Sleep(2 * time.Second)
		if got := p.Last(); got.Code != diagnosis.ClientOutdated {
			t.Errorf("after five minutes: %+v", got)
		}
		if n := srv.Stats(); n.Dials != 4 || n.PairDevices != 1 {
			t.Errorf("%+v, want two dials per check", n)
		}
	})
}

// A failed check is repeated each minute while it is triggered.
func TestWatcher_RechecksFailureWithinTheMinute(t *testing.T) {
	t.Parallel()
	withWatcher(t, whatsapp.Config{}, func(p *whatsapp.Watcher, srv *whatsappsim.Server) {
		srv.SetFault(whatsappsim.Fault{HTTPStatus: 503})
		p.Trigger()
		time.Sleep(time.Second)
		first := p.Last()
		if first.Code != diagnosis.WhatsAppUnavailable {
			t.Fatalf("%+v", first)
		}
		time.Sleep(2 * time.Minute)
		if p.Last().At != first.At {
			t.Error("a check without a trigger")
		}
		p.Trigger()
		time.Sleep(time.Second)
		if again := p.Last(); again.At == first.At || first.FailingSince.IsZero() || again.FailingSince != first.FailingSince {
			t.Errorf("failing since %v, then since %v", first.FailingSince, again.FailingSince)
		}
		time.Sleep(time.Minute)
		srv.SetFault(whatsappsim.Fault{})
		p.Trigger()
		time.Sleep(time.Second)
		if got := p.Last(); !got.OK() || !got.FailingSince.IsZero() {
			t.Errorf("a check after more than a minute: %+v", got)
		}
	})
}

func TestWatcher_Disabled(t *testing.T) {
	t.Parallel()
	withWatcher(t, whatsapp.Config{Disabled: true}, func(p *whatsapp.Watcher, srv *whatsappsim.Server) {
		p.Trigger()
		time.Sleep(time.Hour)
		if n := srv.Stats().Dials; n != 0 || !p.Last().At.IsZero() {
			t.Errorf("%d dials", n)
		}
	})
}

// The interval has a minimum, because WhatsApp counts registrations.
func TestWatcher_MinInterval(t *testing.T) {
	t.Parallel()
	withWatcher(t, whatsapp.Config{Interval: time.Second}, func(p *whatsapp.Watcher, srv *whatsappsim.Server) {
		for range 120 {
			p.Trigger()
			time.Sleep(time.Second)
		}
		if n := srv.Stats().Dials / 2; n != 2 && n != 3 {
			t.Errorf("%d checks in two minutes", n)
		}
	})
}

// A check that is canceled says nothing about WhatsApp.
func TestWatcher_CancelIsNoFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv, pipe := &whatsappsim.Server{Fault: whatsappsim.Fault{HangUpgrade: true}}, &whatsappsim.Pipe{}
		whatsappsimtest.StartOn(t, srv, pipe)
		p := whatsapp.New(whatsapp.Config{Client: pipe.HTTPClient()})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		p.Trigger()
		time.Sleep(time.Second)
		cancel()
		if err := <-done; err != nil || !p.Last().At.IsZero() {
			t.Errorf("%v, %+v", err, p.Last())
		}
	})
}
