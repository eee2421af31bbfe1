package app

import (
	"context"
	"log/slog"
	"net/http"

	"qrgate/internal/session"
)

// CheckWritable is checkWritable.
var CheckWritable = checkWritable

// Latest returns the result that counts.
func Latest(a, b session.ConnectivityResult) session.ConnectivityResult { return latest(a, b) }

// NewReachability watches the connection to WhatsApp while run runs; statusView is what the status page shows.
func NewReachability(client *http.Client, lastCheck func() session.ConnectivityResult, log *slog.Logger) (run func(context.Context) error, statusView func() *session.ConnectivityResult) {
	r := &reachability{client: client, lastCheck: lastCheck, log: log}
	return r.run, r.statusView
}

// EngineIdentity is what gateways in front of one engine agree on.
func EngineIdentity(c Config) string { return c.engineIdentity(c.EngineURL) }

// RequestLevel is the level at which a request is logged.
var RequestLevel = requestLevel

// StepOf is the step that an event is about.
var StepOf = stepOf

// WebhookKind is webhookKind.
var WebhookKind = webhookKind

// IsReleasable is heapState.isReleasable; allocated is what was allocated since the last check.
func IsReleasable(live, resident, allocated uint64) bool {
	return heapState{allocated, live, resident}.isReleasable(heapState{})
}
