package embedded

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"qrgate/compat"
	"qrgate/internal/redact"
	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// The events of a session that a webhook can receive. Other documented events concern messages.
const (
	eventQR           = "session.qr"
	eventConnected    = "session.connected"
	eventDisconnected = "session.disconnected"
	eventFailed       = "session.failed"
)

var webhookEvents = []string{eventQR, eventConnected, eventDisconnected, eventFailed}

const (
	deliveryTimeout  = 7 * time.Second
	deliveryAttempts = 3
	maxDeliveryAge   = time.Hour // older events are dropped
	maxQueuedEvents  = 200       // of one session; the oldest are dropped
	maxWebhookURL    = 2048
)

// deliveryDelays are the delays after a failed attempt. A receiver that is down for a minute loses no event.
var deliveryDelays = [deliveryAttempts - 1]time.Duration{10 * time.Second, 65 * time.Second}

// webhook is where the events of a session go.
type webhook struct {
	url    string
	secret secret.Secret
	events []string
}

// webhookBody is the part of a create and of PUT …/webhook about the webhook.
type webhookBody struct {
	URL    *string  `json:"webhookUrl"`
	Secret string   `json:"webhookSecret"`
	Events []string `json:"webhookEvents"`
}

// parse returns nil for a body without a URL. Events that this engine does not have are ignored.
func (b webhookBody) parse(allowPrivate bool) (*webhook, error) {
	if b.URL == nil || *b.URL == "" {
		return nil, nil
	}
	u, err := url.Parse(*b.URL)
	isHTTP := err == nil && (u.Scheme == "https" || u.Scheme == "http" && allowPrivate)
	if !isHTTP || u.Host == "" || u.User != nil || len(*b.URL) > maxWebhookURL {
		return nil, errors.New("webhookUrl must be an https URL without a user")
	}
	if addr, err := netip.ParseAddr(u.Hostname()); err == nil && !allowPrivate && !isPublic(addr) {
		return nil, errors.New("webhookUrl must not have a private address")
	}
	w := &webhook{url: *b.URL, secret: secret.NewSecret(b.Secret), events: webhookEvents}
	if b.Events != nil {
		isUnwanted := func(e string) bool { return !slices.Contains(b.Events, e) }
		w.events = slices.DeleteFunc(slices.Clone(webhookEvents), isUnwanted)
	}
	return w, nil
}

// notPublic are networks that netip does not know as private.
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("64:ff9b::/96"),
	netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("2001::/32"),
}

