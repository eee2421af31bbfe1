// Package seal encrypts stored values under keys that are derived from the credential of their caller.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"sync"

	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// MinSecret is the minimum length of a secret, in bytes.
const MinSecret = 16

// ErrDecrypt means that a value cannot be decrypted with this credential for this purpose: it belongs to another
// caller, was moved, or was altered. Readers treat it as absent, and count it.
var ErrDecrypt = errors.New("cannot decrypt the stored value for this caller")

// Sealer derives tenants from credentials and encrypts stored values. A value that was sealed for one presented key
// cannot be opened with another (ADR 0003).
type Sealer struct {
	secret []byte
	macs   sync.Pool // of *mac
}

// New returns a Sealer for a secret that all replicas share. It refuses a secret shorter than MinSecret.
func New(secret secret.Secret) (*Sealer, error) {
	if len(secret.Reveal()) < MinSecret {
		return nil, fmt.Errorf("the secret has %d bytes and needs at least %d", len(secret.Reveal()), MinSecret)
	}
	return newSealer([]byte(secret.Reveal())), nil
}

func newSealer(secret []byte) *Sealer {
	v := &Sealer{secret: secret}
	v.macs.New = func() any { return &mac{hash: hmac.New(sha256.New, v.secret)} }
	return v
}

// ForEngine returns a Sealer whose tenants, digests and encryption keys belong to one engine: gateways in front of
// different engines may share a secret and a store, and their callers a key.
func (v *Sealer) ForEngine(identity string) *Sealer {
	return newSealer([]byte(v.digest("engine/v1", identity)))
}

// Scope is a name for what is stored neither for a tenant nor for a session, but for one engine.
func (v *Sealer) Scope() string { return v.digest("scope/v1", "") }

// Tenant is the first 16 bytes of HMAC-SHA256(secret, key), in hex.
func (v *Sealer) Tenant(key secret.Secret) session.Tenant {
	return session.Tenant(v.digest("tenant/v1", key.Reveal()))
}

// Digest is a session's name in the keys of a store.
func (v *Sealer) Digest(t session.Tenant, name string) string {
	return v.digest("session/v1", string(t)+"\x00"+name)
}

// Seal encrypts plain with AES-256-GCM under a key derived from the presented key, with about as associated data. The
// result is 28 bytes longer than plain.
func (v *Sealer) Seal(key secret.Secret, about string, plain []byte) ([]byte, error) {
	gcm, err := v.cipher(key)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, gcm.NonceSize(), gcm.NonceSize()+len(plain)+gcm.Overhead())
	if _, err := rand.Read(nonce); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return gcm.Seal(nonce, nonce, plain, []byte(about)), nil
}

// Open reverses Seal. It returns ErrDecrypt for a value that was not sealed for this key and about.
func (v *Sealer) Open(key secret.Secret, about string, sealed []byte) ([]byte, error) {
	gcm, err := v.cipher(key)
	if err != nil {
		return nil, err
	}
	if len(sealed) < gcm.NonceSize() {
		return nil, ErrDecrypt
	}
	plain, err := gcm.Open(nil, sealed[:gcm.NonceSize()], sealed[gcm.NonceSize():], []byte(about))
	if err != nil {
		return nil, ErrDecrypt
	}
	return plain, nil
}

func (v *Sealer) cipher(key secret.Secret) (cipher.AEAD, error) {
	k, err := hkdf.Key(sha256.New, []byte(key.Reveal()), v.secret, "qrgate/seal/v1", 32)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	block, err := aes.NewCipher(k)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return cipher.NewGCM(block)
}

// mac is an HMAC-SHA256 with the secret, and its buffer.
type mac struct {
	hash hash.Hash
	buf  []byte
}

// digest is the first 16 bytes of HMAC-SHA256(secret, purpose, text), in hex.
func (v *Sealer) digest(purpose, text string) string {
	m, _ := v.macs.Get().(*mac)
	defer v.macs.Put(m)
	m.hash.Reset()
	m.buf = append(append(append(m.buf[:0], purpose...), 0), text...)
	m.hash.Write(m.buf)
	clear(m.buf) // text may be a key
	m.buf = m.hash.Sum(m.buf[:0])
	return hex.EncodeToString(m.buf[:16])
}
