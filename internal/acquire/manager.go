package acquire

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"qrgate/internal/seal"
	"qrgate/internal/session"
	"qrgate/internal/store"
)

// WaitTimes are how long a request for the QR waits when the client does not say (contract 4.4).
type WaitTimes struct {
	Initial time.Duration // while the connect is younger than five seconds; 9 s
	Default time.Duration // afterwards; 4.5 s
}

// WaiterLimits bound how many requests may wait at once. Above a limit the response is "not yet", at once.
type WaiterLimits struct {
	Session, Tenant, Replica int // 200, a fifth of Replica, 5000
	Unauthenticated          int // requests whose credential the engine has not accepted yet; 50
	Sessions                 int // sessions whose ids are remembered; 10000
}

// Config is what New needs. Engine, Sealer and Store must be set; the rest has defaults.
type Config struct {
	Engine       session.Engine
	Sealer       *seal.Sealer
	Store        store.LeasedStore
	WaitTimes    WaitTimes
	WaiterLimits WaiterLimits
	AllowForce   bool                              // recovery may connect with force (QRGATE_RECOVERY_FORCE)
	OnEvent      session.EventHandler              // may be nil
	OnChange     func(session.Change)              // may be nil; with it, codes that are shown are polled for their scan
	Connectivity func() session.ConnectivityResult // qrgate's own last connectivity check; may be nil
	Subscribe    Subscribe                         // nil: the engine reports no change by itself
	SparsePolls  bool                              // a poll may take two calls of the engine's own API
	SharesStore  bool                              // other replicas use the store
	Replicas     func() int                        // how many replicas poll without a common store; nil: one
}

// Manager obtains the QRs of sessions, for all callers.
type Manager struct {
	cfg       Config
	store     sessionStore
	replicaID string // in leases
	health    engineHealth

	waiters         atomic.Int64 // requests that wait
	unauthenticated atomic.Int64 // those whose credential the engine has not accepted yet
	subscriptions   atomic.Int64 // connections on which the engine reports changes

	base context.Context // of everything that runs; ends with Run
	stop context.CancelCauseFunc
	wg   sync.WaitGroup // requests, trackers, tenants and engine calls

	mu         sync.Mutex
	tenants    map[session.Tenant]*tenant
	ids        idCache
	limitsAt   time.Time // when an engine last stated its limits, to a tenant that is closed
	hasStopped bool
}

// New returns a Manager. It starts nothing; acquisitions begin when a client connects or asks.
func New(cfg Config) (*Manager, error) {
	if cfg.Engine == nil || cfg.Sealer == nil || cfg.Store == nil {
		return nil, errors.New("acquire: Engine, Sealer and Store must be set")
	}
	cfg.setDefaults()
	base, stop := context.WithCancelCause(context.Background())
	return &Manager{
		cfg: cfg, store: sessionStore{cfg.Sealer, cfg.Store, cfg.OnEvent}, replicaID: rand.Text(),
		ids:  idCache{limit: cfg.WaiterLimits.Sessions},
		base: base, stop: stop, tenants: map[session.Tenant]*tenant{},
	}, nil
}

func (c *Config) setDefaults() {
	setDefault(&c.WaiterLimits.Session, 200)
	setDefault(&c.WaiterLimits.Replica, 5000)
	setDefault(&c.WaiterLimits.Tenant, max(c.WaiterLimits.Replica/5, 1))
	setDefault(&c.WaiterLimits.Unauthenticated, 50)
	setDefault(&c.WaiterLimits.Sessions, 10000)
	setDefault(&c.WaitTimes.Initial, 9*time.Second)
	setDefault(&c.WaitTimes.Default, 4500*time.Millisecond)
	if c.Connectivity == nil {
		c.Connectivity = func() session.ConnectivityResult { return session.ConnectivityResult{} }
	}
	if c.Replicas == nil {
		c.Replicas = func() int { return 1 }
	}
	if c.OnEvent == nil {
		c.OnEvent = func(session.Event) {}
	}
}

func setDefault[T int | time.Duration](value *T, initial T) {
	if *value <= 0 {
		*value = initial
	}
}

