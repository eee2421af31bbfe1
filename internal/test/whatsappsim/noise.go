package whatsappsim

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// noisePattern is exactly 32 bytes long and therefore taken unhashed as the first hash.
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

// mixDH mixes the shared secret of priv and the peer's public key in; the message count starts again.
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

// split ends the handshake: the cipher the client writes with and the one the server writes with.
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
