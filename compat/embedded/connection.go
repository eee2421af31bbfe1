package embedded

import (
	"context"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"

	"go.mau.fi/whatsmeow"

	"qrgate/internal/redact"
)

const (
	netTimeout    = 7 * time.Second // for DNS and TCP, and for TLS; both together end before dialTimeout
	drainTimeout  = 5 * time.Second // for all connections to close when the engine closes
	logoutTimeout = 5 * time.Second // for WhatsApp to remove a device from the phone's list

	closeTimeout      = 2 * time.Second // for the library to notice that its socket is closed
	closePollInterval = 5 * time.Millisecond
)

// connection is one socket to WhatsApp with its own client. Neither is reused, so that a late event of one client
// cannot be taken for an event of the next.
type connection struct {
	session *engineSession
	jid     string // the device that logs in; "" for a new one that requests codes
	ctx     context.Context
	close   context.CancelFunc
	done    chan struct{}                    // closed when the socket is closed
	client  atomic.Pointer[whatsmeow.Client] // nil until it dials
}

// openConnection opens a connection in the background.
func (e *Engine) openConnection(s *engineSession, jid string) *connection {
	c := &connection{session: s, jid: jid, done: make(chan struct{})}
	c.ctx, c.close = context.WithCancel(context.Background())
	e.connections.Go(c.run)
	return c
}

func (c *connection) report(e event) bool { return c.session.apply(c, e) }

// run waits for a dial slot, dials, and closes the socket after close.
func (c *connection) run() {
	defer close(c.done)
	defer c.close()
	slots := c.session.engine.dialSlots
	select {
	case slots <- struct{}{}:
	case <-c.ctx.Done():
		return
	}
	c.report(dialStarted{})
	closeSocket, failure := c.dial()
	<-slots
	if failure != nil {
		c.report(failure)
		return
	}
	c.report(handshakeDone{})
	<-c.ctx.Done()
	closeSocket()
}

// dial connects a new client. It returns the function that closes the socket, or the event that reports the failure.
func (c *connection) dial() (closeSocket func(), failure event) {
	cli, failure := c.newClient()
	if failure != nil {
		return nil, failure
	}
	c.client.Store(cli)
	closeSocket, err := connectClient(c.ctx, cli)
	if err != nil {
		c.session.log().Debug("dial failed", "error", redact.Foreign(err.Error()))
		return nil, dialFailed(err)
	}
	return closeSocket, nil
}

// connectClient connects a client and returns the function that closes its socket. The library keeps the context for
// the life of the connection, so a timeout cannot be part of it; the context is canceled if ctx ends before the server
// responds to the upgrade.
//
// After that, closing means closing the net.Conn below the library, which the library handles at any time. Its own
// Disconnect can call a nil function if the server closes the connection at the same moment (noisesocket.go:83
// against framesocket.go:90), and both Disconnect and a canceled context leave its reader blocked, with the socket
// open, if a frame arrives at that moment (framesocket.go:163). Between the upgrade and the end of the handshake it
// handles neither, so close waits for the end of the handshake, 20 s at most.
func connectClient(ctx context.Context, cli *whatsmeow.Client) (closeSocket func(), err error) {
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var trace dialTrace
	release := context.AfterFunc(ctx, func() { trace.cancelIfPending(cancel) })
	defer release()
	if err := cli.ConnectContext(trace.attach(life)); err != nil {
		cancel()
		return nil, err
	}
	return func() {
		trace.closeConn()
		waitClosed(cli)
		cancel()
	}, nil
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

// dialTrace records the progress of a dial and its net.Conn.
type dialTrace struct {
	mu        sync.Mutex
	responded bool
	conn      net.Conn
}

func (t *dialTrace) attach(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.conn = info.Conn
		},
		GotFirstResponseByte: func() {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.responded = true
		},
	})
}

// cancelIfPending calls cancel if the server has not responded yet.
func (t *dialTrace) cancelIfPending(cancel func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.responded {
		cancel()
	}
}

// closeConn closes the net.Conn below the library.
func (t *dialTrace) closeConn() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn != nil {
		_ = t.conn.Close()
	}
}

// dialClient returns c or, if c is nil, a client for the real WhatsApp through the environment's proxy. Without a
// ResponseHeaderTimeout the library blocks for ever on a server that never responds to the upgrade, so a clone of
// the transport gets one.
func dialClient(c *http.Client) *http.Client {
	if c == nil {
		return &http.Client{Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: netTimeout, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout:   netTimeout,
			ResponseHeaderTimeout: dialTimeout,
			DisableKeepAlives:     true, // a connection is of no use after a refused upgrade
		}}
	}
	out := *c
	if t, ok := c.Transport.(*http.Transport); ok && t.ResponseHeaderTimeout == 0 {
		t = t.Clone()
		t.ResponseHeaderTimeout = dialTimeout
		out.Transport = t
	}
	return &out
}
