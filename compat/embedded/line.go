package embedded

import (
	"context"
	"sync/atomic"

	"go.mau.fi/whatsmeow"

	"qrgate"
)

// line is one socket to WhatsApp with a client of its own, which is never used again: what a client reports
// late cannot be mistaken for news of the next one.
type line struct {
	session *session
	jid     string // of the device that logs in; empty for one that wants codes
	ctx     context.Context
	hangUp  context.CancelFunc
	done    chan struct{}                    // closed when the socket is closed
	client  atomic.Pointer[whatsmeow.Client] // nil until it dials
}

// begin opens a line in the background.
func (e *Engine) begin(s *session, jid string) *line {
	l := &line{session: s, jid: jid, done: make(chan struct{})}
	l.ctx, l.hangUp = context.WithCancel(context.Background())
	e.lines.Go(l.run)
	return l
}

// report tells the session.
func (l *line) report(e event) bool { return l.session.apply(l, e) }

// run waits for its turn, dials, and closes the socket when it is hung up.
func (l *line) run() {
	defer close(l.done)
	defer l.hangUp()
	if !l.turn() {
		return
	}
	cli, err := l.dial()
	<-l.session.engine.turns
	if err != nil {
		l.failed(err)
		return
	}
	l.report(opened{})
	<-l.ctx.Done()
	cli.Disconnect()
}

// turn takes one of the engine's places for dialing, or reports false when it is hung up before.
func (l *line) turn() bool {
	select {
	case l.session.engine.turns <- struct{}{}:
	case <-l.ctx.Done():
		return false
	}
	l.report(admitted{})
	return true
}

// failed says why there is no socket, unless nobody wants it any more.
func (l *line) failed(err error) {
	if l.ctx.Err() != nil {
		return
	}
	l.session.engine.log.Debug("a connection failed", "session", l.session.row.id, "error", scrub(err.Error()))
	if ended, ok := err.(endedError); ok {
		l.report(refused(ended))
		return
	}
	l.report(undialed(err))
}

// endedError is a dial that never began.
type endedError refused

// Error implements error.
func (e endedError) Error() string { return e.why.Text }

// dial connects. The context that the library gets is the life of the connection, not a limit for the dial:
// it is cancelled when the line is hung up while dialing, and only after Disconnect otherwise, because the
// library does not bear both at once (wasim 5, its own data race).
func (l *line) dial() (*whatsmeow.Client, error) {
	life, end := context.WithCancel(context.WithoutCancel(l.ctx))
	release := context.AfterFunc(l.ctx, end)
	cli, err := l.newClient(life)
	if err == nil {
		l.client.Store(cli)
		err = cli.ConnectContext(life)
	}
	if !release() || err != nil {
		end()
		if err == nil {
			cli.Disconnect()
		}
		return nil, errOr(err, context.Canceled)
	}
	return cli, nil
}

func errOr(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// newClient makes a client for the device of this line.
func (l *line) newClient(ctx context.Context) (*whatsmeow.Client, error) {
	e := l.session.engine
	dev, err := e.db.device(ctx, l.jid)
	if err != nil {
		return nil, endedError{why: because(qrgate.Internal, "The keys of the device could not be read."), mild: true}
	}
	if dev == nil {
		return nil, endedError{why: because(qrgate.LoggedOut, "The keys of the linked device are gone."), unlinked: true}
	}
	cli := whatsmeow.NewClient(dev, e.library)
	cli.SetPreLoginHTTPClient(e.http)
	cli.SetWebsocketHTTPClient(e.http)
	cli.SetMediaHTTPClient(e.http)
	cli.EnableAutoReconnect = false      // see the package's comment
	cli.DisableLoginAutoReconnect = true // likewise
	cli.ManualHistorySyncDownload = true // nobody here reads the history
	cli.GetClientPayload = payload(dev)
	cli.AddEventHandler(func(raw any) {
		if h := heard(raw); h != nil {
			l.report(h)
		}
	})
	cli.PrePairCallback = l.scanned
	return cli, nil
}
