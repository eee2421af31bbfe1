package webhook

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"qrgate/compat"
	"qrgate/internal/redact"
	"qrgate/internal/store"
)

const (
	maxAttempts = 3
	maxAge      = time.Hour   // older events are dropped
	maxQueued   = 200         // of one session; the oldest are dropped
	maxPerHost  = 16          // deliveries at the same time
	sameTTL     = time.Minute // in which another event with the same Event.Same is a copy

	addTimeout   = 5 * time.Second  // for one change of the queue
	loadTimeout  = 30 * time.Second // to read it
	loadInterval = time.Second      // between two reads of a queue that replicas share

	leaseKey = "webhook"
	leaseTTL = 6 * time.Second // a replica that died is replaced after this
)

// retryDelays are the delays after a failed attempt. A receiver that is down for a minute loses no event.
var retryDelays = [maxAttempts - 1]time.Duration{10 * time.Second, 65 * time.Second}

// Queue keeps the events that are not delivered yet.
type Queue interface {
	// Add stores an event, under its ID or one that it sets. The event survives the process when Add returns nil.
	Add(ctx context.Context, e *Event) error
	Remove(ctx context.Context, e Event) error
	// All returns the stored events, those of one session in order.
	All(ctx context.Context) ([]Event, error)
}

// Config is what a Sender needs. Queue, Target and Logger are required.
type Config struct {
	Queue        Queue
	Target       func(e Event) *Target // nil: the event is not wanted any more
	AllowPrivate bool                  // targets may have private addresses

	// Leases let one replica at a time deliver the events of a queue that replicas share; nil: the queue is this
	// process's.
	Leases store.Leases
	Owner  string // of the lease
	Logger *slog.Logger

	OnDropped func() // called for each event that is not delivered; nil ignores it

	Transport http.RoundTripper // for tests; nil: the network
}

// Sender delivers events. Make it with [NewSender] and call Run once.
type Sender struct {
	cfg    Config
	client *http.Client
	wake   chan struct{}

	mu       sync.Mutex
	ctx      context.Context // of Run; nil while it does not run
	isLeader bool
	queues   map[string][]Event       // by Event.Order; one with a queue has a running worker
	known    map[string]bool          // IDs of events in queues; true: only the removal is left
	last     map[string]Event         // Same and At of the last event of an Event.Order, with leases
	places   map[string]chan struct{} // of each host
	workers  sync.WaitGroup
}

// NewSender returns a sender. It starts nothing.
func NewSender(c Config) *Sender {
	if c.OnDropped == nil {
		c.OnDropped = func() {}
	}
	s := &Sender{cfg: c, client: newClient(c.AllowPrivate), wake: make(chan struct{}, 1), queues: map[string][]Event{},
		known: map[string]bool{}, last: map[string]Event{}, places: map[string]chan struct{}{}}
	if c.Transport != nil {
		s.client.Transport = c.Transport
	}
	return s
}

// Run delivers until ctx ends.
func (s *Sender) Run(ctx context.Context) error {
	s.mu.Lock()
	s.ctx, s.isLeader = ctx, s.cfg.Leases == nil
	s.mu.Unlock()
	if s.cfg.Leases == nil {
		s.load(ctx)
		<-ctx.Done()
	} else {
		s.loadWhileLeading(ctx)
	}
	s.mu.Lock()
	s.ctx = nil
	s.mu.Unlock()
	s.workers.Wait()
	s.client.CloseIdleConnections()
	return nil
}

// loadWhileLeading reads the queue again and again while this replica has the lease.
func (s *Sender) loadWhileLeading(ctx context.Context) {
	ticker := time.NewTicker(loadInterval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		if s.lead(ctx) {
			s.load(ctx)
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		case <-s.wake:
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), addTimeout)
	defer cancel()
	_ = s.cfg.Leases.Release(ctx, leaseKey, s.cfg.Owner) // else it expires
}

// lead renews the lease and reports whether this replica delivers. While the lease is unavailable nothing changes.
func (s *Sender) lead(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, addTimeout)
	defer cancel()
	leads, err := s.cfg.Leases.Acquire(ctx, leaseKey, s.cfg.Owner, leaseTTL)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.isLeader = leads
	}
	for order, e := range s.last {
		if time.Since(e.At) > sameTTL {
			delete(s.last, order)
		}
	}
	return s.isLeader && err == nil
}

// load reads the stored events. It keeps the lock meanwhile, so that an event that is stored later is enqueued later.
func (s *Sender) load(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	events, err := s.cfg.Queue.All(ctx)
	if err != nil {
		s.cfg.Logger.Error("cannot read webhook events", "error", redact.Foreign(err.Error()))
		return
	}
	for _, e := range events {
		if s.known[e.ID] && s.cfg.Queue.Remove(ctx, e) == nil {
			delete(s.known, e.ID)
			continue
		}
		s.enqueueLocked(e)
	}
}

