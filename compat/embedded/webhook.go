package embedded

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"qrgate/compat"
	"qrgate/internal/redact"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/internal/webhook"
)

// webhookBody is the part of a create and of PUT …/webhook about the webhook.
type webhookBody struct {
	URL    json.RawMessage `json:"webhookUrl"`
	Secret *string         `json:"webhookSecret"`
	Events []string        `json:"webhookEvents"`
}

// target returns the webhook after present, nil for none. A member that the body lacks stays as it is; a URL that is
// null or empty removes the webhook.
func (b webhookBody) target(present *webhook.Target, allowPrivate bool) (*webhook.Target, *response) {
	next := webhook.Target{}
	if present != nil {
		next = *present
	}
	if b.Events == nil {
		b.Events = next.Kinds
	}
	if b.Secret != nil {
		next.Secret = secret.NewSecret(*b.Secret)
	}
	if b.URL != nil {
		next.URL = "" // null leaves it so
		if json.Unmarshal(b.URL, &next.URL) != nil {
			refused := invalid("webhookUrl must be a text")
			return nil, &refused
		}
	}
	if next.URL == "" {
		return nil, nil
	}
	target, err := webhook.NewTarget(next.URL, next.Secret, b.Events, allowPrivate)
	if err != nil {
		refused := invalid("webhookUrl " + err.Error())
		return nil, &refused
	}
	return target, nil
}

// webhooks are the webhooks of the sessions. Their events are queued in the database.
type webhooks struct {
	db     *database
	sender *webhook.Sender
	common *webhook.Target // of sessions without their own; nil for none
	except string          // an account whose sessions have no common webhook

	mu      sync.Mutex
	targets map[int64]*webhook.Target // by session
}

// orderOf is the Event.Order of a session.
func orderOf(id int64) string { return strconv.FormatInt(id, 10) }

// own is the session's own webhook, nil without one.
func (w *webhooks) own(id int64) *webhook.Target {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.targets[id]
}

// target is where an event goes; nil if it is not wanted any more.
func (w *webhooks) target(e webhook.Event) *webhook.Target {
	id, _ := strconv.ParseInt(e.Order, 10, 64)
	return cmp.Or(w.own(id), w.common)
}

// forget drops the webhook and the events of a deleted session.
func (w *webhooks) forget(id int64) {
	w.setTarget(id, nil)
	w.sender.Forget(orderOf(id))
}

func (w *webhooks) setTarget(id int64, target *webhook.Target) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if target == nil {
		delete(w.targets, id)
	} else {
		w.targets[id] = target
	}
}

// set stores a session's webhook; nil removes it.
func (w *webhooks) set(ctx context.Context, id int64, target *webhook.Target) error {
	if err := setWebhook(ctx, w.db.sql, id, target); err != nil {
		return err
	}
	w.setTarget(id, target)
	return nil
}

// emit stores an event if the session's webhook wants it. It is stored before any client can see the change.
func (w *webhooks) emit(v view, kind string, data map[string]any, now time.Time) {
	target := w.own(v.row.id)
	if target == nil && v.row.account != w.except {
		target = w.common
	}
	if target == nil || !slices.Contains(target.Kinds, kind) {
		return
	}
	e := webhook.NewEvent(kind, v.row.sessionID, data, now)
	e.Order = orderOf(v.row.id)
	w.sender.Emit(e)
}

// emitChanges emits the events between two states.
func (s *engineSession) emitChanges(before linkState, now time.Time) {
	v := view{row: s.row, link: s.link, image: s.image}
	state, old := s.link.state(), before.state()
	data := map[string]any{"status": compat.Wire(state), "phoneNumber": v.phone()}
	if code := s.link.LastDisconnect.Code; code != "" {
		data["reason"] = string(code)
	}
	switch {
	case state == session.AwaitingScan && (old != state || before.Sequence != s.link.Sequence):
		if q, ok := v.qr(now); ok {
			s.engine.webhooks.emit(v, webhook.QR, webhook.QRData(q), now)
		}
	case state == old:
	case state == session.Connected:
		s.engine.webhooks.emit(v, webhook.Connected, data, now)
	case state == session.Failed:
		s.engine.webhooks.emit(v, webhook.Failed, data, now)
	case state == session.Disconnected, old == session.Connected:
		data["status"] = compat.WireDisconnected // although it reconnects by itself
		s.engine.webhooks.emit(v, webhook.Disconnected, data, now)
	}
}

// putWebhook sets, replaces or removes the webhook of a session.
func (e *Engine) putWebhook(r *http.Request, s *engineSession) response {
	var body webhookBody
	if problem := readJSON(r, &body); problem != nil {
		return *problem
	}
	target, refused := body.target(e.webhooks.own(s.row.id), e.allowPrivateWebhooks)
	if refused != nil {
		return *refused
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), writeTimeout)
	defer cancel()
	if err := e.webhooks.set(ctx, s.row.id, target); err != nil {
		s.log().Error("cannot store webhook", "error", redact.Foreign(err.Error()))
		return problem(http.StatusServiceUnavailable, compat.CodeInternalError, "the webhook could not be stored")
	}
	data := map[string]any{"id": s.row.id, "sessionId": s.row.sessionID, "webhookUrl": nil, "webhookEvents": []string{}}
	if target != nil {
		data["webhookUrl"], data["webhookEvents"] = target.URL, target.Kinds
	}
	return ok(compat.Envelope{Success: true, Message: "Webhook configurado correctamente", Data: data})
}
