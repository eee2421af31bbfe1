package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// Engine is the session engine. It is an http.Handler; make it with New and give it to Run.
type Engine struct {
	config    Config
	log       *slog.Logger
	library   libraryLog
	ring      keyring
	http      *http.Client
	db        *database
	mux       *http.ServeMux
	dialSlots chan struct{}  // as many as may dial at once
	lines     sync.WaitGroup // all lines

	createMu sync.Mutex // one create at a time, so that no id is given twice

	mu     sync.RWMutex
	shelf  registry
	closed bool
}

// New opens the database, brings its tables up to date and reads the sessions of the accounts that have a
// key. It dials nobody; Run does. Its errors are sentences for whoever starts the process.
func New(c Config) (*Engine, error) {
	c, err := c.complete()
	if err != nil {
		return nil, err
	}
	e := &Engine{config: c, log: c.Logger, library: libraryLog{log: c.Logger}, dialSlots: make(chan struct{}, c.MaxDials)}
	if e.ring, err = newRing(c.Keys); err != nil {
		return nil, err
	}
	if e.http, err = whatsapp(c.HTTPClient); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), openTime)
	defer cancel()
	if e.db, err = openDatabase(ctx, c, e.library); err != nil {
		return nil, err
	}
	rows, err := e.db.sessions(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w; %v", err, e.db.close())
	}
	for _, r := range rows {
		if e.ring.has(r.account) {
			e.shelf.put(newSession(e, r))
		}
	}
	e.mux = e.routes()
	return e, nil
}

// Run brings the linked sessions back, a few at a time, and goes on until ctx is done. Then it hangs up every
// line and closes the database. It returns nil after that, or after 5 s if some line hangs: a handshake that
// WhatsApp leaves unanswered outlives it by up to 20 s, a constant of the library. Run is called once.
func (e *Engine) Run(ctx context.Context) error {
	var in time.Duration
	for _, s := range e.all() {
		s.apply(nil, resume{in: in})
		if s.view().link.Phase == backingOff {
			in += resumeTime
		}
	}
	<-ctx.Done()
	return e.close()
}

// close ends everything.
func (e *Engine) close() error {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	for _, s := range e.all() {
		s.end()
	}
	ended := make(chan struct{})
	go func() {
		e.lines.Wait()
		close(ended)
	}()
	limit := time.NewTimer(drainTime)
	defer limit.Stop()
	select {
	case <-ended:
	case <-limit.C:
		e.log.Warn("some connections did not hang up in time")
	}
	e.http.CloseIdleConnections()
	return e.db.close()
}

// all is every session, the oldest first.
func (e *Engine) all() []*engineSession {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.shelf.all()
}
