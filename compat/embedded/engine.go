// Package embedded is the session engine that qrgate runs when no other engine is configured: whatsmeow in this
// process, behind the documented HTTP API. It is the only package that imports whatsmeow.
//
//	engine, err := embedded.New(embedded.Config{DataDir: "qrgate-data", Keys: keys})
//	go engine.Run(ctx)                              // reconnects paired sessions; closes everything at the end
//	client := &http.Client{Transport: embedded.Transport(engine)}
//
// The state of a session is a value, linkState. Only the function transition changes it: it takes an event, the state
// and the time, and returns the next state. The session applies it under its mutex, stores what must survive a
// restart, and opens or closes a connection where the new state differs from the old one.
//
// whatsmeow's own rotation of codes (GetQRChannel) and its reconnects are switched off, because neither reports what
// happened: the channel's "timeout" means "no codes left" as well as "disconnected", it drops a slow reader, and it
// stays open when the stream is replaced; the reconnect after a pairing is tried once and its error is only logged. So
// the engine shows each code for its time, and every reconnect is a new client on a new socket, whose error the engine
// sees. Each step that the library may leave without a response has a timeout (transition.go).
package embedded

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"qrgate/compat"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/internal/webhook"
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
	Limits     Limits
	// DeviceName is shown in the phone's list of linked devices; empty means qrgate.
	DeviceName string
	// Version is the version of WhatsApp's web client to present (ParseVersion); empty means the library's.
	Version string
	// Webhook gets the events of sessions without a webhook of their own; nil for none.
	Webhook *webhook.Target
	// ProbeAccount is an account whose sessions are not reported to Webhook.
	ProbeAccount string
	// AllowPrivateWebhooks permits webhooks on private addresses, and without TLS.
	AllowPrivateWebhooks bool
	// OnChange is called after a session's state or code has changed, from several goroutines; nil ignores it.
	OnChange func(session.Ref)
	// OnWebhookDropped is called for each event that is not delivered; nil ignores it.
	OnWebhookDropped func()
	// Logger gets the redacted log of the engine and of whatsmeow; nil discards it.
	Logger *slog.Logger
}

// Limits of an engine; zero means the default.
type Limits struct {
	Sessions int // of one account: 500
	Dials    int // connections that dial for codes at the same time: 20; others wait in state "connecting"
	Logins   int // paired sessions that log in at the same time: 8
}

func (l Limits) withDefaults() Limits {
	return Limits{Sessions: cmp.Or(l.Sessions, 500), Dials: cmp.Or(l.Dials, 20), Logins: cmp.Or(l.Logins, 8)}
}

// Engine is the session engine, an http.Handler. Create it with New and call Run once.
type Engine struct {
	log         *slog.Logger
	library     libraryLog
	keys        atomic.Pointer[keyring]
	http        *http.Client
	db          *database
	mux         *http.ServeMux
	version     *waVersion
	deviceName  string
	webhooks    *webhooks
	onChange    func(session.Ref)
	limits      Limits
	dials       *places        // of unpaired sessions, until the handshake
	logins      *places        // of paired sessions, until they are logged in
	reconnects  *places        // of paired sessions for which no client waits: a part of logins
	connections sync.WaitGroup // all connections

	allowPrivateWebhooks bool

	createMu sync.Mutex // serializes creates, so that no session id is used twice

	mu     sync.RWMutex
	byID   map[int64]*engineSession
	byName map[string]map[string]*engineSession // account → sessionId → session
	closed bool
}

