package embedded

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/internal/secret"
)

// receiver is a webhook's receiver in memory; respond decides about each attempt.
type receiver struct {
	mu       sync.Mutex
	accepted map[string][]string // events by session
	attempts int
	respond  func(attempt int, at time.Time) (status int, err error)
}

// RoundTrip implements http.RoundTripper.
func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	r.attempts++
	attempt := r.attempts
	r.mu.Unlock()
	status, err := r.respond(attempt, time.Now())
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if status == 200 {
		name := req.Header.Get("X-Webhook-Session")
		r.accepted[name] = append(r.accepted[name], strings.Split(string(body), `"n":`)[1][:1])
	}
	return &http.Response{StatusCode: status, Body: http.NoBody, Request: req}, nil
}

// eventRig is an engine with two sessions whose events go to a receiver.
type eventRig struct {
	engine *Engine
	*receiver
	stop func()
}

func startEvents(t *testing.T, dir string, respond func(int, time.Time) (int, error)) *eventRig {
	t.Helper()
	e, err := New(Config{DataDir: dir, Keys: []Key{{"a", secret.NewSecret("key-a-000000000000")}}})
	if err != nil {
		t.Fatal(err)
	}
	r := &eventRig{engine: e, receiver: &receiver{accepted: map[string][]string{}, respond: respond}}
	e.webhooks.client = &http.Client{Transport: r.receiver, Timeout: deliveryTimeout}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := e.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	r.stop = sync.OnceFunc(func() { cancel(); <-done })
	return r
}

func (r *eventRig) emit(t *testing.T, count int) {
	t.Helper()
	hook := &webhook{url: "https://example.com", events: webhookEvents}
	for _, name := range []string{"one", "two"} {
		id := int64(len(name) + int(name[0]))
		if err := r.engine.webhooks.set(t.Context(), id, hook); err != nil {
			t.Fatal(err)
		}
		for n := range count {
			r.engine.webhooks.emit(view{row: row{id: id, sessionID: name}}, eventQR, map[string]any{"n": n}, time.Now())
		}
	}
}

func (r *eventRig) stored(t *testing.T) int {
	t.Helper()
	all, err := r.engine.db.deliveries(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

var inOrder = map[string][]string{"one": {"0", "1", "2"}, "two": {"0", "1", "2"}}

// A receiver that is down for a minute, slow, or answers 500 gets each event, in order per session.
func TestWebhook_DeliversInOrderAfterFailures(t *testing.T) {
	t.Parallel()
	for name, respond := range map[string]func(attempt int, began, at time.Time) (int, error){
		"down for a minute": func(_ int, began, at time.Time) (int, error) {
			if at.Sub(began) < time.Minute {
				return 0, errors.New("down")
			}
			return 200, nil
		},
		"500 at first": func(attempt int, _, _ time.Time) (int, error) {
			if attempt <= 2 {
				return 500, nil
			}
			return 200, nil
		},
		"slow": func(int, time.Time, time.Time) (int, error) {
			time.Sleep(5 * time.Second)
			return 200, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				r := startEvents(t, dir, func(attempt int, at time.Time) (int, error) { return respond(attempt, began, at) })
				synctest.Wait()
				r.emit(t, 3)
				time.Sleep(5 * time.Minute)
				synctest.Wait()
				if diff := cmp.Diff(inOrder, r.accepted); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
				if dropped, stored := r.engine.webhooks.dropped.Load(), r.stored(t); dropped+int64(stored) > 0 {
					t.Errorf("%d events dropped, %d still stored", dropped, stored)
				}
				r.stop()
			})
		})
	}
}

// Events of a process that ended before their delivery are delivered by the next one.
func TestWebhook_SurvivesTheProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := startEvents(t, dir, func(int, time.Time) (int, error) { return 0, errors.New("down") })
		synctest.Wait()
		r.emit(t, 3)
		time.Sleep(time.Second)
		r.stop()
		again := startEvents(t, dir, func(int, time.Time) (int, error) { return 200, nil })
		time.Sleep(time.Second)
		synctest.Wait()
		if diff := cmp.Diff(inOrder, again.accepted); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		again.stop()
	})
}

// After three attempts an event is dropped and counted, and the next one is tried.
func TestWebhook_DropsAfterThreeAttempts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := startEvents(t, dir, func(int, time.Time) (int, error) { return 503, nil })
		synctest.Wait()
		r.emit(t, 1)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if r.attempts != 2*deliveryAttempts || r.engine.webhooks.dropped.Load() != 2 || r.stored(t) != 0 {
			t.Errorf("%d attempts, %d dropped, %d stored", r.attempts, r.engine.webhooks.dropped.Load(), r.stored(t))
		}
		r.stop()
	})
}

func TestWebhook_RefusesPrivateAddresses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"93.184.216.34": true, "2606:2800:220:1::1": true, "127.0.0.1": false, "10.1.2.3": false, "172.16.0.1": false,
		"192.168.1.1": false, "169.254.169.254": false, "100.64.0.1": false, "0.0.0.0": false, "::1": false, "fe80::1": false,
		"fc00::1": false, "::ffff:10.0.0.1": false, "64:ff9b::a00:1": false, "224.0.0.1": false, "255.255.255.255": false,
	} {
		if got := isPublic(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	var requests int
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		http.Redirect(w, r, "/again", http.StatusFound)
	}))
	t.Cleanup(srv.Close)
	w := &webhooks{client: webhookClient(false)}
	hook := &webhook{url: strings.Replace(srv.URL, "127.0.0.1", "localhost", 1)}
	if err := w.send(t.Context(), hook, delivery{}); err == nil || requests != 0 {
		t.Errorf("a name with a private address: %v, %d requests", err, requests)
	}
	w.client = webhookClient(true)
	if err := w.send(t.Context(), hook, delivery{}); err == nil || err.Error() != "HTTP 302" || requests != 1 {
		t.Errorf("a redirect: %v, %d requests", err, requests)
	}
	w.client.CloseIdleConnections()
}

func TestWebhookBody_KeepsServedEvents(t *testing.T) {
	t.Parallel()
	at := "https://example.com/" + strconv.Itoa(1)
	hook, err := webhookBody{URL: &at, Events: []string{"message.received", "session.connected"}}.parse(false)
	if err != nil || !slices.Equal(hook.events, []string{eventConnected}) {
		t.Errorf("%+v, %v", hook, err)
	}
}