func isPublic(addr netip.Addr) bool {
	addr = addr.Unmap()
	return addr.IsGlobalUnicast() && !addr.IsPrivate() &&
		!slices.ContainsFunc(notPublic, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// webhookClient dials public addresses only, unless private ones are allowed, whatever a name resolves to. It follows
// no redirect.
func webhookClient(allowPrivate bool) *http.Client {
	dialer := &net.Dialer{Timeout: deliveryTimeout, Control: func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if !allowPrivate && (err != nil || !isPublic(to.Addr())) {
			return errors.New("the address of the webhook is private")
		}
		return nil
	}}
	return &http.Client{
		Timeout:       deliveryTimeout,
		Transport:     &http.Transport{DialContext: dialer.DialContext, IdleConnTimeout: time.Minute, MaxIdleConnsPerHost: 2},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// delivery is one event for one webhook.
type delivery struct {
	id       int64
	session  int64
	kind     string
	name     string // the client's name of the session
	body     []byte
	at       time.Time
	attempts int
}

// webhooks delivers events in order per session, at least once. The queue is in the database, so that it survives the
// process.
type webhooks struct {
	db      *database
	log     *slog.Logger
	client  *http.Client
	dropped atomic.Int64

	mu      sync.Mutex
	ctx     context.Context // nil before run
	targets map[int64]*webhook
	queues  map[int64][]delivery // a session with a queue has a running worker
	workers sync.WaitGroup
}

// run delivers until ctx ends.
func (w *webhooks) run(ctx context.Context) error {
	reading, cancel := context.WithTimeout(context.WithoutCancel(ctx), openTimeout)
	defer cancel()
	stored, err := w.db.deliveries(reading)
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.ctx = ctx
	for _, d := range stored {
		w.enqueueLocked(d)
	}
	w.mu.Unlock()
	<-ctx.Done()
	w.mu.Lock()
	w.ctx = nil
	w.mu.Unlock()
	w.workers.Wait()
	w.client.CloseIdleConnections()
	return nil
}

func (w *webhooks) forgetTarget(id int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.targets, id)
	if queue := w.queues[id]; queue != nil {
		w.queues[id] = queue[:0]
	}
}

func (w *webhooks) target(id int64) *webhook {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.targets[id]
}

// set stores a session's webhook; nil removes it.
func (w *webhooks) set(ctx context.Context, id int64, hook *webhook) error {
	if err := w.db.setWebhook(ctx, id, hook); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if hook == nil {
		delete(w.targets, id)
	} else {
		w.targets[id] = hook
	}
	return nil
}

// emit stores an event if the session's webhook wants it. It is stored before any client can see the change.
func (w *webhooks) emit(v view, kind string, data map[string]any, now time.Time) {
	hook := w.target(v.row.id)
	if hook == nil || !slices.Contains(hook.events, kind) {
		return
	}
	data["timestamp"] = compat.Millis(now)
	body, err := json.Marshal(map[string]any{
		"event": kind, "sessionId": v.row.sessionID, "data": data, "timestamp": compat.Millis(now),
	})
	d := delivery{session: v.row.id, kind: kind, name: v.row.sessionID, body: body, at: now}
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	if err == nil {
		d.id, err = w.db.insertDelivery(ctx, d)
	}
	if err != nil {
		w.log.Error("cannot store webhook event", "event", kind, "error", redact.Foreign(err.Error()))
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.enqueueLocked(d)
}

func (w *webhooks) enqueueLocked(d delivery) {
	if w.ctx == nil {
		return // run reads it from the database
	}
	queue, isRunning := w.queues[d.session]
	w.queues[d.session] = append(queue, d)
	if !isRunning {
		ctx := w.ctx
		w.workers.Go(func() { w.work(ctx, d.session) })
	}
}

// work delivers the queue of one session, and ends when it is empty.
func (w *webhooks) work(ctx context.Context, id int64) {
	for {
		w.mu.Lock()
		queue := w.queues[id]
		if len(queue) == 0 || ctx.Err() != nil {
			delete(w.queues, id)
			w.mu.Unlock()
			return
		}
		w.queues[id] = queue[1:]
		hook := w.targets[id]
		w.mu.Unlock()
		w.deliver(ctx, hook, queue[0], len(queue) > maxQueuedEvents)
	}
}

// deliver tries until the receiver has accepted the event, or it is dropped. It keeps the event for the next start of
// the process if ctx ends first.
func (w *webhooks) deliver(ctx context.Context, hook *webhook, d delivery, overflow bool) {
	for hook != nil && !overflow && d.attempts < deliveryAttempts && time.Since(d.at) < maxDeliveryAge {
		err := w.send(ctx, hook, d)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			w.forget(ctx, d)
			return
		}
		d.attempts++
		w.log.Warn("cannot deliver webhook event", "event", d.kind, "session", d.name, "attempt", d.attempts, "error", err)
		if d.attempts < deliveryAttempts && !compat.Sleep(ctx, deliveryDelays[d.attempts-1]) {
			return
		}
	}
	w.log.Error("webhook event dropped", "event", d.kind, "session", d.name, "dropped", w.dropped.Add(1))
	w.forget(ctx, d)
}

func (w *webhooks) forget(ctx context.Context, d delivery) {
	if err := w.db.deleteDelivery(ctx, d.id); err != nil {
		w.log.Error("cannot delete webhook event; it is delivered again", "error", redact.Foreign(err.Error()))
	}
}

// send makes one attempt. Its errors have no URL, because that may contain a secret.
func (w *webhooks) send(ctx context.Context, hook *webhook, d delivery) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, hook.url, bytes.NewReader(d.body))
	if err != nil {
		return errors.New("the URL is not valid")
	}
	mac := hmac.New(sha256.New, []byte(hook.secret.Reveal()))
	mac.Write(d.body)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "qrgate")
	req.Header.Set("X-Webhook-Signature", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	req.Header.Set("X-Webhook-Event", d.kind)
	req.Header.Set("X-Webhook-Session", d.name)
	req.Header.Set("X-Webhook-Timestamp", strconv.FormatInt(d.at.UnixMilli(), 10))
	res, err := w.client.Do(req)
	if err != nil {
		f := compat.ClassifyTransportError(err)
		return errors.New(strings.TrimSpace(string(f.Class) + " " + f.Reason))
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, 64<<10) // so that the connection can be used again
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("HTTP %d", res.StatusCode)
	}
	return nil
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
			s.engine.webhooks.emit(v, eventQR, map[string]any{
				"qrCode": q.Image.Reveal(), "expiresAt": compat.Millis(q.ExpiresAt), "status": compat.WireQR}, now)
		}
	case state == old:
	case state == session.Connected:
		s.engine.webhooks.emit(v, eventConnected, data, now)
	case state == session.Failed:
		s.engine.webhooks.emit(v, eventFailed, data, now)
	case state == session.Disconnected, old == session.Connected:
		data["status"] = compat.WireDisconnected // although it reconnects by itself
		s.engine.webhooks.emit(v, eventDisconnected, data, now)
	}
}

// putWebhook sets, replaces or removes the webhook of a session.
func (e *Engine) putWebhook(r *http.Request, s *engineSession) response {
	var body webhookBody
	if problem := readJSON(r, &body); problem != nil {
		return *problem
	}
	hook, err := body.parse(e.allowPrivateWebhooks)
	if err != nil {
		return invalid(err.Error())
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), writeTimeout)
	defer cancel()
	if err := e.webhooks.set(ctx, s.row.id, hook); err != nil {
		s.log().Error("cannot store webhook", "error", redact.Foreign(err.Error()))
		return internalError("the webhook could not be stored")
	}
	data := map[string]any{"id": s.row.id, "sessionId": s.row.sessionID, "webhookUrl": nil, "webhookEvents": []string{}}
	if hook != nil {
		data["webhookUrl"], data["webhookEvents"] = hook.url, hook.events
	}
	return ok(compat.Envelope{Success: true, Message: "Webhook configurado correctamente", Data: data})
}
