package embedded

import (
	"errors"
	"log/slog"
	"net/http"

	"qrgate/internal/diagnosis"
	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// Config says how the engine runs. DataDir or DatabaseURL, and at least one key, must be set.
type Config struct {
	// DataDir holds the SQLite file with sessions and device keys, made with 0700 and 0600 if it is not there.
	DataDir string
	// DatabaseURL is a Postgres URL that is used in place of the file.
	DatabaseURL secret.Secret
	// Keys are the credentials. Their names own the sessions.
	Keys []Key
	// HTTPClient dials WhatsApp; nil means the real one, through the proxy of the environment if there is
	// one. Its *http.Transport, if it has one, is used as a copy with ResponseHeaderTimeout set.
	HTTPClient *http.Client
	// Logger gets what the engine and the library say, without codes, keys and numbers; nil is silence.
	Logger *slog.Logger
	// Observe, if set, is told of every change of a session's state. It must return at once.
	Observe func(Change)
	// MaxSessions bounds the sessions of one account; zero means 500.
	MaxSessions int
	// MaxDials bounds the lines that connect at the same time; zero means 20. Others wait in "connecting".
	MaxDials int
}

// Change is a step of a session, for whoever counts. It names no session.
type Change struct {
	From, To session.State
	Code     diagnosis.Code // why a line ended, if one did; else empty
}

const (
	defaultMaxSessions = 500
	defaultMaxDials    = 20
)

// complete fills in the defaults and refuses what cannot work.
func (c Config) complete() (Config, error) {
	if c.DataDir == "" && c.DatabaseURL.Empty() {
		return c, errors.New("the embedded engine needs a data directory or a database URL")
	}
	if len(c.Keys) == 0 {
		return c, errors.New("the embedded engine needs at least one API key")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Observe == nil {
		c.Observe = func(Change) {}
	}
	if c.MaxSessions <= 0 {
		c.MaxSessions = defaultMaxSessions
	}
	if c.MaxDials <= 0 {
		c.MaxDials = defaultMaxDials
	}
	return c, nil
}
