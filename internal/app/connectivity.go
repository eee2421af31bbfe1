package app

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"qrgate/compat/embedded"
	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/probes/whatsapp"
)

// newConnectivity sets up qrgate's own connectivity check of WhatsApp, which separates a failing engine from a failing
// network.
func (a *App) newConnectivity() error {
	a.whatsApp = whatsapp.New(whatsapp.Config{
		Client: a.cfg.WhatsApp, Disabled: !a.cfg.WhatsAppCheck,
		Handshake: func(ctx context.Context) (diagnosis.Code, string) { return embedded.Handshake(ctx, a.cfg.WhatsApp) },
	})
	a.reachability = &reachability{client: a.cfg.WhatsApp, lastCheck: a.whatsApp.Last, log: a.cfg.Logger}
	return nil
}

// lastConnectivity returns the last check, and whether it shows anything about the engine's network.
func (b *backend) lastConnectivity() session.ConnectivityResult {
	result := b.app.whatsApp.Last()
	result.Elsewhere = b.engine.Base != nil && session.IsElsewhere(b.engine.Base)
	return result
}

// maybeCheck triggers a connectivity check when an event has a cause that may lie between the engine and WhatsApp.
func (a *App) maybeCheck(e session.Event) {
	ended := e.Kind == session.EventWait || e.Kind == session.EventAcquisition
	if e.Kind != session.EventCause && (!ended || e.Outcome != session.Failure) {
		return
	}
	switch e.Diagnosis {
	case diagnosis.QRNotEmitted, diagnosis.Undetermined, diagnosis.ConnectFailing, diagnosis.WhatsAppSilent,
		diagnosis.WhatsAppUnavailable, diagnosis.DNSFailed, diagnosis.NetworkBlocked, diagnosis.TLSIntercepted,
		diagnosis.ProxyRefused, diagnosis.ClientOutdated:
		a.whatsApp.Trigger()
	}
}

// reachabilityInterval is the time between two attempts while WhatsApp is unreachable. An attempt ends with the
// websocket upgrade, so it starts no registration.
const reachabilityInterval = time.Minute

// reachability records whether this process reaches WhatsApp: at the start, while that fails, and after every
// connectivity check.
type reachability struct {
	client    *http.Client // as Config.WhatsApp
	lastCheck func() session.ConnectivityResult
	log       *slog.Logger

	mu   sync.Mutex
	last session.ConnectivityResult
}

// record stores a result and reports whether the state changed: reachable or not.
func (r *reachability) record(result session.ConnectivityResult) (changed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	wasFailing := !r.last.FailingSince.IsZero()
	if !result.OK() {
		result.FailingSince = cmp.Or(r.last.FailingSince, result.At)
	}
	r.last = result
	return wasFailing == result.OK()
}

// current returns the result that counts now.
func (r *reachability) current() session.ConnectivityResult {
	r.mu.Lock()
	defer r.mu.Unlock()
	result := latest(r.last, r.lastCheck())
	if since := r.last.FailingSince; !result.OK() && !since.IsZero() && since.Before(result.FailingSince) {
		result.FailingSince = since
	}
	return result
}

// latest returns the newer result, unless it succeeded only because it ended before the step where the older failed.
func latest(x, y session.ConnectivityResult) session.ConnectivityResult {
	if y.At.Before(x.At) {
		x, y = y, x
	}
	if y.OK() && y.Step != session.StepHandshake && x.Step == session.StepHandshake && !x.OK() {
		return x
	}
	return y
}

// statusView is the result for the status page; nil before the first one.
func (r *reachability) statusView() *session.ConnectivityResult {
	result := r.current()
	if result.At.IsZero() {
		return nil
	}
	return &result
}

// run checks at the start whether the embedded engine can reach WhatsApp, and repeats that while it cannot.
func (r *reachability) run(ctx context.Context) error {
	ticker := time.NewTicker(reachabilityInterval)
	defer ticker.Stop()
	for {
		r.check(ctx)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// check makes one attempt, unless the current result is good or concerns the handshake, which comes after an attempt.
func (r *reachability) check(ctx context.Context) {
	if current := r.current(); current.OK() || current.Step == session.StepHandshake {
		return
	}
	result := whatsapp.Check(ctx, whatsapp.Config{Client: r.client})
	if ctx.Err() != nil {
		return
	}
	switch changed := r.record(result); {
	case changed && result.OK():
		r.log.Info("whatsapp reachable")
	case changed:
		text := result.Evidence[len(result.Evidence)-1]
		r.log.Error("whatsapp unreachable, no QR can be made", "err", text, "help", diagnosis.New(result.Code).Help)
	}
}