// Emit stores an event and returns; Run delivers it.
func (s *Sender) Emit(e Event) {
	ctx, cancel := context.WithTimeout(context.Background(), addTimeout)
	defer cancel()
	if err := s.cfg.Queue.Add(ctx, &e); err != nil {
		e.isUnstored = true
		s.cfg.Logger.Error("cannot store webhook event, delivering it from memory", "event", e.Kind, "session", e.Session,
			"error", redact.Foreign(err.Error()))
	}
	if s.cfg.Leases != nil && !e.isUnstored { // in the order of the shared queue
		select {
		case s.wake <- struct{}{}:
		default:
		}
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enqueueLocked(e)
}

// Forget drops the events of an Event.Order; the caller removes them from the queue.
func (s *Sender) Forget(order string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.queues[order] {
		delete(s.known, e.ID)
	}
	if s.queues[order] != nil {
		s.queues[order] = []Event{}
	}
}

func (s *Sender) enqueueLocked(e Event) {
	if _, isKnown := s.known[e.ID]; s.ctx == nil || isKnown && !e.isUnstored {
		return // before Run, which reads the queue; or enqueued already
	}
	if !e.isUnstored {
		s.known[e.ID] = false
	}
	queue, isRunning := s.queues[e.Order]
	s.queues[e.Order] = append(queue, e)
	if !isRunning {
		ctx := s.ctx
		s.workers.Go(func() { s.work(ctx, e.Order) })
	}
}

// work delivers the queue of one session, and ends when it is empty.
func (s *Sender) work(ctx context.Context, order string) {
	for {
		s.mu.Lock()
		queue := s.queues[order]
		if len(queue) == 0 || ctx.Err() != nil {
			delete(s.queues, order)
			s.mu.Unlock()
			return
		}
		e := queue[0]
		s.queues[order] = queue[1:]
		isOurs := s.isLeader || e.isUnstored
		previous := s.last[order]
		s.mu.Unlock()
		isCopy := e.Same != "" && e.Same == previous.Same && e.At.Sub(previous.At).Abs() < sameTTL
		switch {
		case !isOurs: // another replica delivers it
			s.mu.Lock()
			delete(s.known, e.ID)
			s.mu.Unlock()
		case isCopy || s.deliver(ctx, e, len(queue) > maxQueued):
			s.remove(ctx, e)
		}
	}
}

// deliver tries until the receiver has accepted the event, or it is dropped. It returns false if ctx ends first: the
// event stays for the next start of the process.
func (s *Sender) deliver(ctx context.Context, e Event, overflow bool) bool {
	for attempt := 1; attempt <= maxAttempts && !overflow && time.Since(e.At) < maxAge; attempt++ {
		target := s.cfg.Target(e)
		if target == nil { // it was removed
			return true
		}
		err := s.send(ctx, target, e)
		if ctx.Err() != nil {
			return false
		}
		if err == nil {
			return true
		}
		s.cfg.Logger.Warn("cannot deliver webhook event", "event", e.Kind, "session", e.Session, "attempt", attempt,
			"error", err)
		if attempt < maxAttempts && !compat.Sleep(ctx, retryDelays[attempt-1]) {
			return false
		}
	}
	s.cfg.Logger.Error("webhook event dropped", "event", e.Kind, "session", e.Session)
	s.cfg.OnDropped()
	return true
}

// send makes one attempt, when the host has a free place: one that is slow does not delay the others.
func (s *Sender) send(ctx context.Context, target *Target, e Event) error {
	host := ""
	if u, err := url.Parse(target.URL); err == nil {
		host = u.Host
	}
	s.mu.Lock()
	places := s.places[host]
	if places == nil {
		places = make(chan struct{}, maxPerHost)
		s.places[host] = places
	}
	s.mu.Unlock()
	select {
	case places <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-places }()
	return target.send(ctx, s.client, e)
}

// remove removes an event that is done from the queue.
func (s *Sender) remove(ctx context.Context, e Event) {
	var err error
	if !e.isUnstored {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), addTimeout)
		defer cancel()
		err = s.cfg.Queue.Remove(ctx, e)
	}
	if err != nil {
		s.cfg.Logger.Error("cannot remove webhook event; it may be delivered again", "error", redact.Foreign(err.Error()))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cfg.Leases != nil {
		s.last[e.Order] = Event{Same: e.Same, At: e.At}
	}
	switch {
	case err != nil:
		s.known[e.ID] = true
	case !e.isUnstored:
		delete(s.known, e.ID)
	}
}