// Run waits until ctx ends, then ends every tracker and returns nil when the last one has ended.
func (m *Manager) Run(ctx context.Context) error {
	<-ctx.Done()
	m.mu.Lock()
	m.hasStopped = true
	m.mu.Unlock()
	m.stop(session.ErrStopped)
	m.wg.Wait()
	return nil
}

// tenant returns the tenant of a credential, and starts it if there is none. The caller releases it.
func (m *Manager) tenant(c session.Caller) (*tenant, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.hasStopped {
		return nil, session.ErrStopped
	}
	tn := m.tenants[c.Tenant]
	if tn == nil {
		tn = newTenant(m, c)
		m.tenants[c.Tenant] = tn
		m.wg.Go(tn.run)
	}
	tn.mu.Lock()
	tn.refs++ // not while it is being closed
	tn.mu.Unlock()
	m.wg.Add(1)
	return tn, nil
}

// existing returns the tenant of a credential; nil if there is none.
func (m *Manager) existing(c session.Caller) *tenant {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.tenants[c.Tenant]
}

// closeIfIdle removes a tenant that is not used and knows nothing that a new one would not know.
func (m *Manager) closeIfIdle(tn *tenant, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	tn.mu.Lock()
	defer tn.mu.Unlock()
	if tn.refs > 0 || tn.calls > 0 || len(tn.trackers) > 0 || !now.After(tn.limiter.idleAt()) {
		return false
	}
	delete(m.tenants, tn.caller.Tenant)
	m.limitsAt = latest(m.limitsAt, tn.limiter.updatedAt)
	return true
}

// find returns the tracker of a session that is tracked; nil if there is none.
func (m *Manager) find(c session.Caller, r session.Ref) *tracker {
	tn := m.existing(c)
	if tn == nil {
		return nil
	}
	tn.mu.Lock()
	defer tn.mu.Unlock()
	return tn.find(r)
}

// cached is find by an id as a client writes it, the integer first. The client is going to use the tracker.
func (m *Manager) cached(c session.Caller, id string) *tracker {
	r, _ := session.ParseRef(id)
	t := m.find(c, r)
	if t == nil && r.ID > 0 {
		t = m.find(c, session.Ref{Name: id})
	}
	if t != nil {
		t.tenant.mu.Lock()
		t.lastUsedAt = time.Now() // the tracker lives longer, and has nothing to decide
		t.tenant.mu.Unlock()
	}
	return t
}

// track returns the tracker of the session that a caller means by id, once its first snapshot is there.
func (m *Manager) track(ctx context.Context, c session.Caller, id string) (*tracker, error) {
	if m.base.Err() != nil {
		return nil, session.ErrStopped
	}
	if t := m.cached(c, id); t != nil && t.state.Load() != nil {
		return t, nil
	}
	return m.trackRef(ctx, c, m.Resolve(ctx, c, id))
}

func (m *Manager) trackRef(ctx context.Context, c session.Caller, r session.Ref) (*tracker, error) {
	tn, err := m.tenant(c)
	if err != nil {
		return nil, err
	}
	t := tn.tracker(r)
	tn.release()
	switch {
	case t.awaitLoaded(ctx):
		return t, nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	}
	return nil, session.ErrStopped
}

// apply applies a fact to a session and waits until it is published and stored.
func (m *Manager) apply(ctx context.Context, c session.Caller, r session.Ref, msg message) (*tracker, error) {
	if c.Credential().Empty() {
		msg.apply = withoutAuthorization(msg.apply)
	}
	for {
		t, err := m.trackRef(ctx, c, r)
		if err != nil {
			return nil, err
		}
		if t.send(msg) {
			return t, nil
		}
		if m.base.Err() != nil {
			return nil, session.ErrStopped
		}
	}
}

// withoutAuthorization is apply without the proof of a credential. A client without a key may have sent the engine a
// cookie or a key in the query: to qrgate it is the same caller as all clients without a key, which must not get its
// code. qrgate's own poll, which carries nothing, proves what they may see.
func withoutAuthorization(apply update) update {
	return func(s session.Session, now time.Time) session.Session {
		after := apply(s, now)
		if after.AuthorizedAt.After(s.AuthorizedAt) {
			after.AuthorizedAt = s.AuthorizedAt
		}
		return after
	}
}
