package app

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"qrgate/compat"
	"qrgate/compat/embedded"
	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/internal/store"
	"qrgate/internal/webhook"
)

// maxStoredEvent is the size of a stored event in bytes; the image of a code takes most of it.
const maxStoredEvent = 1 << 20

// hasWebhook reports whether this process reports the sessions of another engine. The embedded engine reports its own.
func (b *backend) hasWebhook() bool { return b.app.cfg.Webhook != nil && b.embedded == nil }

// newWebhook makes the delivery of events. Their queue is in Redis, which all replicas share, or in a directory.
func (b *backend) newWebhook() error {
	if !b.hasWebhook() {
		return nil
	}
	target := b.app.cfg.Webhook
	cfg := webhook.Config{Target: func(webhook.Event) *webhook.Target { return target },
		AllowPrivate: b.app.cfg.AllowPrivateWebhooks, Logger: b.log, OnDropped: b.metrics.WebhookDropped}
	var table store.Table = store.Files{Dir: b.dir("webhook"), Suffix: ".event", MaxSize: maxStoredEvent}
	if b.app.redis != nil {
		scope := b.sealer.Scope()
		table = b.app.redis.Table("webhook:" + scope)
		cfg.Leases, cfg.Owner = scopedLeases{b.app.redis, scope}, rand.Text()
	}
	var err error
	if cfg.Queue, err = webhook.NewTableQueue(table, target.Secret, b.log); err != nil {
		return fmt.Errorf("QRGATE_WEBHOOK_SECRET: %w", err)
	}
	b.webhook = webhook.NewSender(cfg)
	return nil
}

// reportChange emits the event of a change, if it has one.
func (b *backend) reportChange(c session.Change) {
	if e, ok := webhookEvent(c); ok {
		b.webhook.Emit(e)
	}
}

// webhookEvent is the event of a change. Its ID sorts the events of a session, whichever replica made them.
func webhookEvent(c session.Change) (e webhook.Event, ok bool) {
	kind := webhookKind(c.Before, c.After)
	if kind == "" {
		return e, false
	}
	data := map[string]any{"status": compat.Wire(c.After.State), "phoneNumber": c.After.Phone.Reveal()}
	if c.Cause != diagnosis.None && kind != webhook.Connected {
		data["reason"] = string(c.Cause)
	}
	same := kind
	if kind == webhook.QR {
		data = webhook.QRData(c.After.QR)
		same += digest(c.After.QR.Image.Reveal())
	}
	name := c.After.Ref.Name
	if name == "" {
		name = c.After.Ref.String()
	}
	e = webhook.NewEvent(kind, name, data, c.At)
	e.Order, e.Same = c.ID, same
	e.ID = fmt.Sprintf("%020d-%s", c.Version, digest(c.ID+same))
	return e, true
}

// webhookKind is the kind of event that a change is, "" for none. What qrgate merely learns, such as the state of a
// session that it did not know, is no change. Neither is a session that a client connects again: the engine has not
// reported it as disconnected.
func webhookKind(before, after session.Session) string {
	isKnown := before.State != session.Unknown && !after.AuthorizedAt.IsZero()
	isRequested := before.State == session.Connecting && before.ConnectedAt.IsZero() && before.Sequence == 0
	isNewCode := after.QR.Present() && !after.QR.Image.Equal(before.QR.Image)
	switch {
	case after.State == session.AwaitingScan && isNewCode:
		return webhook.QR
	case after.State == before.State:
	case after.State == session.Connected && isKnown && !isRequested:
		return webhook.Connected
	case after.State == session.Failed && isKnown:
		return webhook.Failed
	case after.State == session.Disconnected && before.State != session.Unknown && before.State != session.Created:
		return webhook.Disconnected
	}
	return ""
}

// digest shortens a text to a name from which it cannot be read.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:12])
}

// probeAccountOf is the name of the account of the probes' key, "" without one.
func (b *backend) probeAccountOf(keys []embedded.Key) string {
	for _, k := range keys {
		if !b.app.cfg.ProbeKey.Empty() && k.Key.Equal(b.app.cfg.ProbeKey) {
			return k.Name
		}
	}
	return ""
}
