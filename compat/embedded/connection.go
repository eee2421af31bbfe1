package embedded

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.mau.fi/whatsmeow"

	"qrgate/compat"
	"qrgate/internal/redact"
)

const (
	responseTimeout = 14 * time.Second // from the dial to the response to the upgrade; ends before dialTimeout
	drainTimeout    = 5 * time.Second  // for all connections to close when the engine closes
	logoutTimeout   = 5 * time.Second  // for WhatsApp to remove a device from the phone's list

	closeTimeout      = 2 * time.Second // for the library to notice that its socket is closed
	closePollInterval = 5 * time.Millisecond
)

// connection is one socket to WhatsApp with its own client. Neither is reused, so that a late event of one client
// cannot be taken for an event of the next.
type connection struct {
	session *engineSession
	jid     string // the device that logs in; "" for a new one that requests codes
	places  []*places
	ticket  int64 // in the first of places
	ctx     context.Context
	close   context.CancelFunc
	done    chan struct{}                    // closed when the socket is closed
	client  atomic.Pointer[whatsmeow.Client] // nil until it dials
	release func()                           // gives the places back; safe to call twice
}

// openConnection opens a connection in the background. A login needs much more work than a dial for codes: the first
// one of a device makes 812 keys. So logins have places of their own, which they keep until they are done, and those
// for which no client waits take only a part of them.
func (e *Engine) openConnection(s *engineSession, link linkState) *connection {
	c := &connection{session: s, jid: link.JID, done: make(chan struct{}), release: func() {}}
	switch {
	case link.JID == "":
		c.places = []*places{e.dials}
	case link.IsBackground:
		c.places = []*places{e.reconnects, e.logins}
	default:
		c.places = []*places{e.logins}
	}
	c.ticket = c.places[0].enqueue()
	c.ctx, c.close = context.WithCancel(context.Background())
	e.connections.Add(1)
	go c.run()
	return c
}

func (c *connection) report(e event) bool {
	if _, done := e.(loggedIn); done {
		c.release()
	}
	return c.session.apply(c, e)
}

// run opens the socket, which is closed after close. No goroutine waits for that.
func (c *connection) run() {
	closeSocket, isOpen := c.open()
	end := func() {
		if isOpen {
			closeSocket()
		}
		c.release()
		c.close()
		close(c.done)
		c.session.engine.connections.Done()
	}
	if isOpen {
		context.AfterFunc(c.ctx, end)
		return
	}
	end()
}

// open waits for its places and dials.
func (c *connection) open() (closeSocket func(), isOpen bool) {
	if !c.acquirePlaces() {
		return nil, false
	}
	c.report(dialStarted{})
	closeSocket, failure := c.dial()
	if failure != nil {
		c.release()
		c.report(failure)
		return nil, false
	}
	if c.jid == "" {
		c.release()
	}
	c.report(handshakeDone{})
	return closeSocket, true
}

// acquirePlaces returns false if the connection is closed before it has a place.
func (c *connection) acquirePlaces() bool {
	for i, p := range c.places {
		if i > 0 {
			p.enqueue()
		}
		if !p.acquire(c.ctx) {
			c.release()
			return false
		}
		before := c.release
		c.release = sync.OnceFunc(func() { p.release(); before() })
	}
	return true
}

// places limits how many connections do the same work at the same time. Waiting ones get theirs in order.
type places struct {
	taken            chan struct{}
	enqueued, served atomic.Int64
}

func newPlaces(n int) *places { return &places{taken: make(chan struct{}, n)} }

// enqueue returns a ticket. Each call must be followed by one of acquire.
func (p *places) enqueue() (ticket int64) { return p.enqueued.Add(1) }

// acquire returns false if ctx ends first.
func (p *places) acquire(ctx context.Context) bool {
	defer p.served.Add(1)
	select {
	case p.taken <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (p *places) release() { <-p.taken }

// position is the place of a ticket among those that wait, 1 is next.
func (p *places) position(ticket int64) int { return int(max(ticket-p.served.Load(), 1)) }

// dial connects a new client. It returns the function that closes the socket, or the event that reports the failure.
func (c *connection) dial() (closeSocket func(), failure event) {
	cli, failure := c.newClient()
	if failure != nil {
		return nil, failure
	}
	c.client.Store(cli)
	closeSocket, why, err := connectClient(c.ctx, cli, c.session.engine.http)
	if err != nil {
		c.session.log().Debug("dial failed", "error", redact.Foreign(err.Error()))
		return nil, dialFailed(why)
	}
	return closeSocket, nil
}

// connectClient connects a client that dials with h, and returns the function that closes its socket, or the reason
// and the error. The library keeps the context for the life of the connection, so a timeout cannot be part of it; the
// context is canceled if ctx ends or responseTimeout passes before the server responds to the upgrade.
//
// After that, closing means closing the net.Conn below the library, which the library handles at any time. Its own
// Disconnect can call a nil function if the server closes the connection at the same moment (noisesocket.go:83
// against framesocket.go:90), and both Disconnect and a canceled context leave its reader blocked, with the socket
// open, if a frame arrives at that moment (framesocket.go:163). Between the upgrade and the end of the handshake it
// handles neither, so close waits for the end of the handshake, 20 s at most.
func connectClient(
	ctx context.Context, cli *whatsmeow.Client, h *http.Client,
) (closeSocket func(), why reason, err error) {
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	life, trace := compat.TraceDial(life, h)
	release := context.AfterFunc(ctx, func() { trace.IfPending(cancel) })
	defer release()
	timeout := time.AfterFunc(responseTimeout, func() { trace.IfPending(cancel) })
	defer timeout.Stop()
	if err := cli.ConnectContext(life); err != nil {
		cancel()
		return nil, dialReason(trace, err), err
	}
	return func() {
		trace.CloseConn()
		waitClosed(cli)
		cancel()
	}, reason{}, nil
}

// waitClosed waits until the library has noticed that its socket is closed, at most closeTimeout.
func waitClosed(cli *whatsmeow.Client) {
	poll := time.NewTicker(closePollInterval)
	defer poll.Stop()
	for range closeTimeout / closePollInterval {
		if !cli.IsConnected() {
			return
		}
		<-poll.C
	}
	cli.Disconnect()
}
