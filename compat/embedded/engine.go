// Package embedded is the session engine that qrgate runs when no other engine is configured: whatsmeow in this
// process, behind the documented HTTP API. It is the only package that imports whatsmeow.
//
//	engine, err := embedded.New(embedded.Config{DataDir: "qrgate-data", Keys: keys})
//	go engine.Run(ctx)                              // reconnects paired sessions; closes everything at the end
//	client := &http.Client{Transport: embedded.Transport(engine)}
//
// # One session
//
// The state of a session is a value, linkState. The function transition is the only one that changes it: it takes
// an event, the state and the time, and returns the next state. The session applies it under its mutex, stores what
// must survive a restart, and opens or closes a connection where the new state differs from the old one.
//
// # Why the engine rotates codes and reconnects itself
//
// whatsmeow can rotate codes (GetQRChannel) and reconnect. Both are switched off, because neither reports what
// happened: the channel's "timeout" means "no codes left" as well as "disconnected", it drops a slow reader and
// disconnects, and it stays open when the stream is replaced; the reconnect after a pairing is tried once and its
// error is only logged. So the engine takes the list of codes and shows each one for its time, and every reconnect
// is a new client on a new socket, whose error the engine sees. Each step that the library may leave without a
// response has a timeout (transition.go).
package embedded

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"qrgate/internal/secret"
)

// Config configures an Engine. DataDir or DatabaseURL, and at least one key, are required.
type Config struct {
	// DataDir holds the SQLite file with sessions and device keys. New creates it with mode 0700, its files with 0600.
	DataDir string
	// DatabaseURL is a Postgres URL; it replaces the file.
	DatabaseURL secret.Secret
	// Keys are the accepted credentials. Their names own the sessions.
	Keys []Key
	// HTTPClient dials WhatsApp; nil means the real WhatsApp, through the environment's proxy if there is one. An
	// *http.Transport in it is cloned and gets a ResponseHeaderTimeout.
	HTTPClient *http.Client
	// Logger gets the redacted log of the engine and of whatsmeow; nil discards it.
	Logger *slog.Logger
}

const (
	maxSessions = 500 // sessions of one account
	maxDials    = 20  // connections that dial at the same time; others wait in state "connecting"
)

func (c Config) withDefaults() (Config, error) {
	if c.DataDir == "" && c.DatabaseURL.Empty() {
		return c, errors.New("the embedded engine needs a data directory or a database URL")
	}
	if len(c.Keys) == 0 {
		return c, errors.New("the embedded engine needs at least one API key")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// Engine is the session engine, an http.Handler. Create it with New and call Run once.
type Engine struct {
	log         *slog.Logger
	library     libraryLog
	keys        keyring
	http        *http.Client
	db          *database
	mux         *http.ServeMux
	maxSessions int
	dialSlots   chan struct{}  // its capacity limits concurrent dials
	connections sync.WaitGroup // all connections

	createMu sync.Mutex // serializes creates, so that no session id is used twice

	mu       sync.RWMutex
	sessions registry
	closed   bool
}

// New opens the database, migrates its tables and reads the sessions of the accounts that have a key. It does not
// connect to WhatsApp; Run does.
func New(c Config) (*Engine, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	e := &Engine{log: c.Logger, library: libraryLog{log: c.Logger}, maxSessions: maxSessions,
		dialSlots: make(chan struct{}, maxDials)}
	if e.keys, err = newKeyring(c.Keys); err != nil {
		return nil, err
	}
	if e.http, err = whatsAppClient(c.HTTPClient); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	defer cancel()
	if e.db, err = openDatabase(ctx, c, e.library); err != nil {
		return nil, err
	}
	rows, err := e.db.sessions(ctx)
	if err != nil {
		return nil, errors.Join(err, e.db.close())
	}
	for _, r := range rows {
		if e.keys.has(r.account) {
			e.sessions.add(newSession(e, r))
		}
	}
	e.mux = e.routes()
	return e, nil
}

// resumeInterval is the time between the reconnects of two paired sessions after a restart of the process.
const resumeInterval = 100 * time.Millisecond

// Run reconnects the paired sessions, one per resumeInterval, and returns when ctx is done, all connections are
// closed and the database is closed. It waits at most 5 s for connections: a handshake without a response outlives
// Run by up to 20 s, a constant of the library.
func (e *Engine) Run(ctx context.Context) error {
	var delay time.Duration
	for _, s := range e.all() {
		s.apply(nil, resume{delay: delay})
		if s.view().link.Phase == backingOff {
			delay += resumeInterval
		}
	}
	<-ctx.Done()
	return e.close()
}

func (e *Engine) close() error {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	for _, s := range e.all() {
		s.close()
	}
	done := make(chan struct{})
	go func() {
		e.connections.Wait()
		close(done)
	}()
	timeout := time.NewTimer(drainTimeout)
	defer timeout.Stop()
	select {
	case <-done:
	case <-timeout.C:
		e.log.Warn("connections did not close in time")
	}
	e.http.CloseIdleConnections()
	return e.db.close()
}

// all returns every session, the oldest first.
func (e *Engine) all() []*engineSession {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return slices.Clone(e.sessions.byID)
}

// registry indexes sessions. The zero value is empty.
type registry struct {
	byID   []*engineSession                     // ascending
	byName map[string]map[string]*engineSession // account → sessionId → session
}

func (g *registry) add(s *engineSession) {
	account := s.row.account
	if g.byName == nil {
		g.byName = map[string]map[string]*engineSession{}
	}
	if g.byName[account] == nil {
		g.byName[account] = map[string]*engineSession{}
	}
	g.byName[account][s.row.sessionID] = s
	at, _ := g.search(s.row.id)
	g.byID = slices.Insert(g.byID, at, s)
}

func (g *registry) remove(s *engineSession) {
	delete(g.byName[s.row.account], s.row.sessionID)
	if at, found := g.search(s.row.id); found {
		g.byID = slices.Delete(g.byID, at, at+1)
	}
}

// find accepts both kinds of id: the integer first, then the name, which may consist of digits (contract C9).
func (g *registry) find(account, id string) *engineSession {
	if n, err := strconv.ParseInt(id, 10, 64); err == nil {
		if at, found := g.search(n); found && g.byID[at].row.account == account {
			return g.byID[at]
		}
	}
	return g.byName[account][id]
}

// ofAccount returns the sessions of an account, the newest first.
func (g *registry) ofAccount(account string) []*engineSession {
	var out []*engineSession
	for _, s := range slices.Backward(g.byID) {
		if s.row.account == account {
			out = append(out, s)
		}
	}
	return out
}

func (g *registry) search(id int64) (int, bool) {
	return slices.BinarySearchFunc(g.byID, id, func(s *engineSession, id int64) int { return cmp.Compare(s.row.id, id) })
}
