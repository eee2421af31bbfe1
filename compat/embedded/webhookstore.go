package embedded

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"

	"qrgate/internal/secret"
	"qrgate/internal/webhook"
)

// The tables of webhooks, and of events that are not delivered yet. Their secrets and codes are as confidential as the
// device keys beside them.
const webhookSchema = `CREATE TABLE IF NOT EXISTS qrgate_webhook (session BIGINT PRIMARY KEY, url TEXT NOT NULL,
	secret TEXT NOT NULL, events TEXT NOT NULL)`

const eventColumns = `session BIGINT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL,
	created BIGINT NOT NULL)`

// eventSchemas has the dialect's statement. Ids give the order.
var eventSchemas = map[string]string{
	"sqlite3": "CREATE TABLE IF NOT EXISTS qrgate_event (id INTEGER PRIMARY KEY AUTOINCREMENT, " + eventColumns,
	"postgres": "CREATE TABLE IF NOT EXISTS qrgate_event " +
		"(id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, " + eventColumns,
}

// executor is a database or a transaction.
type executor interface {
	ExecContext(ctx context.Context, statement string, args ...any) (sql.Result, error)
}

// setWebhook stores the webhook of a session; nil removes it.
func setWebhook(ctx context.Context, db executor, id int64, w *webhook.Target) error {
	statement, args := "DELETE FROM qrgate_webhook WHERE session = $1", []any{id}
	if w != nil {
		statement = "INSERT INTO qrgate_webhook (session, url, secret, events) VALUES ($1, $2, $3, $4) " +
			"ON CONFLICT (session) DO UPDATE SET url = excluded.url, secret = excluded.secret, events = excluded.events"
		args = append(args, w.URL, w.Secret.Reveal(), strings.Join(w.Kinds, ","))
	}
	if _, err := db.ExecContext(ctx, statement, args...); err != nil {
		return fmt.Errorf("store the webhook: %w", err)
	}
	return nil
}

// webhooks returns every webhook by its session.
func (d *database) webhooks(ctx context.Context) (map[int64]*webhook.Target, error) {
	rows, err := d.sql.QueryContext(ctx, "SELECT session, url, secret, events FROM qrgate_webhook")
	if err != nil {
		return nil, fmt.Errorf("read the webhooks: %w", err)
	}
	defer rows.Close()
	out := map[int64]*webhook.Target{}
	for rows.Next() {
		var id int64
		var url, key, kinds string
		if err := rows.Scan(&id, &url, &key, &kinds); err != nil {
			return nil, fmt.Errorf("read a webhook: %w", err)
		}
		out[id] = &webhook.Target{URL: url, Secret: secret.NewSecret(key), Kinds: strings.Split(kinds, ",")}
	}
	return out, rows.Err()
}

// eventQueue is the queue of events in the database.
type eventQueue struct{ *database }

// Add implements [webhook.Queue].
func (q eventQueue) Add(ctx context.Context, e *webhook.Event) error {
	var id int64
	err := q.sql.QueryRowContext(ctx, "INSERT INTO qrgate_event (session, kind, name, body, created) "+
		"VALUES ($1, $2, $3, $4, $5) RETURNING id", e.Order, e.Kind, e.Session, string(e.Body), e.At.UnixMilli()).Scan(&id)
	e.ID = strconv.FormatInt(id, 10)
	return err
}

// Remove implements [webhook.Queue].
func (q eventQueue) Remove(ctx context.Context, e webhook.Event) error {
	_, err := q.sql.ExecContext(ctx, "DELETE FROM qrgate_event WHERE id = $1", e.ID)
	return err
}

// All implements [webhook.Queue].
func (q eventQueue) All(ctx context.Context) ([]webhook.Event, error) {
	rows, err := q.sql.QueryContext(ctx, "SELECT id, session, kind, name, body, created FROM qrgate_event ORDER BY id")
	if err != nil {
		return nil, fmt.Errorf("read the events: %w", err)
	}
	defer rows.Close()
	var out []webhook.Event
	for rows.Next() {
		var e webhook.Event
		var id, order, created int64
		var body string
		if err := rows.Scan(&id, &order, &e.Kind, &e.Session, &body, &created); err != nil {
			return nil, fmt.Errorf("read an event: %w", err)
		}
		e.ID, e.Order, e.Body, e.At = strconv.FormatInt(id, 10), orderOf(order), []byte(body), time.UnixMilli(created)
		out = append(out, e)
	}
	return out, rows.Err()
}
