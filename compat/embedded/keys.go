package embedded

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// MinKey is the length of the shortest accepted API key, in bytes.
const MinKey = 16

// Key is one credential. The name owns the sessions, so the key can be changed; a name may have several keys while
// clients move to a new one.
type Key struct {
	Name string // ^[A-Za-z0-9_-]{1,100}$
	Key  secret.Secret
}

// ParseKeys parses "name:key,name:key". A key may contain colons but no commas; surrounding spaces are dropped. Its
// errors give the position of the entry and never a key.
func ParseKeys(text string) ([]Key, error) {
	var keys []Key
	for i, entry := range strings.Split(text, ",") {
		name, key, found := strings.Cut(strings.TrimSpace(entry), ":")
		name, key = strings.TrimSpace(name), strings.TrimSpace(key)
		switch {
		case !found:
			return nil, fmt.Errorf("API key %d has no name: write name:key", i+1)
		case !session.ValidID(name):
			return nil, fmt.Errorf("the name of API key %d is not 1 to %d letters, digits, _ or -", i+1, session.MaxIDLength)
		case len(key) < MinKey:
			return nil, fmt.Errorf("API key %d (%s) has %d bytes and needs at least %d", i+1, name, len(key), MinKey)
		}
		for j, other := range keys {
			if other.Name != name && other.Key.Equal(secret.NewSecret(key)) {
				return nil, fmt.Errorf("API keys %d (%s) and %d (%s) are the same key under two names", j+1, other.Name, i+1, name)
			}
		}
		keys = append(keys, Key{Name: name, Key: secret.NewSecret(key)})
	}
	return keys, nil
}

// keyring has the name of each key under the key's digest, so that the time of a lookup depends on no key.
type keyring map[[sha256.Size]byte]string

func newKeyring(keys []Key) (keyring, error) {
	r := keyring{}
	for _, k := range keys {
		if len(k.Key.Reveal()) < MinKey || !session.ValidID(k.Name) {
			return nil, errors.New("an API key of the embedded engine is too short or has no valid name")
		}
		r[sha256.Sum256([]byte(k.Key.Reveal()))] = k.Name
	}
	return r, nil
}

// account returns the owner of a presented key.
func (r keyring) account(presented string) (name string, found bool) {
	name, found = r[sha256.Sum256([]byte(presented))]
	return name, found
}

// has reports whether an account has a key.
func (r keyring) has(name string) bool { return slices.Contains(slices.Collect(maps.Values(r)), name) }

const (
	KeyFile          = "api-key" // the generated key, in the data directory
	generatedAccount = "default" // owns the sessions of a generated key
)

// LoadOrMakeKey returns the generated key in dir, or generates one; made reports which. After [New] has locked the
// directory, the caller stores a new key with [StoreKey] and prints it once.
func LoadOrMakeKey(dir string) (key Key, made bool, err error) {
	path := filepath.Join(dir, KeyFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Key{Name: generatedAccount, Key: generateKey()}, true, nil
	}
	if err != nil {
		return Key{}, false, fmt.Errorf("cannot read the generated API key: %w", err)
	}
	keys, err := ParseKeys(strings.TrimSpace(string(text)))
	if err != nil || len(keys) != 1 {
		return Key{}, false, fmt.Errorf("%s does not contain one name:key; delete it to get a new key", path)
	}
	return keys[0], false, nil
}

// StoreKey stores a generated key in dir with mode 0600. It replaces no other key.
func StoreKey(dir string, key Key) error {
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		err = writeNew(filepath.Join(dir, KeyFile), key.Name+":"+key.Key.Reveal()+"\n")
	}
	if err != nil {
		return fmt.Errorf("cannot store the generated API key: %w", err)
	}
	return nil
}

// generateKey returns 256 random bits in characters that need no quoting in a URL or a shell.
func generateKey() secret.Secret {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return secret.NewSecret("qrg_" + base64.RawURLEncoding.EncodeToString(b))
}

// writeNew fails if the file exists, so that two processes cannot both generate a key.
func writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}
