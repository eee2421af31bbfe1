// Package whatsappsim is a simulated WhatsApp Web server for tests, demonstrations and benchmarks: enough of the
// protocol for the real client libraries (whatsmeow, Baileys) to show QR codes, pair and log in. Each fault of a server
// is a field of [Fault]. It listens on loopback or on in-memory pipes, and has no real keys or accounts.
//
//	srv := &whatsappsim.Server{}            // the zero value is ready and healthy
//	go srv.Serve(ln)                  // ws:// and wss:// share the listener
//	defer srv.Close()
//	srv.QueueFaults(whatsappsim.Fault{Failure: 405})   // the next client is outdated
//	srv.Scan(ctx, code, whatsappsim.Account{User: "5550100"})   // a phone scans the code
//
// The supported part of the protocol:
//
//	client                                server
//	GET /ws/chat, Upgrade          ->                                     HTTPStatus, HangUpgrade
//	"WA" 6 3, ClientHello          ->
//	                               <-     ServerHello, certificate chain  HangHello, CutHello, GarbageHello, BadCert
//	ClientFinish, ClientPayload    ->
//	                               <-     <failure>, <stream:error>       Failure, StreamError
//
//	Registration (the payload carries no account):
//	                               <-     <iq><pair-device><ref/>…        NoPairDevice, PairDelay, Refs
//	<iq type=result>               ->                                     CutAfterRefs, RefreshAfterRefs
//	                               <-     <notification>                  RefreshOnScan, Passkey       (Scan)
//	<iq><passkey_prologue>, …      ->     (Passkey)
//	<iq><link_code_companion_reg>  ->     <notification>                                               (EnterCode)
//	                               <-     <iq><pair-success>              BadPairHMAC, BadAccountSig
//	<iq><pair-device-sign>         ->
//	                               <-     <stream:error code=515>         NoRestart
//
//	Login (the payload names account and device):
//	                               <-     <success>                       AfterScan
//	<iq> count, prekeys, passive   ->                                     SilentIQ
//	                               <-     <iq type=result>, <ib><offline> UnlinkAfter
//
// Where the behavior of the real server is unknown (how long a ref is valid, whether it closes the connection after the
// last one), the simulator does what the client libraries assume. It has no messages and no app state.
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
	maxConns      = 4096             // open connections; more get 503
	headerTimeout = 10 * time.Second // for the request headers of a client
	writeTimeout  = 10 * time.Second // for one frame
)

// Server is a simulated WhatsApp Web server. The zero value is ready to Serve and healthy. The exported fields
// are set before Serve; for later changes there are methods, all safe for concurrent use.
type Server struct {
	// Fault is the fault of every connection until SetFault.
	Fault Fault
	// RefTTL is how long the refs of a connection can be scanned, each counted from the end of the one
	// before; the last value repeats. Empty means 60 seconds and then 20 each, which is how long the client
	// libraries show them (whatsmeow qrchan.go); the values of the real server are unknown.
	RefTTL []time.Duration
	// FirstFrameDelay is the time between the handshake and the first frame of the server. Baileys 6.7 loses a
	// frame within the first 30 ms; whatsmeow and Baileys 7 need no delay.
	FirstFrameDelay time.Duration
	// PreKeys is the number of prekeys that the server reports for a newly paired device.
	PreKeys int
	// Revision is the version that the web page names, as client_revision; zero for none.
	Revision uint32
	// Root signs the server's Noise certificate. Nil means the fixed root of RootPublicHex.
	Root *ecdh.PrivateKey
	// Trace, if set, receives every node: dir is "<-" for a node from the client and "->" for one to it. The
	// node is a copy without secrets (refs, keys, numbers), so it is safe to print. Many goroutines call it.
	Trace func(dir string, n *waBinary.Node)

	cert  certificate
	mu    sync.Mutex
	state state
}

// state is what changes while the server runs, all under Server.mu.
type state struct {
	closed   bool
	override *Fault // set by SetFault
	queue    []Fault
	static   *ecdh.PrivateKey
	https    []*http.Server
	conns    map[*conn]struct{}
	refs     map[string]*ref      // :: text of the ref → ref
	devices  map[deviceID]*device // :: paired devices
	phone    string               // the code that a phone shows, see PasskeyCode
	ended    chan struct{}        // closed when the last connection of a closed server has ended
	stats    Stats
}

// Stats are the counters of a server.
type Stats struct {
	Dials       int `json:"dials"`       // upgrade requests, including refused ones
	Handshakes  int `json:"handshakes"`  // complete Noise handshakes
	PairDevices int `json:"pairDevices"` // sets of refs sent
	Pairings    int `json:"pairings"`    // complete scans
	Logins      int `json:"logins"`      // successful logins
	Open        int `json:"open"`        // connections open now
}

// Serve accepts connections until Close, which makes it return nil, or until ln fails. It closes ln. It may
// serve several listeners at once.
func (s *Server) Serve(ln net.Listener) error {
	defer ln.Close()
	srv := &http.Server{
		Handler:           http.HandlerFunc(s.serveHTTP),
		ReadHeaderTimeout: headerTimeout,
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

// Close stops listening, drops every connection without a close frame, and returns when all of them have ended.
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

// drained returns a channel that is closed once no connection is open.
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

// SetFault sets the fault of new connections.
func (s *Server) SetFault(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.override = &f
}

// QueueFaults appends to the faults of the next connections, one each; after them the fault of SetFault or Fault
// applies again.
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

// Stats returns the current counters.
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

// addConn registers a new connection with the fault it will live with, or returns nil if the server is full or
// closed.
func (s *Server) addConn(ctx context.Context) *conn {
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
	if st.override != nil {
		return *st.override
	}
	return s.Fault
}

// removeConn removes a connection that has ended, and its refs.
func (s *Server) removeConn(c *conn) {
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
