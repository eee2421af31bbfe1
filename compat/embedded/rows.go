package embedded

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
)

// The table of sessions. Ids are never used twice: a client may hold on to one long after its session is
// gone. Times are milliseconds since 1970, which both databases read alike.
const (
	sqliteSchema   = "CREATE TABLE IF NOT EXISTS qrgate_session (id INTEGER PRIMARY KEY AUTOINCREMENT, " + columns
	postgresSchema = "CREATE TABLE IF NOT EXISTS qrgate_session (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, " + columns
	columns        = `account TEXT NOT NULL, session_id TEXT NOT NULL, name TEXT NOT NULL, jid TEXT,
		paused BOOLEAN NOT NULL DEFAULT FALSE, created BIGINT NOT NULL, updated BIGINT NOT NULL,
		UNIQUE (account, session_id))`
)

// row is one session as it is stored.
type row struct {
	id               int64
	account          string
	sessionID, name  string
	jid              string // empty: not linked
	paused           bool
	created, updated time.Time
}

// sessions returns all sessions of all accounts.
func (d *database) sessions(ctx context.Context) ([]row, error) {
	rows, err := d.sql.QueryContext(ctx,
		"SELECT id, account, session_id, name, COALESCE(jid, ''), paused, created, updated FROM qrgate_session ORDER BY id")
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

// insert stores a new session and returns it with its id.
func (d *database) insert(ctx context.Context, r row) (row, error) {
	err := d.sql.QueryRowContext(ctx,
		"INSERT INTO qrgate_session (account, session_id, name, paused, created, updated) VALUES ($1, $2, $3, $4, $5, $5) RETURNING id",
		r.account, r.sessionID, r.name, r.paused, r.created.UnixMilli()).Scan(&r.id)
	if err != nil {
		return r, fmt.Errorf("store the session: %w", err)
	}
	return r, nil
}

// update stores what may change of a session.
func (d *database) update(ctx context.Context, id int64, s saved, now time.Time) error {
	jid := sql.NullString{String: s.jid, Valid: s.jid != ""}
	_, err := d.sql.ExecContext(ctx, "UPDATE qrgate_session SET jid = $1, paused = $2, updated = $3 WHERE id = $4",
		jid, s.paused, now.UnixMilli(), id)
	if err != nil {
		return fmt.Errorf("store the session: %w", err)
	}
	return nil
}

// remove deletes a session and its device.
func (d *database) remove(ctx context.Context, id int64, jid string) error {
	if err := d.forget(ctx, jid); err != nil {
		return err
	}
	if _, err := d.sql.ExecContext(ctx, "DELETE FROM qrgate_session WHERE id = $1", id); err != nil {
		return fmt.Errorf("delete the session: %w", err)
	}
	return nil
}

// device returns the keys of a linked device, nil if they are gone; for an empty jid a new set that is
// stored by the library once a phone has accepted it.
func (d *database) device(ctx context.Context, jid string) (*store.Device, error) {
	if jid == "" {
		return d.devices.NewDevice(), nil
	}
	parsed, err := types.ParseJID(jid)
	if err != nil {
		return nil, nil // nothing can have been stored under it
	}
	dev, err := d.devices.GetDevice(ctx, parsed)
	if err != nil {
		return nil, fmt.Errorf("read the device: %w", err)
	}
	return dev, nil
}

// forget deletes the keys of a device. The library updates a row that it finds under the same name instead
// of replacing its keys (sqlstore, insertDeviceQuery), so this comes before a pairing, too.
func (d *database) forget(ctx context.Context, jid string) error {
	dev, err := d.device(ctx, jid)
	if err != nil || dev == nil || dev.ID == nil {
		return err
	}
	if err := dev.Delete(ctx); err != nil {
		return fmt.Errorf("delete the device: %w", err)
	}
	return nil
}
