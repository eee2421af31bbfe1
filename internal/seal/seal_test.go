package seal_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"qrgate/internal/seal"
	"qrgate/internal/secret"
	"qrgate/internal/session"
)

func TestSecret_DoesNotPrint(t *testing.T) {
	t.Parallel()
	s := secret.NewSecret("the-canary")
	type holder struct{ Key secret.Secret }
	var log strings.Builder
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	logger.Info("x", "key", s, "holder", holder{s}, "err", fmt.Errorf("with %v", s))
	b, err := json.Marshal(holder{s})
	if err != nil {
		t.Fatal(err)
	}
	all := []string{fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s %q %x %d", s, s, s, s, s, s, s), fmt.Sprintf("%+v %#v", holder{s}, holder{s}), string(b), log.String()}
	for _, out := range all {
		if strings.Contains(out, "canary") || strings.Contains(out, fmt.Sprintf("%x", "canary")) {
			t.Errorf("the secret is in %q", out)
		}
	}
	if s.Reveal() != "the-canary" {
		t.Error("Reveal does not reveal")
	}
}

func TestSecret_Equal(t *testing.T) {
	t.Parallel()
	a := secret.NewSecret("a")
	if !a.Equal(secret.NewSecret("a")) || a.Equal(secret.NewSecret("b")) || a.Equal(secret.Secret{}) {
		t.Error("Equal is wrong")
	}
}

func TestSealer_OpensOnlyWithSameKeyAndPurpose(t *testing.T) {
	t.Parallel()
	vault := func(sec string) *seal.Sealer {
		v, err := seal.New(secret.NewSecret(sec))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	v, key := vault("one secret of qrgate"), secret.NewSecret("key-a")
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
		"another gate":    func() ([]byte, error) { return vault("another secret of it").Open(key, "tenant session 1", sealed) },
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
