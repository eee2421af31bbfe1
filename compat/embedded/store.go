package embedded

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"go.mau.fi/util/dbutil"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/store/sqlstore"
	"go.mau.fi/whatsmeow/store/sqlstore/upgrades"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/util/keys"
	waLog "go.mau.fi/whatsmeow/util/log"
	"modernc.org/sqlite" // also the driver "sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"qrgate/internal/diagnosis"
	"qrgate/internal/redact"
	"qrgate/internal/webhook"
)

const (
	databaseFile = "qrgate.db"      // everything, without Postgres
	lockFile     = "qrgate.lock"    // locked while an engine uses the directory
	advisoryKey  = 0x7172_6761_7465 // the lock in Postgres: "qrgate"

	openTimeout  = 30 * time.Second // to open and migrate the database
	writeTimeout = 5 * time.Second  // for one write
)

// database has the sessions of this engine and the library's devices.
type database struct {
	sql     *sql.DB
	library *dbutil.Database // the same database, as the library uses it
	devices *sqlstore.Container
	unlock  func() error
	isFile  bool
}

// openDatabase opens Postgres if c has a URL, else the file in its data directory, locks it and migrates it.
func openDatabase(ctx context.Context, c Config, log waLog.Logger) (*database, error) {
	open, dialect, schema := openFile, "sqlite3", sqliteSchema
	if !c.DatabaseURL.Empty() {
		open, dialect, schema = openPostgres, "postgres", postgresSchema
	}
	db, unlock, err := open(ctx, c)
	if err != nil {
		return nil, openError(c, err)
	}
	d := &database{sql: db, unlock: unlock, isFile: c.DatabaseURL.Empty()}
	if d.library, err = dbutil.NewWithDB(db, dialect); err != nil {
		return nil, openError(c, errors.Join(err, d.close()))
	}
	d.library.UpgradeTable, d.library.VersionTable = upgrades.Table, "whatsmeow_version"
	d.devices = sqlstore.NewWithWrappedDB(d.library, log)
	if err = d.devices.Upgrade(ctx); err == nil {
		_, err = db.ExecContext(ctx, schema)
	}
	for _, table := range []string{webhookSchema, eventSchemas[dialect]} {
		if err == nil {
			_, err = db.ExecContext(ctx, table)
		}
	}
	if err != nil {
		return nil, openError(c, errors.Join(err, d.close()))
	}
	return d, nil
}

// openError never contains the password. A driver that cannot parse a URL prints it, so the driver's text is kept
// only for a server whose address it could parse.
func openError(c Config, err error) error {
	if locked, ok := errors.AsType[lockedError](err); ok {
		return locked
	}
	if _, parsed := errors.AsType[*pgconn.ConnectError](err); parsed {
		return errors.New("cannot connect to the database of QRGATE_DATABASE_URL: start it or correct the URL: " +
			redact.Foreign(err.Error(), c.DatabaseURL))
	}
	if !c.DatabaseURL.Empty() {
		return errors.New("cannot use the database of QRGATE_DATABASE_URL: check that it is a Postgres URL, " +
			"and that its user may create tables")
	}
	if isSQLite(err, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT) {
		return fmt.Errorf("the file %s is damaged: restore it from a backup, or move it away and link all phones again: %w",
			filepath.Join(c.DataDir, databaseFile), err)
	}
	if isSQLite(err, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR) {
		return fmt.Errorf("cannot write the database in %s: %w; free space, or repair the disk", c.DataDir, err)
	}
	const text = "cannot open the database in %s: %w; set it to a directory that qrgate alone may write"
	return fmt.Errorf(text, c.DataDir, err)
}

// openFile opens the SQLite file, with one connection: writers wait for it in place of polling for the lock, and
// without a second reader each checkpoint can empty the log (WAL).
func openFile(ctx context.Context, c Config) (db *sql.DB, unlock func() error, err error) {
	if unlock, err = lockDirectory(ctx, c.DataDir); err != nil {
		return nil, nil, err
	}
	at, err := privateFile(c.DataDir, databaseFile)
	if err == nil {
		db, err = sql.Open("sqlite", at+"?_pragma=busy_timeout(10000)&_pragma=foreign_keys(1)"+
			"&_pragma=journal_mode(WAL)&_pragma=journal_size_limit(16777216)&_pragma=synchronous(NORMAL)&_txlock=immediate")
	}
	if err != nil {
		return nil, nil, errors.Join(err, unlock())
	}
	db.SetMaxOpenConns(1)
	return db, unlock, nil
}

// privateFile creates a file with mode 0600 if it does not exist, and returns its URL for SQLite. SQLite gives its
// companion files the mode of the main file.
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

// maintainInterval is the time between two checkpoints that empty the log of an SQLite file.
const maintainInterval = 5 * time.Minute

// maintain keeps the log of an SQLite file small until ctx is done.
func (d *database) maintain(ctx context.Context) {
	ticker := time.NewTicker(maintainInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if d.isFile {
				_, _ = d.sql.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)") // else the next one
			}
		}
	}
}

