package embedded

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"go.mau.fi/whatsmeow/store/sqlstore"
	waLog "go.mau.fi/whatsmeow/util/log"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// databaseFile holds everything of the embedded engine when there is no Postgres.
const databaseFile = "qrgate.db"

// database is the sessions of this engine and the devices of the library, side by side.
type database struct {
	sql     *sql.DB
	devices *sqlstore.Container
	release func() error // gives up the claim to them
}

// openDatabase opens Postgres if c names one, else the file in its data directory, and brings its tables up
// to date.
func openDatabase(ctx context.Context, c Config, log waLog.Logger) (*database, error) {
	dialect, schema := "postgres", postgresSchema
	var db *sql.DB
	var err error
	if !c.DatabaseURL.Empty() {
		db, err = sql.Open("pgx", c.DatabaseURL.Reveal())
	} else {
		dialect, schema = "sqlite3", sqliteSchema
		db, err = openFile(c.DataDir)
	}
	if err != nil {
		return nil, openError(c, err)
	}
	d := &database{sql: db, devices: sqlstore.NewWithDB(db, dialect, log)}
	if d.release, err = lock(ctx, d, c); err != nil {
		_ = db.Close()
		if by, ok := errors.AsType[lockedError](err); ok {
			return nil, by
		}
		return nil, openError(c, err)
	}
	if err := d.devices.Upgrade(ctx); err != nil {
		return nil, openError(c, errors.Join(err, d.close()))
	}
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return nil, openError(c, errors.Join(err, d.close()))
	}
	return d, nil
}

// openError keeps the password out. Drivers print the URL, or what they take for its parts, when they cannot
// parse it; so of what they say only the address is kept, of a server that was parsed and does not answer.
func openError(c Config, err error) error {
	if _, parsed := errors.AsType[*pgconn.ConnectError](err); parsed {
		return errors.New("the database of QRGATE_DATABASE_URL does not let us in: " + scrub(err.Error(), c.DatabaseURL))
	}
	if !c.DatabaseURL.Empty() {
		return errors.New("the database of QRGATE_DATABASE_URL cannot be used: check that it is a Postgres URL, " +
			"and that its user may make tables")
	}
	return fmt.Errorf("the database in %s cannot be opened: %w", c.DataDir, err)
}

// openFile opens the SQLite file. WAL lets readers and a writer work side by side, and a write that finds the file
// busy waits.
func openFile(dir string) (*sql.DB, error) {
	at, err := privateFile(dir, databaseFile)
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", at+"?_pragma=busy_timeout(10000)&_pragma=foreign_keys(1)"+
		"&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(8)
	db.SetMaxIdleConns(8)
	return db, nil
}

// privateFile makes a file unless it is there, and returns its URL for SQLite. It is made here so that it is never
// readable for others, not even for a moment; SQLite gives its companions the mode of the main file.
func privateFile(dir, name string) (at string, err error) {
	path, err := filepath.Abs(filepath.Join(dir, name))
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return "", err
	}
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(path)}
	return u.String(), f.Close()
}

// close ends all connections, and lets others have the sessions.
func (d *database) close() error { return errors.Join(d.release(), d.sql.Close()) }
