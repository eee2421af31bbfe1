package embedded

import (
	"context"
	"net/http"
	"time"

	"github.com/coder/websocket"
	"go.mau.fi/whatsmeow/socket"

	"qrgate/internal/diagnosis"
)

// reachTime bounds Reachable.
const reachTime = 5 * time.Second

// ReachabilityError is the error of Reachable when something lies between here and WhatsApp.
type ReachabilityError struct {
	Code diagnosis.Code // what it is
	Text string         // one sentence of what was seen
}

// Error is a sentence that says what was seen and what to do.
func (o *ReachabilityError) Error() string { return o.Text + " " + diagnosis.New(o.Code).Help }

// Reachable asks once whether WhatsApp can be reached from here with c (nil as in Config): DNS, TCP, TLS and
// the websocket's upgrade, within 5 s. It never says more than it saw: its error is an [*Obstacle], or says
// that c cannot be used at all.
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
		why = newReason(diagnosis.NetworkBlocked, "No answer from web.whatsapp.com within 5 seconds.")
	default:
		why = dialCause(err)
	}
	return &ReachabilityError{why.Code, why.Text}
}
