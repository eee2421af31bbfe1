package seal_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"qrgate/internal/seal"
	"qrgate/internal/secret"
	"qrgate/internal/session"
)

func TestSealer_OpensOnlyWithSameKeyAndPurpose(t *testing.T) {
	t.Parallel()
	newSealer := func(sec string) *seal.Sealer {
		v, err := seal.New(secret.NewSecret(sec))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	v, key := newSealer("one secret of qrgate"), secret.NewSecret("key-a")
	sealed, err := v.Seal(key, "tenant session 1", []byte("a code"))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := v.Open(key, "tenant session 1", sealed); err != nil || string(plain) != "a code" {
		t.Errorf("Open: %q, %v", plain, err)
	}
	altered := append([]byte{}, sealed...)
	altered[len(altered)-1] ^= 1
	for name, open := range map[string]func() ([]byte, error){
		"another key":     func() ([]byte, error) { return v.Open(secret.NewSecret("key-b"), "tenant session 1", sealed) },
		"another purpose": func() ([]byte, error) { return v.Open(key, "tenant session 2", sealed) },
		"another gate":    func() ([]byte, error) { return newSealer("another secret of it").Open(key, "tenant session 1", sealed) },
		"an altered byte": func() ([]byte, error) { return v.Open(key, "tenant session 1", altered) },
		"a short value":   func() ([]byte, error) { return v.Open(key, "tenant session 1", sealed[:5]) },
		"nothing":         func() ([]byte, error) { return v.Open(key, "tenant session 1", nil) },
	} {
		if plain, err := open(); !errors.Is(err, seal.ErrDecrypt) {
			t.Errorf("%s opens it: %q, %v", name, plain, err)
		}
	}
	if v.Tenant(key) == v.Tenant(secret.NewSecret("key-b")) || len(v.Tenant(key)) != 32 || strings.Contains(string(v.Tenant(key)), "key") {
		t.Errorf("Tenant: %q", v.Tenant(key))
	}
	if _, err := seal.New(secret.NewSecret("short")); err == nil {
		t.Error("a short secret is accepted")
	}
}

func TestSealer_BearerIsNotAKey(t *testing.T) {
	t.Parallel()
	key := session.Caller{Key: secret.NewSecret("x")}
	bearer := session.Caller{Bearer: secret.NewSecret("x")}
	both := session.Caller{Key: secret.NewSecret("x"), Bearer: secret.NewSecret("y")}
	if key.Credential().Equal(bearer.Credential()) {
		t.Error("a key and a bearer token of the same text are one credential")
	}
	if !key.Credential().Equal(both.Credential()) {
		t.Error("the key decides (contract C16), and a bearer beside it changed who it is")
	}
}

func ExampleSealer() {
	sealer, err := seal.New(secret.NewSecret("the secret of all replicas"))
	if err != nil {
		panic(err)
	}
	key, purpose := secret.NewSecret("a caller's key"), "session 1"
	sealed, err := sealer.Seal(key, purpose, []byte("a code"))
	if err != nil {
		panic(err)
	}
	plain, err := sealer.Open(key, purpose, sealed)
	fmt.Println(string(plain), err)
	_, err = sealer.Open(secret.NewSecret("another key"), purpose, sealed)
	fmt.Println(errors.Is(err, seal.ErrDecrypt))
	// Output:
	// a code <nil>
	// true
}
