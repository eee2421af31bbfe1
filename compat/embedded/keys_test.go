package embedded_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"qrgate/compat/embedded"
)

func TestParseKeys_ValidAndInvalid(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text string
		want int
		err  string
	}{
		"one":               {"shop:key-a-000000000000", 1, ""},
		"two, with spaces":  {" shop : key-a-000000000000 , crm:key-b-000000000000 ", 2, ""},
		"two of one name":   {"shop:key-a-000000000000,shop:key-b-000000000000", 2, ""},
		"colons in the key": {"shop:key:a:000000000000", 1, ""},
		"empty":             {"", 0, "API key 1 has no name: write name:key"},
		"no name":           {"key-a-000000000000", 0, "API key 1 has no name"},
		"empty name":        {":key-a-000000000000", 0, "the name of API key 1 is not"},
		"bad name":          {"a b:key-a-000000000000", 0, "the name of API key 1 is not"},
		"short":             {"shop:key-a-000000000000,crm:secret", 0, "API key 2 (crm) has 6 bytes and needs at least 16"},
		"one key, two names": {"shop:key-a-000000000000,crm:key-a-000000000000", 0,
			"API keys 1 (shop) and 2 (crm) are the same key under two names"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := embedded.ParseKeys(tt.text)
			if len(got) != tt.want {
				t.Errorf("%d keys, want %d", len(got), tt.want)
			}
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Fatalf("error %v, want %q", err, tt.err)
			}
			for _, secret := range []string{"key-a", "key-b", "secret"} {
				if err != nil && strings.Contains(err.Error(), secret) {
					t.Errorf("the error contains a key: %v", err)
				}
			}
		})
	}
}

func TestLoadOrMakeKey_GeneratesOnce(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	key, made, err := embedded.LoadOrMakeKey(dir)
	if err != nil || !made || len(key.Key.Reveal()) < 32 {
		t.Fatalf("%v %v, %d bytes", err, made, len(key.Key.Reveal()))
	}
	if err := embedded.StoreKey(dir, key); err != nil {
		t.Fatal(err)
	}
	if err := embedded.StoreKey(dir, key); err == nil {
		t.Error("a stored key was replaced")
	}
	if info, err := os.Stat(filepath.Join(dir, "api-key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v %v", info.Mode(), err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory: %v %v", info.Mode(), err)
	}
	again, made, err := embedded.LoadOrMakeKey(dir)
	if err != nil || made || again.Name != key.Name || !again.Key.Equal(key.Key) {
		t.Errorf("the second time: %v, made %v, name %q", err, made, again.Name)
	}
	other, _, _ := embedded.LoadOrMakeKey(t.TempDir())
	if other.Key.Equal(key.Key) {
		t.Error("two directories have one key")
	}
}

func TestLoadOrMakeKey_InvalidFileIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "api-key"), []byte("hidden-nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err := embedded.LoadOrMakeKey(dir)
	if err == nil || strings.Contains(err.Error(), "hidden-nonsense") || !strings.Contains(err.Error(), "delete it") {
		t.Errorf("%v", err)
	}
}

func TestNew_InvalidConfigIsRefused(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	some := keys(t, "a:"+keyA)
	tests := map[string]struct {
		config embedded.Config
		want   string
	}{
		"empty config":   {embedded.Config{}, "needs a data directory or a database URL"},
		"no keys":        {embedded.Config{DataDir: t.TempDir()}, "needs at least one API key"},
		"a short key":    {embedded.Config{DataDir: t.TempDir(), Keys: []embedded.Key{{Name: "a"}}}, "too short"},
		"not a dir":      {embedded.Config{DataDir: file, Keys: some}, "cannot open the database"},
		"not a database": {embedded.Config{DataDir: notADatabase(t), Keys: some}, "is damaged: restore it"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := embedded.New(tt.config); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

func notADatabase(t *testing.T) string {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "qrgate.db"), []byte(strings.Repeat("no database ", 999)), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}
