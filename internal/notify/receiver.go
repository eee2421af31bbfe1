package notify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/nicholas-fedor/shoutrrr"
	"github.com/nicholas-fedor/shoutrrr/pkg/router"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"

	"qrgate/internal/redact"
	"qrgate/internal/secret"
)

// Limits of one receiver.
const (
	sendTimeout    = 15 * time.Second
	firstRetry     = 5 * time.Second
	lastRetry      = 5 * time.Minute
	giveUpAfter    = time.Hour
	maxUndelivered = 20 // messages
)

// receiver sends messages to one address. A slow one does not delay the others.
type receiver struct {
	name    string // its service and its position among the addresses: the address itself is secret
	sender  *router.ServiceRouter
	secrets []secret.Secret
	queue   chan Message
	log     *slog.Logger
}

// newReceivers parses the addresses of shoutrrr. An error names the position and the service of an invalid one.
func newReceivers(addresses []secret.Secret, logger *slog.Logger) ([]*receiver, error) {
	var all []*receiver
	var errs []error
	for i, address := range addresses {
		service, _, _ := strings.Cut(address.Reveal(), ":")
		r := &receiver{
			name: fmt.Sprintf("%s (%d)", service, i+1), secrets: secretsOf(address.Reveal()),
			queue: make(chan Message, maxUndelivered), log: logger,
		}
		var err error
		// The library logs addresses.
		if r.sender, err = shoutrrr.NewSender(log.New(io.Discard, "", 0), address.Reveal()); err != nil {
			errs = append(errs, fmt.Errorf("address %d (%s) is invalid: %s", i+1, redact.Line(service), r.redact(err)))
			continue
		}
		r.sender.Timeout = sendTimeout
		all = append(all, r)
	}
	return all, errors.Join(errs...)
}

// secretsOf returns every part of an address that may be a credential.
func secretsOf(address string) []secret.Secret {
	parts := []string{address}
	if u, err := url.Parse(address); err == nil {
		password, _ := u.User.Password()
		parts = append(parts, u.User.Username(), password, u.Hostname(), u.Opaque)
		parts = append(parts, strings.Split(u.Path, "/")...)
		for _, values := range u.Query() {
			parts = append(parts, values...)
		}
	}
	var secrets []secret.Secret
	for _, part := range parts {
		if len(part) >= 4 {
			secrets = append(secrets, secret.NewSecret(part))
		}
	}
	return secrets
}

// redact returns the text of an error of the library, which may contain the address and a response of the receiver.
func (r *receiver) redact(err error) string {
	return redact.Line(redact.Foreign(err.Error(), r.secrets...))
}

// send sends one message. The library cannot be canceled; it ends by its own timeout.
func (r *receiver) send(ctx context.Context, m Message) error {
	done := make(chan error, 1)
	go func() {
		done <- errors.Join(r.sender.Send(m.Text, &types.Params{types.TitleKey: m.Title})...)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// run delivers messages in order, and retries a failed one with growing delays.
func (r *receiver) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-r.queue:
			r.deliver(ctx, m)
		}
	}
}

func (r *receiver) deliver(ctx context.Context, m Message) {
	startedAt := time.Now()
	for delay := firstRetry; ; delay = min(2*delay, lastRetry) {
		err := r.send(ctx, m)
		if err == nil {
			r.log.Info("notification sent", "receiver", r.name, "alert", m.Alert, "kind", string(m.Kind))
			return
		}
		if ctx.Err() != nil {
			return
		}
		r.log.Warn("cannot send a notification", "receiver", r.name, "alert", m.Alert, "err", r.redact(err))
		if time.Since(startedAt)+delay > giveUpAfter {
			r.log.Error("notification dropped", "receiver", r.name, "alert", m.Alert)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(delay):
		}
	}
}
