package embedded

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/coder/websocket"
	"go.mau.fi/whatsmeow/socket"

	"qrgate"
)

// reachTime bounds Reachable.
const reachTime = 5 * time.Second

// Reachable asks once whether WhatsApp can be reached from here with c (nil as in Config): DNS, TCP, TLS and
// the websocket's upgrade, within 5 s. Its error is a sentence that names the step that failed and what to
// do; it never says more than it saw.
func Reachable(ctx context.Context, c *http.Client) error {
	dialer, err := whatsapp(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, reachTime)
	defer cancel()
	conn, res, err := websocket.Dial(ctx, socket.URL, &websocket.DialOptions{
		HTTPClient: dialer, HTTPHeader: http.Header{"Origin": {socket.Origin}},
	})
	if err == nil {
		return conn.CloseNow()
	}
	var why reason
	switch {
	case res != nil:
		why = statusCause(res.StatusCode)
	case ctx.Err() != nil:
		why = because(qrgate.NetworkBlocked, "No answer from web.whatsapp.com within 5 seconds.")
	default:
		why = dialCause(err)
	}
	return fmt.Errorf("%s %s", why.Text, qrgate.About(why.Code).Help)
}
