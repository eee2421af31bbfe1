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

// guard runs a post against a simulator for the length of a test, on fake time.
func guard(t *testing.T, c whatsapp.Config, test func(*whatsapp.Watcher, *whatsappsim.Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		srv, pipe := &whatsappsim.Server{}, &whatsappsim.Pipe{}
		whatsappsimtest.StartOn(t, srv, pipe)
		c.Client = pipe.HTTPClient()
		c.Handshake = handshakeBy(c.Client)
		post := whatsapp.New(c)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- post.Run(ctx) }()
		test(post, srv)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		time.Sleep(20 * time.Second)
	})
}

// Nobody suspects, nobody looks; many suspicions are one look, and the next comes after the spacing.
func TestWatcher_LimitsChecks(t *testing.T) {
	t.Parallel()
	guard(t, whatsapp.Config{}, func(p *whatsapp.Watcher, srv *whatsappsim.Server) {
		time.Sleep(time.Hour)
		if n := srv.Stats().Dials; n != 0 || !p.Last().At.IsZero() {
			t.Fatalf("%d dials without a suspicion", n)
		}
		for range 100 {
			p.Trigger()
		}
		time.Sleep(time.Second)
		first := p.Last()
		if !first.OK() || first.Step != session.StepHandshake {
			t.Fatalf("%+v", first)
		}
		srv.SetFault(whatsappsim.Fault{Failure: 405}) // for the gate's own library alone: no reason to look again sooner
		p.Trigger()
		time.Sleep(5*time.Minute - 2*time.Second)
		if p.Last().At != first.At {
			t.Error("a second look came too early")
		}
		time.Sleep(2 * time.Second)
		if got := p.Last(); got.Code != diagnosis.ClientOutdated {
			t.Errorf("after five minutes: %+v", got)
		}
		if n := srv.Stats(); n.Dials != 4 || n.PairDevices != 1 {
			t.Errorf("%+v, want two dials a look", n)
		}
	})
}

// A look that failed says something of others, so it is looked whether it is still so: each minute, while somebody
// suspects.
func TestWatcher_RechecksFailureWithinTheMinute(t *testing.T) {
	t.Parallel()
	guard(t, whatsapp.Config{}, func(p *whatsapp.Watcher, srv *whatsappsim.Server) {
		srv.SetFault(whatsappsim.Fault{HTTPStatus: 503})
		p.Trigger()
		time.Sleep(time.Second)
		first := p.Last()
		if first.Code != diagnosis.WhatsAppUnavailable {
			t.Fatalf("%+v", first)
		}
		time.Sleep(2 * time.Minute)
		if p.Last().At != first.At {
			t.Error("it looked, and nobody suspects any more")
		}
		p.Trigger()
		time.Sleep(time.Second)
		if again := p.Last(); again.At == first.At || first.FailingSince.IsZero() || again.FailingSince != first.FailingSince {
			t.Errorf("it fails since %v, and again since %v", first.FailingSince, again.FailingSince)
		}
		time.Sleep(time.Minute)
		srv.SetFault(whatsappsim.Fault{})
		p.Trigger()
		time.Sleep(time.Second)
		if got := p.Last(); !got.OK() || !got.FailingSince.IsZero() {
			t.Errorf("a suspicion after more than a minute: %+v", got)
		}
	})
}

func TestWatcher_Disabled(t *testing.T) {
	t.Parallel()
	guard(t, whatsapp.Config{Disabled: true}, func(p *whatsapp.Watcher, srv *whatsappsim.Server) {
		p.Trigger()
		time.Sleep(time.Hour)
		if n := srv.Stats().Dials; n != 0 || !p.Last().At.IsZero() {
			t.Errorf("%d dials", n)
		}
	})
}

// A spacing can be shorter, but not so short that WhatsApp would take offence.
func TestWatcher_MinInterval(t *testing.T) {
	t.Parallel()
	guard(t, whatsapp.Config{Interval: time.Second}, func(p *whatsapp.Watcher, srv *whatsappsim.Server) {
		for range 120 {
			p.Trigger()
			time.Sleep(time.Second)
		}
		if n := srv.Stats().Dials / 2; n != 2 && n != 3 {
			t.Errorf("%d looks in two minutes", n)
		}
	})
}

// A look that is cut short by the end of the gate says nothing of WhatsApp.
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
