package embedded

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"qrgate/internal/secret"
)

// keyFile is where a generated key is kept, in the data directory.
const keyFile = "api-key"

// generatedName owns the sessions of a generated key.
const generatedName = "default"

// LoadOrMakeKey returns the key that was generated for dir, or generates one and keeps it there with mode
// 0600; made tells which. The caller prints a key that was made, once.
func LoadOrMakeKey(dir string) (name string, key secret.Secret, made bool, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", secret.Secret{}, false, fmt.Errorf("the data directory cannot be made: %w", err)
	}
	path := filepath.Join(dir, keyFile)
	text, err := os.ReadFile(path)
	if err == nil {
		return readKey(path, string(text))
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", secret.Secret{}, false, fmt.Errorf("the generated API key cannot be read: %w", err)
	}
	fresh := newKey()
	if err := writeNew(path, generatedName+":"+fresh+"\n"); err != nil {
		return "", secret.Secret{}, false, fmt.Errorf("the generated API key cannot be kept: %w", err)
	}
	return generatedName, secret.NewSecret(fresh), true, nil
}

func readKey(path, text string) (string, secret.Secret, bool, error) {
	keys, err := ParseKeys(strings.TrimSpace(text))
	if err != nil || len(keys) != 1 {
		return "", secret.Secret{}, false, fmt.Errorf("%s does not hold one name:key; delete it to have a new one made", path)
	}
	return keys[0].Name, keys[0].Key, false, nil
}

// newKey makes 256 random bits that no URL or shell needs to quote.
func newKey() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return "qrg_" + base64.RawURLEncoding.EncodeToString(b)
}

// writeNew writes a file that must not be there yet, so that two processes cannot both make a key.
func writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}
