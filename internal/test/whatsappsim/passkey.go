package whatsappsim

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waCompanionReg"
	"google.golang.org/protobuf/proto"
)

// PasskeyAssertion is the response of an authenticator that the simulator accepts, as JSON; it has no real signature.
const PasskeyAssertion = `{"id":"c2lt","type":"public-key","rawId":"c2lt","authenticatorAttachment":"platform",` +
	`"response":{"clientDataJSON":"e30","authenticatorData":"AA","signature":"c2ln","userHandle":"dQ"},` +
	`"clientExtensionResults":{}}`

// passkeyOptions is the request for an assertion.
const passkeyOptions = `{"challenge":"c2ltdWxhdGVk","timeout":60000,"rpId":"whatsapp.com","allowCredentials":` +
	`[{"id":"c2lt","type":"public-key","transports":["internal"]}],"userVerification":"required"}`

const companionRef = "simulated-companion-ref"

// passkey is a pairing that continues after a passkey: the client proves it, both agree on a key, and the client sends
// a new secret under that key.
type passkey struct {
	code       code
	account    Account
	key        *ecdh.PrivateKey // of the phone, for this pairing
	commitment []byte           // of the client to its nonce
	identity   []byte           // to which it committed, too
	secret     []byte           // the agreed key
	nonce      []byte           // of the phone
}

// passkeyCodes is the alphabet of the codes to compare.
var passkeyCodes = base32.NewEncoding("123456789ABCDEFGHJKLMNPQRSTVWXYZ")

// PasskeyCode is the code that the last phone shows; its owner compares it with the client's.
func (s *Server) PasskeyCode() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.phone
}

// requestPasskey asks the client for a passkey.
func (s *Server) requestPasskey(c *conn, q code, a Account) error {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	s.mu.Lock()
	c.passkey = &passkey{code: q, account: a, key: key}
	s.mu.Unlock()
	return s.send(c, notification("passkey_prologue_request",
		waBinary.Node{Tag: "passkey_request_options", Content: []byte(passkeyOptions)}))
}

// passkeyContinuation accepts any assertion and sends the phone's part of the key agreement.
func (s *Server) passkeyContinuation(c *conn, prologue waBinary.Node) []waBinary.Node {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := c.passkey
	raw := prologue.GetChildByTag("prologue_payload")
	payload, _ := raw.Content.([]byte)
	if _, hasProof := prologue.GetOptionalChildByTag("pairing_handoff_proof"); hasProof && c.fault.PasskeyByCode {
		return nil
	}
	if p == nil || p.agree(payload) != nil {
		return nil
	}
	nonce := make([]byte, 32)
	_, _ = rand.Read(nonce) // never fails
	p.nonce = nonce
	identity, err := proto.Marshal(&waCompanionReg.PrimaryEphemeralIdentity{
		PublicKey: p.key.PublicKey().Bytes(), Nonce: nonce})
	if err != nil {
		return nil
	}
	return []waBinary.Node{notification("crsc_continuation",
		waBinary.Node{Tag: "primary_ephemeral_identity", Content: identity})}
}

// agree reads the client's part of the key agreement.
func (p *passkey) agree(prologue []byte) error {
	var payload waCompanionReg.ProloguePayload
	if err := proto.Unmarshal(prologue, &payload); err != nil {
		return err
	}
	var companion waCompanionReg.CompanionEphemeralIdentity
	if err := proto.Unmarshal(payload.GetCompanionEphemeralIdentity(), &companion); err != nil {
		return err
	}
	public, err := ecdh.X25519().NewPublicKey(companion.GetPublicKey())
	if err != nil || companion.GetRef() != companionRef {
		return errors.New("whatsappsim: not the ref or the key of this pairing")
	}
	shared, err := p.key.ECDH(public)
	if err != nil {
		return err
	}
	p.commitment, p.identity = payload.GetCommitment().GetHash(), payload.GetCompanionEphemeralIdentity()
	salt := fmt.Sprintf("Companion Pairing %d with ref %s", companion.GetDeviceType(), companionRef)
	p.secret, err = hkdf.Key(sha256.New, shared, []byte(salt), "Pairing Information Encryption Key", 32)
	return err
}

// checkCommitment ends the pairing of a client that committed to another nonce.
func (s *Server) checkCommitment(c *conn, n waBinary.Node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	nonce, _ := n.Content.([]byte)
	if p := c.passkey; p != nil {
		if sum := sha256.Sum256(append(bytes.Clone(p.identity), nonce...)); !bytes.Equal(sum[:], p.commitment) {
			c.passkey = nil
			return
		}
		code := sha256.Sum256(append(bytes.Clone(nonce), p.key.PublicKey().Bytes()...))
		for i := range code {
			code[i] ^= p.nonce[i]
		}
		text := passkeyCodes.EncodeToString(code[:5])
		s.state.phone = text[:4] + "-" + text[4:]
	}
}

// finishPasskey reads the client's new secret and pairs.
func (s *Server) finishPasskey(c *conn, n waBinary.Node) {
	s.mu.Lock()
	p := c.passkey
	c.passkey = nil
	s.mu.Unlock()
	wrapped, _ := n.Content.([]byte)
	var sealed waCompanionReg.EncryptedPairingRequest
	if p == nil || proto.Unmarshal(wrapped, &sealed) != nil {
		return
	}
	raw, err := openGCM(p.secret, sealed.GetIV(), sealed.GetEncryptedPayload())
	var req waCompanionReg.PairingRequest
	if err != nil || proto.Unmarshal(raw, &req) != nil || !bytes.Equal(req.GetCompanionIdentityKey(), p.code.identity) {
		return
	}
	p.code.adv = req.GetAdvSecret()
	go func() { _ = s.pair(context.Background(), c, p.code, p.account) }() // the reader must go on
}

func openGCM(key, nonce, sealed []byte) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil || len(nonce) != gcm.NonceSize() {
		return nil, errors.Join(err, errors.New("whatsappsim: a nonce has 12 bytes"))
	}
	return gcm.Open(nil, nonce, sealed, nil)
}
