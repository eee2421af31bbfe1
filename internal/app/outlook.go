package app

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"qrgate/compat/embedded"
	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/internal/statuspage"
)

// reachEvery is the time between two looks at WhatsApp while it cannot be reached. They end with the upgrade,
// so they open no registration there.
const reachEvery = time.Minute

// reachability is what the gate saw itself of the way to WhatsApp: at its start, for as long as that was bad, and
// whenever the control looked.
type reachability struct {
	way     *http.Client // as Config.WhatsApp
	control func() session.ConnectivityResult
	log     *slog.Logger

	mu   sync.Mutex
	seen session.ConnectivityResult
	bad  time.Time // since when it fails; zero while it does not
}

// note keeps a look, and reports whether it is the first of its kind: reached or not.
func (o *reachability) note(l session.ConnectivityResult) (turned bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	was := o.bad
	o.seen = l
	switch {
	case l.OK():
		o.bad = time.Time{}
	case was.IsZero():
		o.bad = l.At
	}
	return was.IsZero() != o.bad.IsZero()
}

// known is the look that speaks for now, and since when those of the gate's start fail.
func (o *reachability) known() (l session.ConnectivityResult, bad time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return latest(o.seen, o.control()), o.bad
}

// latest is the look that speaks for now: the newer one, unless it found nothing because it turned back before
// the place where the older one failed.
func latest(a, b session.ConnectivityResult) session.ConnectivityResult {
	if b.At.Before(a.At) {
		a, b = b, a
	}
	if b.OK() && b.Step != session.ControlHandshake && a.Step == session.ControlHandshake && !a.OK() {
		return a
	}
	return b
}

// statusView is what the page tells of it; nil before the first look.
func (o *reachability) statusView() *statuspage.WhatsApp {
	l, bad := o.known()
	if l.At.IsZero() {
		return nil
	}
	w := &statuspage.WhatsApp{At: l.At, Code: l.Code, Step: l.Step, Evidence: append([]string{}, l.Evidence...)}
	if !l.OK() {
		w.Since = l.At
		if !bad.IsZero() && bad.Before(l.At) {
			w.Since = bad
		}
	}
	return w
}

// watch tells within seconds of the start whether an embedded engine can reach WhatsApp, and while it cannot,
// when it can again. The gate runs on either way: networks heal.
func (o *reachability) watch(ctx context.Context) error {
	tick := time.NewTicker(reachEvery)
	defer tick.Stop()
	for {
		o.reach(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// reach looks once, unless what is known is good, or lies beyond what a look without a handshake can see.
func (o *reachability) reach(ctx context.Context) {
	if known, _ := o.known(); known.OK() || known.Step == session.ControlHandshake {
		return
	}
	began := time.Now()
	err := embedded.Reachable(ctx, o.way)
	if ctx.Err() != nil {
		return // it saw its own end
	}
	turned := o.note(lookOf(err, began, time.Now()))
	switch {
	case err != nil && turned:
		o.log.Error("WhatsApp cannot be reached, so no QR can be made until it can", "why", err.Error())
	case err == nil && turned:
		o.log.Info("WhatsApp can be reached again")
	}
}

// lookOf is what [embedded.Reachable] saw.
func lookOf(err error, began, ended time.Time) session.ConnectivityResult {
	l := session.ConnectivityResult{Step: session.ControlUpgrade, Code: diagnosis.None, Took: ended.Sub(began), At: ended, Evidence: []string{"upgrade: granted"}}
	if err == nil {
		return l
	}
	l.Step, l.Code, l.Evidence = "", diagnosis.Undetermined, []string{err.Error()}
	if why, ok := errors.AsType[*embedded.ReachabilityError](err); ok {
		l.Code, l.Evidence = why.Code, []string{why.Text}
	}
	return l
}
