package app

import (
	"context"
	"log/slog"
	"net/http"

	"qrgate/internal/session"
	"qrgate/internal/statuspage"
)

// Latest is for the tests of a decision that has no other door.
func Latest(a, b session.ConnectivityResult) session.ConnectivityResult { return latest(a, b) }

// Outlook watches a way to WhatsApp while run runs; shown is what the page tells of it.
func Outlook(way *http.Client, control func() session.ConnectivityResult, log *slog.Logger) (run func(context.Context) error, shown func() *statuspage.WhatsApp) {
	o := &reachability{way: way, control: control, log: log}
	return o.watch, o.statusView
}

// StepOf is what the log calls the step that an event is about.
var StepOf = stepOf