// storageReason is why a scan ends that could not be stored.
func storageReason(err error) reason {
	if isSQLite(err, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR) {
		return newReason(diagnosis.DiskFull, "A phone scanned the code, but the disk of the data directory is full or "+
			"cannot be written.")
	}
	return newReason(diagnosis.Internal, "A phone scanned the code, but the database could not store the pairing.")
}

// isSQLite reports whether an error has one of these primary codes of SQLite.
func isSQLite(err error, codes ...int) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && slices.Contains(codes, e.Code()&0xff)
}

func (d *database) close() error { return errors.Join(d.unlock(), d.sql.Close()) }

// lockedError reports that another process uses the sessions. Two engines on the same sessions would disconnect each
// other's devices.
type lockedError string

// Error implements error.
func (e lockedError) Error() string { return string(e) }

// lockDirectory locks a file through SQLite, which knows how on each system. The lock ends with the process.
func lockDirectory(ctx context.Context, dir string) (unlock func() error, err error) {
	at, err := privateFile(dir, lockFile)
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", at+"?_txlock=exclusive")
	if err != nil {
		return nil, err
	}
	tx, err := db.BeginTx(context.WithoutCancel(ctx), nil) // it lives as long as the engine
	if isSQLite(err, sqlite3.SQLITE_BUSY) {
		_ = db.Close()
		return nil, lockedError("the data directory " + dir + " is in use by another qrgate process. " +
			"Two processes on one directory would disconnect each other's phones. " +
			"Stop that process, or set a different QRGATE_DATA_DIR")
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return func() error { return errors.Join(tx.Rollback(), db.Close()) }, nil
}

// openPostgres also takes an advisory lock, which ends with its connection.
func openPostgres(ctx context.Context, c Config) (db *sql.DB, unlock func() error, err error) {
	if db, err = sql.Open("pgx", c.DatabaseURL.Reveal()); err != nil {
		return nil, nil, err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	var acquired bool
	err = conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock($1)", int64(advisoryKey)).Scan(&acquired)
	if err == nil && !acquired {
		err = lockedError("the database of QRGATE_DATABASE_URL is in use by another qrgate process. " +
			"Two processes on one database would disconnect each other's phones. Stop that process. " +
			"If there is none, a connection pooler holds its lock: connect to Postgres directly")
	}
	if err != nil {
		_ = conn.Close()
		_ = db.Close()
		return nil, nil, err
	}
	return db, func() error { // Postgres notices the end of a connection a little later, and so would the next process
		ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
		defer cancel()
		_, err := conn.ExecContext(ctx, "SELECT pg_advisory_unlock($1)", int64(advisoryKey))
		return errors.Join(err, conn.Close())
	}, nil
}

// The table of sessions. An id is never reused, because clients keep ids of deleted sessions. Times are milliseconds
// since 1970, which both databases read alike.
const (
	sqliteSchema   = "CREATE TABLE IF NOT EXISTS qrgate_session (id INTEGER PRIMARY KEY AUTOINCREMENT, " + columns
	postgresSchema = "CREATE TABLE IF NOT EXISTS qrgate_session (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, " +
		columns
	columns = `account TEXT NOT NULL, session_id TEXT NOT NULL, name TEXT NOT NULL, jid TEXT,
		paused BOOLEAN NOT NULL DEFAULT FALSE, created BIGINT NOT NULL, updated BIGINT NOT NULL,
		UNIQUE (account, session_id))`
)

// row is a stored session.
type row struct {
	id               int64
	account          string
	sessionID, name  string
	jid              string // "" without a paired device
	paused           bool
	created, updated time.Time
}

// sessions returns the sessions of all accounts.
func (d *database) sessions(ctx context.Context) ([]row, error) {
	rows, err := d.sql.QueryContext(ctx, "SELECT id, account, session_id, name, COALESCE(jid, ''), paused, created, "+
		"updated FROM qrgate_session ORDER BY id")
	if err != nil {
		return nil, fmt.Errorf("read the sessions: %w", err)
	}
	defer rows.Close()
	var out []row
	for rows.Next() {
		var r row
		var created, updated int64
		if err := rows.Scan(&r.id, &r.account, &r.sessionID, &r.name, &r.jid, &r.paused, &created, &updated); err != nil {
			return nil, fmt.Errorf("read a session: %w", err)
		}
		r.created, r.updated = time.UnixMilli(created), time.UnixMilli(updated)
		out = append(out, r)
	}
	return out, rows.Err()
}

// insert stores a new session with its webhook, nil for none, and returns it with its id.
func (d *database) insert(ctx context.Context, r row, target *webhook.Target) (row, error) {
	tx, err := d.sql.BeginTx(ctx, nil)
	if err != nil {
		return r, fmt.Errorf("store the session: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // a no-op after the commit
	err = tx.QueryRowContext(ctx, "INSERT INTO qrgate_session (account, session_id, name, paused, created, updated) "+
		"VALUES ($1, $2, $3, $4, $5, $5) RETURNING id",
		r.account, r.sessionID, r.name, r.paused, r.created.UnixMilli()).Scan(&r.id)
	if err == nil && target != nil {
		err = setWebhook(ctx, tx, r.id, target)
	}
	if err == nil {
		err = tx.Commit()
	}
	if err != nil {
		return r, fmt.Errorf("store the session: %w", err)
	}
	return r, nil
}

func (d *database) update(ctx context.Context, id int64, jid string, paused bool, now time.Time) error {
	_, err := d.sql.ExecContext(ctx,
		"UPDATE qrgate_session SET jid = NULLIF($1, ''), paused = $2, updated = $3 WHERE id = $4",
		jid, paused, now.UnixMilli(), id)
	if err != nil {
		return fmt.Errorf("store the session: %w", err)
	}
	return nil
}

// remove deletes a session and its device.
func (d *database) remove(ctx context.Context, id int64, jid string) error {
	if err := d.deleteDevice(ctx, jid); err != nil {
		return err
	}
	for _, statement := range []string{
		"DELETE FROM qrgate_event WHERE session = $1", "DELETE FROM qrgate_webhook WHERE session = $1",
		"DELETE FROM qrgate_session WHERE id = $1",
	} {
		if _, err := d.sql.ExecContext(ctx, statement, id); err != nil {
			return fmt.Errorf("delete the session: %w", err)
		}
	}
	return nil
}

// device returns the keys of a paired device, nil if there are none. For an empty JID it returns new keys, which the
// library stores after a pairing.
func (d *database) device(ctx context.Context, jid string) (*store.Device, error) {
	if jid == "" {
		return d.devices.NewDevice(), nil
	}
	parsed, err := types.ParseJID(jid)
	if err != nil {
		return nil, nil // no device can be stored under it
	}
	dev, err := d.devices.GetDevice(ctx, parsed)
	if err != nil {
		return nil, fmt.Errorf("read the device: %w", err)
	}
	if dev != nil {
		dev.PreKeys = &preKeys{PreKeyStore: dev.PreKeys, db: d.library, jid: parsed}
	}
	return dev, nil
}

// preKeys makes the keys of a first login before it stores them, all with one statement. The library makes and commits
// each of 812 by itself, and other pairings would wait for the one connection to SQLite meanwhile.
type preKeys struct {
	store.PreKeyStore
	db  *dbutil.Database
	jid types.JID

	mu sync.Mutex // the library takes a lock of its own inside a transaction, and a connection inside that lock
}

// preKeyRow is a new key as it is stored.
type preKeyRow struct{ *keys.PreKey }

// GetMassInsertValues implements dbutil.MassInsertable.
func (r preKeyRow) GetMassInsertValues() [2]any { return [2]any{r.KeyID, r.Priv[:]} }

var preKeyInsert = dbutil.NewMassInsertBuilder[preKeyRow, [2]any](
	"INSERT INTO whatsmeow_pre_keys (jid, uploaded, key_id, key) VALUES ($1, $2, $3, $4)", "($1, $2, $%d, $%d)")

// GetOrGenPreKeys implements store.PreKeyStore.
func (p *preKeys) GetOrGenPreKeys(ctx context.Context, count uint32) (made []*keys.PreKey, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()

	var unsent, last uint32
	err = p.db.QueryRow(ctx, "SELECT COUNT(CASE WHEN NOT uploaded THEN 1 END), COALESCE(MAX(key_id), 0) "+
		"FROM whatsmeow_pre_keys WHERE jid = $1", p.jid).Scan(&unsent, &last)
	if err != nil {
		return nil, fmt.Errorf("count the prekeys: %w", err)
	}
	if unsent == 0 {
		if made, err = p.make(ctx, count, last+1); err == nil {
			return made, nil
		}
	}
	// An earlier login of the device did not end, or another one stores its keys just now: the library reads them and
	// adds what is missing.
	err = p.db.DoTxn(ctx, nil, func(ctx context.Context) error {
		made, err = p.PreKeyStore.GetOrGenPreKeys(ctx, count)
		return err
	})
	return made, err
}

// make makes and stores keys with the ids from first on.
func (p *preKeys) make(ctx context.Context, count, first uint32) ([]*keys.PreKey, error) {
	made, rows := make([]*keys.PreKey, count), make([]preKeyRow, count)
	for i := range made {
		made[i] = keys.NewPreKey(first + uint32(i))
		rows[i] = preKeyRow{made[i]}
	}
	query, values := preKeyInsert.Build([2]any{p.jid, false}, rows)
	_, err := p.db.Exec(ctx, query, values...)
	return made, err
}

// GenOnePreKey implements store.PreKeyStore.
func (p *preKeys) GenOnePreKey(ctx context.Context) (*keys.PreKey, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.PreKeyStore.GenOnePreKey(ctx)
}

// deleteDevice deletes the keys of a device. It is also called before a pairing: the library updates an existing row
// of the same JID without replacing its keys (sqlstore, insertDeviceQuery).
func (d *database) deleteDevice(ctx context.Context, jid string) error {
	dev, err := d.device(ctx, jid)
	if err != nil || dev == nil || dev.ID == nil {
		return err
	}
	if err := dev.Delete(ctx); err != nil {
		return fmt.Errorf("delete the device: %w", err)
	}
	return nil
}
