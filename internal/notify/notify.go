// Package notify sends messages about outages to operators who run no monitoring stack: it judges the conditions that
// page by itself, with the thresholds and words of the Prometheus rules, and sends one message when an alert begins,
// one reminder, and one when it ends. Among replicas only the leader sends. It judges by what it observes itself.
//
// The decision (decide) is pure. A message counts as sent, and is stored, before it is delivered: after a restart none
// is sent twice, and one that was being delivered may be lost.
package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"sync"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/internal/store"
)

// Config configures a Notifier.
type Config struct {
	Addresses     []secret.Secret // of shoutrrr
	ProbeInterval time.Duration   // of the deep probe; 0 without one
	// WhatsApp returns the cause of a failing connectivity check; "" if it succeeds or never ran.
	WhatsApp  func() diagnosis.Code
	Leases    store.Leases  // nil: this replica always leads
	Engine    string        // names the engine in messages; "" if it is the only one
	Owner     string        // identifies this replica among the leases' owners
	Storages  []store.Table // keep the state for longer than the process runs
	StatusURL string        // of the status page, for the reader of a message; may be empty
	Logger    *slog.Logger
}

// Notifier sends messages about outages.
type Notifier struct {
	cfg       Config
	observed  *observations
	receivers []*receiver

	// Only the goroutine of Run uses the rest.
	startedAt time.Time
	isLeader  bool
	waitUntil time.Time // a replica that did not lead before a store outage lets the previous leader go first
	state     state
	isUnsaved bool
}

// Intervals.
const (
	judgeInterval = 5 * time.Second
	leaseTTL      = 15 * time.Second
	storeTimeout  = 2 * time.Second
	leaseKey      = "notify"
)

// ErrNoAddress means that no receiver is configured.
var ErrNoAddress = errors.New("QRGATE_NOTIFY_URLS is not set: name at least one address of shoutrrr")

// New parses the addresses. It starts nothing.
func New(cfg Config) (*Notifier, error) {
	receivers, err := newReceivers(cfg.Addresses, cfg.Logger)
	if err != nil {
		return nil, fmt.Errorf("QRGATE_NOTIFY_URLS: %w", err)
	}
	return &Notifier{cfg: cfg, receivers: receivers, observed: newObservations(cfg.ProbeInterval, time.Now())}, nil
}

// ParseAddresses splits a list of addresses at white space: addresses may contain commas.
func ParseAddresses(list string) []secret.Secret {
	var all []secret.Secret
	for _, address := range strings.Fields(list) {
		all = append(all, secret.NewSecret(address))
	}
	return all
}

// Observe records an event.
func (n *Notifier) Observe(e session.Event) { n.observed.observe(e) }

// Health records a health check of the engine.
func (n *Notifier) Health(cause diagnosis.Code) { n.observed.observeHealth(cause) }

// ObserveRun records a run of the probe that acquires a QR.
func (n *Notifier) ObserveRun(cause diagnosis.Code, at time.Time) { n.observed.observeRun(cause, at) }

// Maintenance records that a run was skipped because of a maintenance window.
func (n *Notifier) Maintenance(at time.Time) {
	n.observed.mu.Lock()
	defer n.observed.mu.Unlock()
	n.observed.maintenanceAt = at
}

// Run judges and sends until ctx ends.
func (n *Notifier) Run(ctx context.Context) error {
	var receivers sync.WaitGroup
	for _, r := range n.receivers {
		receivers.Go(func() { r.run(ctx) })
	}
	defer receivers.Wait()
	n.startedAt = time.Now()
	ticker := time.NewTicker(judgeInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			n.resign(ctx)
			return nil
		case <-ticker.C:
			n.step(ctx, time.Now())
		}
	}
}

