package embedded

import (
	"context"
	"sync/atomic"
	"time"

	"go.mau.fi/whatsmeow"
)

// connection is one socket to WhatsApp with a client of its own, which is never used again: what a client reports
// late cannot be mistaken for news of the next one.
type connection struct {
	session *engineSession
	jid     string // of the device that logs in; empty for one that wants codes
	ctx     context.Context
	hangUp  context.CancelFunc
	done    chan struct{}                    // closed when the socket is closed
	client  atomic.Pointer[whatsmeow.Client] // nil until it dials
}

// begin opens a line in the background.
func (e *Engine) begin(s *engineSession, jid string) *connection {
	l := &connection{session: s, jid: jid, done: make(chan struct{})}
	l.ctx, l.hangUp = context.WithCancel(context.Background())
	e.lines.Go(l.run)
	return l
}

// report tells the session.
func (l *connection) report(e event) bool { return l.session.apply(l, e) }

// run waits for its turn, dials, and closes the socket when it is hung up.
func (l *connection) run() {
	defer close(l.done)
	defer l.hangUp()
	if !l.acquireDialSlot() {
		return
	}
	closing, err := l.dial()
	<-l.session.engine.dialSlots
	if err != nil {
		l.failed(err)
		return
	}
	l.report(handshakeDone{})
	<-l.ctx.Done()
	closing()
}

// acquireDialSlot takes one of the engine's places for dialing, or reports false when it is hung up before.
func (l *connection) acquireDialSlot() bool {
	select {
	case l.session.engine.dialSlots <- struct{}{}:
	case <-l.ctx.Done():
		return false
	}
	l.report(dialStarted{})
	return true
}

// failed says why there is no socket, unless nobody wants it any more.
func (l *connection) failed(err error) {
	if l.ctx.Err() != nil {
		return
	}
	l.session.log().Debug("a connection failed", "error", scrub(err.Error()))
	if ended, ok := err.(rejectedError); ok {
		l.report(rejected(ended))
		return
	}
	l.report(dialFailed(err))
}

// rejectedError is a dial that never began.
type rejectedError rejected

// Error implements error.
func (e rejectedError) Error() string { return e.why.Text }

// dial connects; closing closes the socket. The context that the library gets is the life of the connection,
// not a limit for the dial, so it ends with a line that is hung up before the server has answered the upgrade.
//
// After that a line is closed by cutting the connection under the library, which it bears in every moment. Its
// own Disconnect does not bear a server that hangs up just then (noisesocket.go:83 against framesocket.go:90, a
// race that can end in a nil call), and both that and the end of the context strand its reader for ever, with
// the socket open, if a frame comes just then (framesocket.go:163). Between the upgrade and the end of the
// handshake it bears nothing at all, so the line waits for that, 20 s at most.
func (l *connection) dial() (closing func(), err error) {
	life, end := context.WithCancel(context.WithoutCancel(l.ctx))
	var step dialTrace
	release := context.AfterFunc(l.ctx, func() { step.cancelIfPending(end) })
	defer release()
	cli, err := l.newClient(life)
	if err != nil {
		end()
		return nil, err
	}
	l.client.Store(cli)
	if err := cli.ConnectContext(step.watch(life)); err != nil {
		end()
		return nil, err
	}
	return func() {
		step.cut()
		waitClosed(cli)
		end()
	}, nil
}

// waitClosed waits until the library has noticed that its socket is closed, and closes it if it does not.
func waitClosed(cli *whatsmeow.Client) {
	look := time.NewTicker(closeLook)
	defer look.Stop()
	for range closeTime / closeLook {
		if !cli.IsConnected() {
			return
		}
		<-look.C
	}
	cli.Disconnect()
}
