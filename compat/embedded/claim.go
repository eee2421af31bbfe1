package embedded

import (
	"context"
	"database/sql"
	"errors"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// lockFile is what an engine holds while it lives, so that a second one does not begin beside it: the second to
// connect a linked phone takes it away from the first.
const lockFile = "qrgate.lock"

// advisoryKey names the same in Postgres, within one database. Any number would do that nobody else has.
const advisoryKey = 0x7172_6761_7465 // "qrgate"

// lockedError is that somebody else has the sessions, as a sentence for whoever starts the process.
type lockedError string

// Error is the sentence.
func (t lockedError) Error() string { return string(t) }

// lock makes these sessions this engine's alone until the returned function is called, or the process ends, however
// it ends. The error is taken, or what a driver says.
func lock(ctx context.Context, d *database, c Config) (release func() error, err error) {
	if !c.DatabaseURL.Empty() {
		return claimDatabase(ctx, d.sql)
	}
	return claimDirectory(c.DataDir)
}

// claimDirectory takes a lock of the file system, by way of SQLite, which knows how each system does that.
func claimDirectory(dir string) (release func() error, err error) {
	at, err := privateFile(dir, lockFile)
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", at+"?_txlock=exclusive")
	if err != nil {
		return nil, err
	}
	tx, err := db.BeginTx(context.Background(), nil) // it lasts as long as the engine, longer than any context here
	if busy, ok := errors.AsType[*sqlite.Error](err); ok && busy.Code() == sqlite3.SQLITE_BUSY {
		_ = db.Close()
		return nil, lockedError("the data directory " + dir + " is in use by another gate, whose linked phones this one would take away. " +
			"Stop that one first, or set another QRGATE_DATA_DIR")
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return func() error { return errors.Join(tx.Rollback(), db.Close()) }, nil
}

// claimDatabase takes a lock of Postgres, which lasts as long as one connection.
func claimDatabase(ctx context.Context, db *sql.DB) (release func() error, err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	var mine bool
	if err := conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock($1)", int64(advisoryKey)).Scan(&mine); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if !mine {
		_ = conn.Close()
		return nil, lockedError("the database of QRGATE_DATABASE_URL is in use by another gate, whose linked phones this one would take away. " +
			"Stop that one first. If there is none, a connection pooler keeps its lock: connect to Postgres itself")
	}
	return conn.Close, nil // to the pool, whose end is the session's and the lock's
}