// step judges once.
func (n *Notifier) step(ctx context.Context, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	n.saveRuns(ctx)
	if !n.lead(ctx, now) {
		return
	}
	n.loadRuns(ctx, now)
	n.observed.mu.Lock()
	n.observed.whatsApp = n.cfg.WhatsApp()
	n.observed.mu.Unlock()
	next, messages := decide(n.state, n.observed.judge(now), now.Sub(n.startedAt) >= settleTime, now)
	previous := n.state
	previous.SavedAt = next.SavedAt
	n.state = next
	if n.isUnsaved || !reflect.DeepEqual(previous, next) {
		err, wasUnsaved := save(ctx, n.cfg.Storages, stateRow, next), n.isUnsaved
		if n.isUnsaved = err != nil; n.isUnsaved && !wasUnsaved {
			n.cfg.Logger.Warn("cannot store the state of notifications", "err", err)
		}
	}
	for _, m := range messages {
		n.enqueue(m)
	}
}

// saveRuns stores the runs of this replica for the leader.
func (n *Notifier) saveRuns(ctx context.Context) {
	n.observed.mu.Lock()
	runs, isUnsaved := n.observed.probeRuns, n.observed.isRunUnsaved
	n.observed.isRunUnsaved = false
	n.observed.mu.Unlock()
	if isUnsaved && save(ctx, n.cfg.Storages, probeRow, runs) != nil {
		n.observed.mu.Lock()
		n.observed.isRunUnsaved = true
		n.observed.mu.Unlock()
	}
}

// loadRuns reads the runs of other replicas, and those before the start.
func (n *Notifier) loadRuns(ctx context.Context, now time.Time) {
	for _, runs := range load[probeRuns](ctx, n.cfg.Storages, probeRow) {
		n.observed.mu.Lock()
		n.observed.merge(runs, now)
		n.observed.mu.Unlock()
	}
}

// enqueue passes a message to all receivers.
func (n *Notifier) enqueue(m Message) {
	host, _ := os.Hostname()
	if n.cfg.Engine != "" {
		m.Title += " (engine " + n.cfg.Engine + ")"
		m.Text += "\nEngine: " + n.cfg.Engine
	}
	m.Text += "\nReplica: " + host
	if n.cfg.StatusURL != "" {
		m.Text += "\nStatus page: " + n.cfg.StatusURL
	}
	for _, r := range n.receivers {
		select {
		case r.queue <- m:
		default:
			n.cfg.Logger.Error("notification dropped", "receiver", r.name, "alert", m.Alert)
		}
	}
}

// lead renews the lease and reports whether this replica leads. While the store is unavailable the previous leader
// stays: another replica cannot become one.
func (n *Notifier) lead(ctx context.Context, now time.Time) bool {
	leads := true
	if n.cfg.Leases != nil {
		if !n.isLeader && now.Before(n.waitUntil) {
			return false
		}
		var err error
		leads, err = n.cfg.Leases.Acquire(ctx, leaseKey, n.cfg.Owner, leaseTTL)
		if err != nil {
			n.waitUntil = now.Add(leaseTTL)
			return n.isLeader
		}
	}
	if leads && !n.isLeader {
		n.state = state{}
		for _, stored := range load[state](ctx, n.cfg.Storages, stateRow) {
			if stored.SavedAt.After(n.state.SavedAt) {
				n.state = stored
			}
		}
	}
	n.isLeader = leads
	return leads
}

func (n *Notifier) resign(ctx context.Context) {
	if n.cfg.Leases == nil || !n.isLeader {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	_ = n.cfg.Leases.Release(ctx, leaseKey, n.cfg.Owner) // else it expires
}

// Result is the result of a test message to one receiver.
type Result struct {
	Receiver string
	Err      string // redacted; empty for success
}

// Test sends a test message to every receiver.
func (n *Notifier) Test(ctx context.Context) ([]Result, error) {
	if len(n.receivers) == 0 {
		return nil, ErrNoAddress
	}
	host, _ := os.Hostname()
	m := Message{
		Kind: "test", Title: "qrgate: test",
		Text: "This is a test of QRGATE_NOTIFY_URLS. There is no outage.\nReplica: " + host,
	}
	results := make([]Result, len(n.receivers))
	var sending sync.WaitGroup
	for i, r := range n.receivers {
		sending.Go(func() {
			results[i].Receiver = r.name
			if err := r.send(ctx, m); err != nil {
				results[i].Err = r.redact(err)
			}
		})
	}
	sending.Wait()
	return results, nil
}