// New opens the database, migrates its tables and reads the sessions of the accounts that have a key. It does not
// connect to WhatsApp; Run does.
func New(c Config) (*Engine, error) {
	switch {
	case c.DataDir == "" && c.DatabaseURL.Empty():
		return nil, errors.New("the embedded engine needs a data directory or a database URL")
	case len(c.Keys) == 0:
		return nil, errors.New("the embedded engine needs at least one API key")
	case c.Logger == nil:
		c.Logger = slog.New(slog.DiscardHandler)
	}
	e := &Engine{
		log: c.Logger, library: libraryLog{log: c.Logger}, http: compat.DialClient(c.HTTPClient),
		limits: c.Limits.withDefaults(), deviceName: cmp.Or(c.DeviceName, defaultDeviceName), onChange: c.OnChange,
		byID: map[int64]*engineSession{}, byName: map[string]map[string]*engineSession{},
	}
	e.version = newWAVersion(c.Version, e.http, e.log)
	e.allowPrivateWebhooks = c.AllowPrivateWebhooks
	e.dials, e.logins = newPlaces(e.limits.Dials), newPlaces(e.limits.Logins)
	e.reconnects = newPlaces(max(e.limits.Logins*3/4, 1))
	keys, err := newKeyring(c.Keys)
	if err != nil {
		return nil, err
	}
	e.keys.Store(&keys)
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	defer cancel()
	if e.db, err = openDatabase(ctx, c, e.library); err != nil {
		return nil, err
	}
	rows, err := e.db.sessions(ctx)
	if err != nil {
		return nil, openError(c, errors.Join(err, e.db.close()))
	}
	targets, err := e.db.webhooks(ctx)
	if err != nil {
		return nil, openError(c, errors.Join(err, e.db.close()))
	}
	e.webhooks = &webhooks{db: e.db, common: c.Webhook, except: c.ProbeAccount, targets: targets}
	e.webhooks.sender = webhook.NewSender(webhook.Config{Queue: eventQueue{e.db}, Target: e.webhooks.target,
		AllowPrivate: c.AllowPrivateWebhooks, Logger: e.log, OnDropped: c.OnWebhookDropped})
	for _, r := range rows {
		if keys.has(r.account) {
			e.addSession(r)
		}
	}
	e.mux = e.routes()
	return e, nil
}

// SetKeys replaces the keys while the engine runs. The stored sessions of a new name appear and reconnect; those of a
// name without a key stay connected and cannot be called.
func (e *Engine) SetKeys(ctx context.Context, list []Key) error {
	keys, err := newKeyring(list)
	if err != nil {
		return err
	}
	rows, err := e.db.sessions(ctx)
	if err != nil {
		return err
	}
	e.keys.Store(&keys)
	for _, r := range rows {
		if keys.has(r.account) && e.findSession(r.account, strconv.FormatInt(r.id, 10)) == nil {
			e.addSession(r).apply(nil, resume{})
		}
	}
	return nil
}

// Run reconnects the paired sessions as fast as they log in, keeps the database small, and returns when ctx is done,
// all connections are closed and the database is closed. It waits at most 5 s for connections: a handshake without a
// response outlives Run by up to 20 s, a constant of the library.
func (e *Engine) Run(ctx context.Context) error {
	for _, s := range e.all() {
		s.apply(nil, resume{})
	}
	var delivered error
	var delivery sync.WaitGroup
	delivery.Go(func() { delivered = e.webhooks.sender.Run(ctx) })
	e.db.maintain(ctx)
	delivery.Wait()
	return errors.Join(delivered, e.close())
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
	if !waitFor(done, drainTimeout) {
		e.log.Warn("connections did not close in time")
	}
	e.http.CloseIdleConnections()
	return e.db.close()
}

// waitFor returns false if done is not closed in time.
func waitFor(done <-chan struct{}, limit time.Duration) bool {
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	select {
	case <-done:
		return true
	case <-timeout.C:
		return false
	}
}

// all returns every session, the oldest first.
func (e *Engine) all() []*engineSession {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return slices.SortedFunc(maps.Values(e.byID), func(a, b *engineSession) int { return cmp.Compare(a.row.id, b.row.id) })
}

func (e *Engine) addSession(r row) *engineSession {
	s := newSession(e, r)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.byName[r.account] == nil {
		e.byName[r.account] = map[string]*engineSession{}
	}
	e.byID[r.id], e.byName[r.account][r.sessionID] = s, s
	return s
}

func (e *Engine) removeSession(s *engineSession) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.byID, s.row.id)
	delete(e.byName[s.row.account], s.row.sessionID)
}

// findSession accepts both kinds of id: the integer first, then the name, which may consist of digits (contract C9).
func (e *Engine) findSession(account, id string) *engineSession {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if n, err := strconv.ParseInt(id, 10, 64); err == nil {
		if s := e.byID[n]; s != nil && s.row.account == account {
			return s
		}
	}
	return e.byName[account][id]
}
