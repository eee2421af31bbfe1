package whatsappsim

import (
	"context"
	"crypto/cipher"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waWa6"
)

// conn is one connection of a client. Three goroutines use it: the reader, which serves the upgrade request and runs as
// long as the connection; serveConn, the server's side; and Scan.
type conn struct {
	fault Fault
	ctx   context.Context // ends with the connection
	cut   context.CancelFunc

	ws       *websocket.Conn
	in       io.Reader
	dec      cipher.AEAD // the reader's
	received uint32      // the reader's

	wmu  sync.Mutex
	enc  cipher.AEAD
	sent uint32

	noiseKey []byte               // from the handshake
	payload  *waWa6.ClientPayload // from the handshake

	closeRequests chan string         // codes of the <stream:error> with which serveConn closes the connection
	response      chan *waBinary.Node // the client's response to pair-success
	pairID        string              // id of that <iq>; under Server.mu
	device        deviceID            // the device that logged in; under Server.mu
	retiredSecret []byte              // the secret of a refused scan; under Server.mu
	passkey       *passkey            // the pairing that waits for a passkey; under Server.mu
	link          *linkCode           // the pairing code that the client shows; under Server.mu
}

func newConn(ctx context.Context, f Fault) *conn {
	ctx, cut := context.WithCancel(ctx)
	return &conn{fault: f, ctx: ctx, cut: cut,
		closeRequests: make(chan string, 1), response: make(chan *waBinary.Node, 1)}
}

// serveHTTP handles one connection from its upgrade request to its end.
func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/" { // the web page, which names the present version
		fmt.Fprintf(w, `<script>{"client_revision":%d,"x":1}</script>`, s.Revision)
		return
	}
	c := s.addConn(r.Context())
	if c == nil {
		http.Error(w, "the simulator is full or closed", http.StatusServiceUnavailable)
		return
	}
	defer s.removeConn(c)
	defer c.cut()
	switch status := c.fault.HTTPStatus; {
	case status >= 400 && status <= 599:
		http.Error(w, "injected", status)
	case c.fault.HangUpgrade:
		c.hang(w)
	default:
		s.upgrade(c, w, r)
	}
}

// hang keeps the connection open, and silent, until either side drops it.
func (c *conn) hang(w http.ResponseWriter) {
	raw, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer raw.Close()
	stop := context.AfterFunc(c.ctx, func() { raw.Close() })
	defer stop()
	discard(raw)
}

// discard reads until the connection ends.
func discard(r io.Reader) { _, _ = io.Copy(io.Discard, r) }

func (s *Server) upgrade(c *conn, w http.ResponseWriter, r *http.Request) {
	// The clients send web.whatsapp.com as their origin, whatever host they dial.
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer ws.CloseNow()
	ws.SetReadLimit(-1) // frames are bounded; a message is a stream of frames
	c.ws, c.in = ws, &stream{ctx: c.ctx, ws: ws}
	if s.handshake(c) != nil {
		return
	}
	var script sync.WaitGroup
	defer script.Wait()
	defer c.cut()
	script.Go(func() { s.serveConn(c) })
	for {
		n, err := c.receive()
		if err != nil {
			return
		}
		s.trace("<-", n)
		s.handle(c, n)
	}
}

// write sends one frame as one message.
func (c *conn) write(body []byte) error {
	ctx, cancel := context.WithTimeout(c.ctx, writeTimeout)
	defer cancel()
	return c.ws.Write(ctx, websocket.MessageBinary, frame(body))
}

// send encrypts a node and sends it.
func (s *Server) send(c *conn, n waBinary.Node) error {
	s.trace("->", &n)
	plain, err := waBinary.Marshal(n)
	if err != nil {
		return err
	}
	c.wmu.Lock()
	defer c.wmu.Unlock()
	body := c.enc.Seal(nil, nonce(c.sent), plain, nil)
	c.sent++
	return c.write(body)
}

func (c *conn) receive() (*waBinary.Node, error) {
	body, err := readFrame(c.in)
	if err != nil {
		return nil, err
	}
	plain, err := c.dec.Open(nil, nonce(c.received), body, nil)
	if err != nil {
		return nil, err
	}
	c.received++
	return decode(plain)
}

// wait waits for d and reports whether the connection is still open.
func (c *conn) wait(d time.Duration) bool {
	if d <= 0 {
		return c.ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.ctx.Done():
		return false
	}
}

// requestClose makes serveConn close the connection with a <stream:error>. The first request counts.
func (c *conn) requestClose(code string) {
	select {
	case c.closeRequests <- code:
	default:
	}
}
