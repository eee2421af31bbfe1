package whatsappsim

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"go.mau.fi/whatsmeow/proto/waCert"
	"go.mau.fi/whatsmeow/proto/waWa6"
	"google.golang.org/protobuf/proto"
)

var (
	errFault     = errors.New("whatsappsim: the fault ends the handshake")
	errHandshake = errors.New("whatsappsim: not a handshake message")
)

// handshakeTimeout is how long a client may take for each of its two handshake messages.
const handshakeTimeout = 30 * time.Second

// handshake is the responder of Noise XX. It sets the connection's keys and the client's payload.
func (s *Server) handshake(c *conn) error {
	limit := time.AfterFunc(handshakeTimeout, c.cut)
	defer limit.Stop()
	intro, err := readIntro(c.in)
	if err != nil {
		return err
	}
	hello, err := readHandshake(c)
	if err != nil {
		return err
	}
	if c.applyHelloFault(limit) {
		return errFault
	}
	n, err := newNoise(intro)
	if err != nil {
		return err
	}
	ephemeral, err := s.sendServerHello(c, n, hello.GetClientHello().GetEphemeral())
	if err != nil {
		return err
	}
	limit.Reset(handshakeTimeout)
	if err := c.finish(n, ephemeral); err != nil {
		return err
	}
	s.count(func(st *Stats) { st.Handshakes++ })
	return nil
}

// applyHelloFault applies a fault of the ServerHello. It reports whether there was one.
func (c *conn) applyHelloFault(limit *time.Timer) bool {
	f := c.fault
	if f.CutHello {
		return true
	}
	if !f.HangHello && !f.GarbageHello {
		return false
	}
	limit.Stop() // the client must be the first to give up
	if f.GarbageHello && c.write([]byte("<html>Sign in to this network</html>")) != nil {
		return true
	}
	discard(c.in)
	return true
}

// sendServerHello sends ServerHello: the ephemeral key, which is returned, the static one and its certificates.
func (s *Server) sendServerHello(c *conn, n *noise, clientEphemeral []byte) (*ecdh.PrivateKey, error) {
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

// static returns the server's static Noise key; the first call makes it.
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

// noisePattern has exactly 32 bytes, so it is the first hash without hashing.
const noisePattern = "Noise_XX_25519_AESGCM_SHA256\x00\x00\x00\x00"

// noise is the symmetric state of a Noise XX handshake as WhatsApp runs it.
type noise struct {
	hash, chain []byte
	aead        cipher.AEAD
	count       uint32
}

func newNoise(prologue []byte) (*noise, error) {
	aead, err := newGCM([]byte(noisePattern))
	if err != nil {
		return nil, err
	}
	n := &noise{hash: []byte(noisePattern), chain: []byte(noisePattern), aead: aead}
	n.mixHash(prologue)
	return n, nil
}

func (n *noise) mixHash(b []byte) {
	h := sha256.New()
	h.Write(n.hash)
	h.Write(b)
	n.hash = h.Sum(nil)
}

// mixDH mixes in the shared secret of priv and the peer's public key, and resets the message count.
func (n *noise) mixDH(priv *ecdh.PrivateKey, peer []byte) error {
	pub, err := ecdh.X25519().NewPublicKey(peer)
	if err != nil {
		return err
	}
	secret, err := priv.ECDH(pub)
	if err != nil {
		return err
	}
	chain, key, err := n.expand(secret)
	if err != nil {
		return err
	}
	n.chain, n.count = chain, 0
	n.aead, err = newGCM(key)
	return err
}

func (n *noise) expand(secret []byte) (first, second []byte, err error) {
	out, err := hkdf.Key(sha256.New, secret, n.chain, "", 64)
	if err != nil {
		return nil, nil, err
	}
	return out[:32], out[32:], nil
}

// split ends the handshake and returns the ciphers of both directions.
func (n *noise) split() (fromClient, fromServer cipher.AEAD, err error) {
	a, b, err := n.expand(nil)
	if err != nil {
		return nil, nil, err
	}
	if fromClient, err = newGCM(a); err != nil {
		return nil, nil, err
	}
	fromServer, err = newGCM(b)
	return fromClient, fromServer, err
}

func (n *noise) encrypt(plain []byte) []byte {
	out := n.aead.Seal(nil, nonce(n.count), plain, n.hash)
	n.count++
	n.mixHash(out)
	return out
}

func (n *noise) decrypt(sealed []byte) ([]byte, error) {
	plain, err := n.aead.Open(nil, nonce(n.count), sealed, n.hash)
	if err != nil {
		return nil, fmt.Errorf("handshake message: %w", err)
	}
	n.count++
	n.mixHash(sealed)
	return plain, nil
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func nonce(count uint32) []byte {
	b := make([]byte, 12)
	binary.BigEndian.PutUint32(b[8:], count)
	return b
}

// Serial numbers of the chain: the clients require that the intermediate's issuer is 0 and that the leaf's issuer is
// the intermediate (whatsmeow handshake.go, verifyServerCert).
const (
	rootSerial         = 0
	intermediateSerial = 7
	leafSerial         = 8
)

// certChain certifies the server's static key: root signs a fresh intermediate, which signs the leaf.
func certChain(root *ecdh.PrivateKey, static []byte, now time.Time) ([]byte, error) {
	between, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	inter, err := certify(root, between.PublicKey().Bytes(), serials{intermediateSerial, rootSerial}, now)
	if err != nil {
		return nil, err
	}
	leaf, err := certify(between, static, serials{leafSerial, intermediateSerial}, now)
	if err != nil {
		return nil, err
	}
	return proto.Marshal(&waCert.CertChain{Leaf: leaf, Intermediate: inter})
}

type serials struct{ own, issuer uint32 }

func certify(by *ecdh.PrivateKey, key []byte, s serials, now time.Time) (*waCert.CertChain_NoiseCertificate, error) {
	details, err := proto.Marshal(&waCert.CertChain_NoiseCertificate_Details{
		Serial: &s.own, IssuerSerial: &s.issuer, Key: key,
		NotBefore: proto.Uint64(uint64(now.Add(-time.Hour).Unix())),
		NotAfter:  proto.Uint64(uint64(now.Add(24 * time.Hour).Unix())),
	})
	if err != nil {
		return nil, err
	}
	sig, err := sign(by, details)
	if err != nil {
		return nil, err
	}
	return &waCert.CertChain_NoiseCertificate{Details: details, Signature: sig}, nil
}

// RootPublicHex is the public half of the fixed Noise root in hexadecimal. A process without access
// to a [Server] (Node, a qrgate built with -tags whatsappsim) trusts the simulator by this value.
const RootPublicHex = "413b845dc6d3a9a2c8eb0ee11367d9251624cb6311281c5fb580b5a69cde1c4a"

// The fixed keys come from constant seeds, so that they are the same in every process. They protect nothing.
const (
	rootSeed      = "qrgate wasim: the Noise root of the simulator, worth nothing"
	otherRootSeed = "qrgate wasim: a Noise root that nobody trusts"
	phoneSeed     = "qrgate wasim: the phone of "
)

// fixedKey derives an X25519 key from a seed.
func fixedKey(seed string) *ecdh.PrivateKey {
	sum := sha256.Sum256([]byte(seed))
	key, _ := ecdh.X25519().NewPrivateKey(sum[:]) // fails only for a length other than 32
	return key
}
