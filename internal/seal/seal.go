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

	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// MinSecret is the shortest secret that a Vault takes, in bytes.
const MinSecret = 16

// ErrDecrypt says that a value does not open with this credential for this purpose: it belongs to
// somebody else, was moved, or was altered. Readers treat it as absent, and count it.
var ErrDecrypt = errors.New("the stored value does not open for this caller")

// Sealer makes tenants out of credentials and seals what is stored for them. A value sealed for one
// presented key cannot be opened with another, whatever a store mixes up (DESIGN 4.1).
type Sealer struct{ secret []byte }

// NewVault returns a vault on a secret shared by all replicas. It refuses one shorter than MinSecret.
func NewVault(secret secret.Secret) (*Sealer, error) {
	if len(secret.Reveal()) < MinSecret {
		return nil, fmt.Errorf("the secret has %d bytes and needs at least %d", len(secret.Reveal()), MinSecret)
	}
	return &Sealer{secret: []byte(secret.Reveal())}, nil
}

// Tenant is the first 16 bytes of HMAC-SHA256(secret, key), in hex.
func (v *Sealer) Tenant(key secret.Secret) session.Tenant {
	return session.Tenant(hex.EncodeToString(v.mac("tenant/v1", key.Reveal())[:16]))
}

// Digest hides a session's name in the keys of a store.
func (v *Sealer) Digest(t session.Tenant, name string) string {
	return hex.EncodeToString(v.mac("session/v1", string(t)+"\x00"+name)[:16])
}

// Seal encrypts plain for whoever presents key, bound to about: AES-256-GCM under a key derived from the
// presented key, with about as associated data. The result is 28 bytes longer than plain.
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

// Open reverses Seal. It returns ErrDecrypt for anything that was not sealed for this key and about.
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

func (v *Sealer) mac(purpose, text string) []byte {
	h := hmac.New(sha256.New, v.secret)
	h.Write([]byte(purpose))
	h.Write([]byte{0})
	h.Write([]byte(text))
	return h.Sum(nil)
}
