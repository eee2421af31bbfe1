package embedded

import (
	"context"
	"fmt"
	"strings"
	"time"

	"qrgate/internal/secret"
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

// setWebhook stores the webhook of a session; nil removes it.
func (d *database) setWebhook(ctx context.Context, id int64, w *webhook) error {
	statement, args := "DELETE FROM qrgate_webhook WHERE session = $1", []any{id}
	if w != nil {
		statement = "INSERT INTO qrgate_webhook (session, url, secret, events) VALUES ($1, $2, $3, $4) " +
			"ON CONFLICT (session) DO UPDATE SET url = excluded.url, secret = excluded.secret, events = excluded.events"
		args = append(args, w.url, w.secret.Reveal(), strings.Join(w.events, ","))
	}
	if _, err := d.sql.ExecContext(ctx, statement, args...); err != nil {
		return fmt.Errorf("store the webhook: %w", err)
	}
	return nil
}

// webhooks returns every webhook by its session.
func (d *database) webhooks(ctx context.Context) (map[int64]*webhook, error) {
	rows, err := d.sql.QueryContext(ctx, "SELECT session, url, secret, events FROM qrgate_webhook")
	if err != nil {
		return nil, fmt.Errorf("read the webhooks: %w", err)
	}
	defer rows.Close()
	out := map[int64]*webhook{}
	for rows.Next() {
		var id int64
		var url, key, events string
		if err := rows.Scan(&id, &url, &key, &events); err != nil {
			return nil, fmt.Errorf("read a webhook: %w", err)
		}
		out[id] = &webhook{url: url, secret: secret.NewSecret(key), events: strings.Split(events, ",")}
	}
	return out, rows.Err()
}

func (d *database) insertDelivery(ctx context.Context, e delivery) (id int64, err error) {
	err = d.sql.QueryRowContext(ctx, "INSERT INTO qrgate_event (session, kind, name, body, created) "+
		"VALUES ($1, $2, $3, $4, $5) RETURNING id", e.session, e.kind, e.name, string(e.body), e.at.UnixMilli()).Scan(&id)
	return id, err
}

// deliveries returns the events that are not delivered yet, in order.
func (d *database) deliveries(ctx context.Context) ([]delivery, error) {
	rows, err := d.sql.QueryContext(ctx, "SELECT id, session, kind, name, body, created FROM qrgate_event ORDER BY id")
	if err != nil {
		return nil, fmt.Errorf("read the events: %w", err)
	}
	defer rows.Close()
	var out []delivery
	for rows.Next() {
		var e delivery
		var body string
		var created int64
		if err := rows.Scan(&e.id, &e.session, &e.kind, &e.name, &body, &created); err != nil {
			return nil, fmt.Errorf("read an event: %w", err)
		}
		e.body, e.at = []byte(body), time.UnixMilli(created)
		out = append(out, e)
	}
	return out, rows.Err()
}

func (d *database) deleteDelivery(ctx context.Context, id int64) error {
	_, err := d.sql.ExecContext(ctx, "DELETE FROM qrgate_event WHERE id = $1", id)
	return err
}
