package webhook_test

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"qrgate/internal/secret"
	"qrgate/internal/store/redis"
	"qrgate/internal/test/redistest"
	"qrgate/internal/webhook"
)

// orderChecker accepts events and compares their numbers with the order in which they were stored.
type orderChecker struct {
	t    *testing.T
	mu   sync.Mutex
	next map[string]int // by session
	left int
	done chan struct{}
}

// RoundTrip implements http.RoundTripper.
func (c *orderChecker) RoundTrip(req *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(req.Body)
	_, rest, _ := strings.Cut(string(body), `"n":`)
	text, _, _ := strings.Cut(rest, ",")
	n, err := strconv.Atoi(text)
	name := req.Header.Get("X-Webhook-Session")
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil || c.next[name] != n {
		c.t.Errorf("%s: event %q, want %d", name, text, c.next[name])
	}
	c.next[name] = n + 1
	if c.left--; c.left == 0 {
		close(c.done)
	}
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: req}, nil
}

// More events than are read at once wait in Redis while the receiver is down: all are delivered, in order per session.
func TestSender_LargeQueueInRedis(t *testing.T) {
	t.Parallel()
	const sessions, each = 80, 150
	s, err := redis.New(redis.Config{URL: secret.NewSecret(redistest.Start(t).URL())})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	table := s.Table("webhook")
	queue, err := webhook.NewTableQueue(table, webhookSecret, discard)
	if err != nil {
		t.Fatal(err)
	}
	var writers sync.WaitGroup
	for i := range sessions {
		writers.Go(func() {
			name := fmt.Sprintf("shop-%d", i)
			for n := range each {
				e := webhook.NewEvent(webhook.QR, name, map[string]any{"n": n}, time.Now())
				e.ID, e.Order = fmt.Sprintf("%020d-%s", n, name), name
				if err := queue.Add(t.Context(), &e); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	checker := &orderChecker{t: t, next: map[string]int{}, left: sessions * each, done: make(chan struct{})}
	g := start(t, table, newReceiver(accept), func(c *webhook.Config) {
		c.Transport, c.Leases, c.Owner = checker, s, "replica"
	})
	defer g.stop()
	select {
	case <-checker.done:
	case <-time.After(2 * time.Minute):
		t.Errorf("%d events are not delivered", checker.left)
	}
}
