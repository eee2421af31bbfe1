package dialect

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/errgroup"

	"qrgate/compat"
	"qrgate/internal/session"
)

// Push is a websocket on which an engine reports the changes of its sessions to any client that connects.
type Push struct {
	Path string
	// Query subscribes. It also presents the credential, where the engine reads it nowhere else on this route.
	Query func(c Credential) url.Values
	// Session names the session that a message is about; "" for a message about none.
	Session func(message compat.Object) string
}

const (
	pushDialTimeout  = 10 * time.Second
	pushPingInterval = 15 * time.Second
	pushPingTimeout  = 5 * time.Second
)

// errPush is why a connection could not be opened. The library's own error contains the URL, and so the key.
var errPush = errors.New("the engine's websocket cannot be opened")

// Subscribe follows the changes that the engine reports of the caller's sessions, until the connection ends. It calls
// isUp once the engine responds on it, and changed with the documented name of each session that a message is about.
func (t *Transport) Subscribe(
	ctx context.Context, c session.Caller, isUp func(), changed func(name string),
) error {
	conn, err := t.dialPush(ctx, Credential{Key: c.Key.Reveal(), Authorization: c.Bearer.Reveal()})
	if err != nil {
		return err
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(maxBody)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		for {
			_, raw, err := conn.Read(ctx)
			if err != nil {
				return err
			}
			message, _ := compat.Parse(raw) // a text that is no JSON is about no session
			if name := t.dialect.Push.Session(message); name != "" {
				changed(EncodeName(name))
			}
		}
	})
	group.Go(func() error { return keepAlive(ctx, conn, isUp) })
	return group.Wait()
}

// dialPush connects. A redirect would carry the key to another host, and is not followed.
func (t *Transport) dialPush(ctx context.Context, c Credential) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, pushDialTimeout)
	defer cancel()
	target := t.engine.JoinPath(t.dialect.Push.Path)
	target.RawQuery = t.dialect.Push.Query(c).Encode()
	header := http.Request{Header: http.Header{"User-Agent": {"qrgate"}}}
	t.dialect.Authorize(&header, c, List)
	conn, res, err := websocket.Dial(ctx, target.String(), &websocket.DialOptions{
		HTTPHeader: header.Header,
		HTTPClient: &http.Client{
			Transport:     t.next,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	})
	if err != nil {
		if res != nil && res.Body != nil {
			_ = res.Body.Close()
		}
		return nil, errPush
	}
	return conn, nil
}

// keepAlive pings until the connection ends: a peer that is gone sends nothing. An engine refuses a key only after it
// has accepted the connection, so that the first response to a ping is the first sign that it will report.
func keepAlive(ctx context.Context, conn *websocket.Conn, isUp func()) error {
	ticker := time.NewTicker(pushPingInterval)
	defer ticker.Stop()
	for {
		pingCtx, cancel := context.WithTimeout(ctx, pushPingTimeout)
		err := conn.Ping(pingCtx)
		cancel()
		if err != nil {
			return err
		}
		isUp()
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
