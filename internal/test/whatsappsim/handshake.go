package whatsappsim

import (
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"time"

	"go.mau.fi/whatsmeow/proto/waWa6"
	"google.golang.org/protobuf/proto"
)

var (
	errSpoiled   = errors.New("wasim: the fault ends the handshake")
	errHandshake = errors.New("wasim: not a handshake message")
)

// handshakeTime is how long a client may take for each of its two handshake messages.
const handshakeTime = 30 * time.Second

// handshake plays the responder of Noise XX and fills in what the client proved and said.
func (s *Server) handshake(c *conn) error {
	limit := time.AfterFunc(handshakeTime, c.cut)
	defer limit.Stop()
	intro, err := readIntro(c.in)
	if err != nil {
		return err
	}
	hello, err := readHandshake(c)
	if err != nil {
		return err
	}
	if c.spoilHello(limit) {
		return errSpoiled
	}
	n, err := newNoise(intro)
	if err != nil {
		return err
	}
	ephemeral, err := s.sayHello(c, n, hello.GetClientHello().GetEphemeral())
	if err != nil {
		return err
	}
	limit.Reset(handshakeTime)
	if err := c.finish(n, ephemeral); err != nil {
		return err
	}
	s.count(func(st *Stats) { st.Handshakes++ })
	return nil
}

// spoilHello does what the fault says in place of the ServerHello, and reports whether it said anything.
func (c *conn) spoilHello(limit *time.Timer) bool {
	f := c.fault
	if f.CutHello {
		return true
	}
	if !f.HangHello && !f.GarbageHello {
		return false
	}
	limit.Stop() // the client shall be the one to lose patience
	if f.GarbageHello && c.write([]byte("<html>Sign in to this network</html>")) != nil {
		return true
	}
	discard(c.in)
	return true
}

// sayHello sends ServerHello: the ephemeral key, which is returned, the static one and its certificates.
func (s *Server) sayHello(c *conn, n *noise, clientEphemeral []byte) (*ecdh.PrivateKey, error) {
	static, err := s.static()
	if err != nil {
		return nil, err
	}
	ephemeral, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	n.mixHash(clientEphemeral)
	n.mixHash(ephemeral.PublicKey().Bytes())
	if err := n.mixDH(ephemeral, clientEphemeral); err != nil {
		return nil, err
	}
	sealed := n.encrypt(static.PublicKey().Bytes())
	if err := n.mixDH(static, clientEphemeral); err != nil {
		return nil, err
	}
	root := s.root()
	if c.fault.BadCert {
		root = fixedKey(otherRootSeed)
	}
	chain, err := certChain(root, static.PublicKey().Bytes(), time.Now())
	if err != nil {
		return nil, err
	}
	body, err := proto.Marshal(&waWa6.HandshakeMessage{ServerHello: &waWa6.HandshakeMessage_ServerHello{
		Ephemeral: ephemeral.PublicKey().Bytes(), Static: sealed, Payload: n.encrypt(chain)}})
	if err != nil {
		return nil, err
	}
	return ephemeral, c.write(body)
}

// finish reads ClientFinish and switches to the ciphers of the connection.
func (c *conn) finish(n *noise, ephemeral *ecdh.PrivateKey) error {
	msg, err := readHandshake(c)
	if err != nil {
		return err
	}
	if c.noiseKey, err = n.decrypt(msg.GetClientFinish().GetStatic()); err != nil {
		return err
	}
	if err := n.mixDH(ephemeral, c.noiseKey); err != nil {
		return err
	}
	raw, err := n.decrypt(msg.GetClientFinish().GetPayload())
	if err != nil {
		return err
	}
	c.payload = &waWa6.ClientPayload{}
	if err := proto.Unmarshal(raw, c.payload); err != nil {
		return errors.Join(errHandshake, err)
	}
	c.dec, c.enc, err = n.split()
	return err
}

func readHandshake(c *conn) (*waWa6.HandshakeMessage, error) {
	raw, err := readFrame(c.in)
	if err != nil {
		return nil, err
	}
	msg := &waWa6.HandshakeMessage{}
	if err := proto.Unmarshal(raw, msg); err != nil {
		return nil, errors.Join(errHandshake, err)
	}
	return msg, nil
}

// static returns the server's static Noise key, made at first use.
func (s *Server) static() (*ecdh.PrivateKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.static == nil {
		key, err := ecdh.X25519().GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		s.state.static = key
	}
	return s.state.static, nil
}
