package acquire

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"qrgate/internal/seal"
	"qrgate/internal/session"
	"qrgate/internal/store"
)

// WaitTimes are the times that a request for the QR is held open when the client does not say (contract 4.4).
type WaitTimes struct {
	Initial time.Duration // while the connect is younger than five seconds; 9 s
	Default time.Duration // afterwards; 4.5 s
}

// WaiterLimits bound how many requests may be held at once. Over a cap the answer is "not yet", at once.
type WaiterLimits struct {
	Session, Tenant, Replica int // held requests; 200, 1000, 5000
	Unauthenticated          int // requests whose credential the engine has not accepted yet; 50
	Sessions                 int // sessions in mind; 10000
}

// Config is what New needs. Engine, Vault and Store must be set; the rest has defaults.
type Config struct {
	Engine  session.Engine
	Vault   *seal.Sealer
	Store   store.LeasedStore
	Holds   WaitTimes
	Caps    WaiterLimits
	Force   bool                              // recovery may connect with force (QRGATE_RECOVERY_FORCE)
	Observe session.EventHandler              // may be nil
	Control func() session.ConnectivityResult // the gate's own last look at WhatsApp; may be nil
}

// Pairing takes sessions to their QR, for all callers.
type Pairing struct {
	cfg         Config
	book        *sessionStore
	replicaID   string // this replica, in leases
	names       *idCache
	slots       waiterLimiter
	failing     failureCounter
	pace        latencyWindow
	lastSuccess atomic.Int64 // when a session last got its QR, in nanoseconds of Unix; 0 if none did

	base   context.Context // of everything alive; ends with Run
	stop   context.CancelCauseFunc
	wg     sync.WaitGroup
	guests sync.WaitGroup // requests inside

	mu    sync.Mutex
	desks map[session.Tenant]*tenant
	told  time.Time // when an engine spoke of limits last, to a desk that is closed
	ended bool
}

// ErrStopped is the cause with which everything alive ends.
var ErrStopped = errors.New("the gate is stopping")

// New returns a Pairing. It starts nothing; flights begin when somebody connects or asks.
func New(cfg Config) (*Pairing, error) {
	if cfg.Engine == nil || cfg.Vault == nil || cfg.Store == nil {
		return nil, errors.New("pairing: Engine, Vault and Store must be set")
	}
	cfg = cfg.withDefaults()
	owner := make([]byte, 8)
	if _, err := rand.Read(owner); err != nil {
		return nil, fmt.Errorf("pairing: %w", err)
	}
	base, stop := context.WithCancelCause(context.Background())
	return &Pairing{
		cfg: cfg, book: &sessionStore{cfg.Vault, cfg.Store, cfg.Observe}, replicaID: hex.EncodeToString(owner),
		names: newNames(cfg.Caps.Sessions), slots: waiterLimiter{most: cfg.Caps},
		base: base, stop: stop, desks: map[session.Tenant]*tenant{},
	}, nil
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		value    *int
		standard int
	}{{&c.Caps.Session, 200}, {&c.Caps.Tenant, 1000}, {&c.Caps.Replica, 5000}, {&c.Caps.Unauthenticated, 50}, {&c.Caps.Sessions, 10000}} {
		if *d.value <= 0 {
			*d.value = d.standard
		}
	}
	if c.Holds.Initial <= 0 {
		c.Holds.Initial = 9 * time.Second
	}
	if c.Holds.Default <= 0 {
		c.Holds.Default = 4500 * time.Millisecond
	}
	if c.Control == nil {
		c.Control = func() session.ConnectivityResult { return session.ConnectivityResult{} }
	}
	if c.Observe == nil {
		c.Observe = func(session.Event) {}
	}
	return c
}

// Run waits until ctx ends, then ends every flight and returns nil when the last one is down.
func (p *Pairing) Run(ctx context.Context) error {
	<-ctx.Done()
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
	p.stop(ErrStopped)
	p.guests.Wait()
	p.wg.Wait()
	return nil
}

// desk returns the desk of a credential, and begins one if there is none.
func (p *Pairing) desk(c session.Caller) (*tenant, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return nil, ErrStopped
	}
	d := p.desks[c.Tenant]
	if d == nil {
		d = newDesk(p, c)
		p.desks[c.Tenant] = d
		p.wg.Go(d.run)
	}
	d.acquire() // not while it is being closed
	return d, nil
}

// close takes an idle desk away; false when somebody came in meanwhile.
func (p *Pairing) close(d *tenant) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !d.idle(time.Now()) {
		return false
	}
	delete(p.desks, d.caller.Tenant)
	p.told = later(p.told, d.told())
	return true
}
