package embedded

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"

	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// MinKey is the shortest API key that is accepted, in bytes.
const MinKey = 16

// Key is one credential. The name owns the sessions, so that the key behind it can be changed; a name may
// have several keys while clients move from one to the next.
type Key struct {
	Name string // ^[A-Za-z0-9_-]{1,100}$
	Key  secret.Secret
}

// ParseKeys reads "name:key,name:key". A key may hold colons and no commas; spaces around either are
// dropped. Its errors are sentences that name the entry by its place and never print a key.
func ParseKeys(text string) ([]Key, error) {
	var keys []Key
	for i, entry := range strings.Split(text, ",") {
		name, sec, found := strings.Cut(strings.TrimSpace(entry), ":")
		name, sec = strings.TrimSpace(name), strings.TrimSpace(sec)
		switch {
		case !found:
			return nil, fmt.Errorf("API key %d has no name: write name:key", i+1)
		case !session.ValidID(name):
			return nil, fmt.Errorf("the name of API key %d is not 1 to %d letters, digits, _ or -", i+1, session.MaxIDLength)
		case len(sec) < MinKey:
			return nil, fmt.Errorf("API key %d (%s) has %d bytes and needs at least %d", i+1, name, len(sec), MinKey)
		}
		for j, other := range keys {
			if other.Name != name && other.Key.Equal(secret.NewSecret(sec)) {
				return nil, fmt.Errorf("API keys %d (%s) and %d (%s) are the same key under two names", j+1, other.Name, i+1, name)
			}
		}
		keys = append(keys, Key{Name: name, Key: secret.NewSecret(sec)})
	}
	return keys, nil
}

// keyring knows the digests of all keys.
type keyring []struct {
	digest [sha256.Size]byte
	name   string
}

func newRing(keys []Key) (keyring, error) {
	var r keyring
	for _, k := range keys {
		if len(k.Key.Reveal()) < MinKey || !session.ValidID(k.Name) {
			return nil, errors.New("an API key of the embedded engine is too short or has no valid name")
		}
		r = append(r, struct {
			digest [sha256.Size]byte
			name   string
		}{sha256.Sum256([]byte(k.Key.Reveal())), k.Name})
	}
	return r, nil
}

// account is the owner of a presented key. It compares with every digest, whichever fits, so that the time
// tells nothing.
func (r keyring) account(presented string) (string, bool) {
	digest := sha256.Sum256([]byte(presented))
	name, found := "", 0
	for i := range r {
		if same := subtle.ConstantTimeCompare(digest[:], r[i].digest[:]); same == 1 {
			name, found = r[i].name, 1
		}
	}
	return name, found == 1
}

// has reports whether an account has a key at all.
func (r keyring) has(name string) bool {
	for i := range r {
		if r[i].name == name {
			return true
		}
	}
	return false
}
