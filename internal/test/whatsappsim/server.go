package whatsappsim

import (
	"context"
	"crypto/ecdh"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	waBinary "go.mau.fi/whatsmeow/binary"
)

const (
	maxConns   = 4096             // open connections, refused with 503 beyond
	headerTime = 10 * time.Second // for a client to say what it wants
	writeTime  = 10 * time.Second // for a client to take one frame
)

// Server is a simulated WhatsApp Web server. The zero value is ready to Serve and healthy. The exported fields
// are set before Serve and not after; what changes while it runs has methods, all safe for concurrent use.
type Server struct {
	// Fault is the fault of every connection, until SetFault says otherwise.
	Fault Fault
	// RefLife is how long the refs of a connection can be scanned, each counted from the end of the one
	// before; the last value repeats. Empty means 60 seconds and then 20 each, which is how long the client
	// libraries show them (whatsmeow qrchan.go; how long the real server honours them is not known).
	RefLife []time.Duration
	// FirstFrameDelay is waited between the handshake and the first frame of the server. Baileys 6.7 loses
	// a frame that comes sooner than about 30 ms; whatsmeow and Baileys 7 need none.
	FirstFrameDelay time.Duration
	// PreKeys is the number of prekeys the server claims to hold for a device that has just been paired.
	PreKeys int
	// Root signs the server's Noise certificate. Nil means the fixed root of RootPublicHex.
	Root *ecdh.PrivateKey
	// Trace, if set, sees every node: dir is "<-" for what a client sent and "->" for what it got. The node
	// is a copy without its secrets (refs, keys, numbers), so that printing it is harmless. It is called
	// from many goroutines.
	Trace func(dir string, n *waBinary.Node)

	cert  certificate
	mu    sync.Mutex
	state state
}

// state is what changes while the server runs, all under Server.mu.
type state struct {
	closed  bool
	faultAt *Fault // what SetFault said
	queue   []Fault
	static  *ecdh.PrivateKey
	https   []*http.Server
	conns   map[*conn]struct{}
	refs    map[string]*ref      // :: text of the ref → ref
	devices map[deviceID]*device // :: paired devices
	ended   chan struct{}        // closed when the last connection of a closed server has ended
	stats   Stats
}

// Stats counts what the server has seen.
type Stats struct {
	Dials       int `json:"dials"`       // upgrade requests, refused ones included
	Handshakes  int `json:"handshakes"`  // Noise handshakes that both sides finished
	PairDevices int `json:"pairDevices"` // sets of refs sent
	Pairings    int `json:"pairings"`    // scans that both sides finished
	Logins      int `json:"logins"`      // logins answered with <success>
	Open        int `json:"open"`        // connections open now
}

// Serve accepts connections until Close, which makes it return nil, or until ln fails. It closes ln. It may
// run for several listeners at once.
func (s *Server) Serve(ln net.Listener) error {
	defer ln.Close()
	srv := &http.Server{
		Handler:           http.HandlerFunc(s.serveHTTP),
		ReadHeaderTimeout: headerTime,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	if !s.trackServer(srv) {
		return nil
	}
	cfg := &tls.Config{GetCertificate: s.cert.get, NextProtos: []string{"http/1.1"}}
	if err := srv.Serve(&sniffListener{Listener: ln, cfg: cfg}); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (s *Server) trackServer(srv *http.Server) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.closed {
		return false
	}
	s.state.https = append(s.state.https, srv)
	return true
}

// Close stops listening, drops every connection without a farewell and returns when all of them have ended.
func (s *Server) Close() error {
	s.mu.Lock()
	s.state.closed = true
	https := s.state.https
	s.state.https = nil
	s.mu.Unlock()
	var err error
	for _, srv := range https {
		err = errors.Join(err, srv.Close())
	}
	s.CutAll()
	<-s.drained()
	return err
}

// drained is closed once no connection is open.
func (s *Server) drained() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.ended == nil {
		s.state.ended = make(chan struct{})
		if len(s.state.conns) == 0 {
			close(s.state.ended)
		}
	}
	return s.state.ended
}

// SetFault changes the fault of the connections that begin from now on.
func (s *Server) SetFault(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.faultAt = &f
}

// QueueFaults appends to the faults of the next connections, one each; after them Fault or what SetFault
// said is in force again.
func (s *Server) QueueFaults(f ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.queue = append(s.state.queue, f...)
}

// CutAll drops every open connection without a websocket close, as a network does.
func (s *Server) CutAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.state.conns {
		c.cut()
	}
}

// Stats returns what was counted so far.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.state.stats
	st.Open = len(s.state.conns)
	return st
}

// RootPub returns the public key a client has to trust, for whatsmeow.WACertPubKey.
func (s *Server) RootPub() [32]byte { return [32]byte(s.root().PublicKey().Bytes()) }

func (s *Server) root() *ecdh.PrivateKey {
	if s.Root != nil {
		return s.Root
	}
	return fixedKey(rootSeed)
}

// count changes the statistics under the lock.
func (s *Server) count(change func(*Stats)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.state.stats)
}

// admit registers a new connection with the fault it will live with, or returns nil if the server is full or
// closed.
func (s *Server) admit(ctx context.Context) *conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := &s.state
	st.stats.Dials++
	if st.closed || len(st.conns) >= maxConns {
		return nil
	}
	c := newConn(ctx, s.nextFault())
	if st.conns == nil {
		st.conns = map[*conn]struct{}{}
	}
	st.conns[c] = struct{}{}
	return c
}

func (s *Server) nextFault() Fault {
	st := &s.state
	if len(st.queue) > 0 {
		f := st.queue[0]
		st.queue = st.queue[1:]
		return f
	}
	if st.faultAt != nil {
		return *st.faultAt
	}
	return s.Fault
}

// dismiss forgets a connection that has ended, and its refs.
func (s *Server) dismiss(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := &s.state
	s.forgetRefs(c)
	delete(st.conns, c)
	if d := st.devices[c.device]; d != nil && d.conn == c {
		d.conn = nil
	}
	if len(st.conns) == 0 && st.ended != nil {
		close(st.ended)
	}
}
