package qrgate_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"qrgate"
)

func TestSecretPrintsNowhere(t *testing.T) {
	t.Parallel()
	s := qrgate.NewSecret("the-canary")
	type holder struct{ Key qrgate.Secret }
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

func TestSecretEqual(t *testing.T) {
	t.Parallel()
	a := qrgate.NewSecret("a")
	if !a.Equal(qrgate.NewSecret("a")) || a.Equal(qrgate.NewSecret("b")) || a.Equal(qrgate.Secret{}) {
		t.Error("Equal is wrong")
	}
}

func TestVaultOpensOnlyForTheSameKeyAndPurpose(t *testing.T) {
	t.Parallel()
	vault := func(secret string) *qrgate.Sealer {
		v, err := qrgate.NewVault(qrgate.NewSecret(secret))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	v, key := vault("one secret of the gate"), qrgate.NewSecret("key-a")
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
		"another key":     func() ([]byte, error) { return v.Open(qrgate.NewSecret("key-b"), "tenant session 1", sealed) },
		"another purpose": func() ([]byte, error) { return v.Open(key, "tenant session 2", sealed) },
		"another gate":    func() ([]byte, error) { return vault("another secret of it").Open(key, "tenant session 1", sealed) },
		"an altered byte": func() ([]byte, error) { return v.Open(key, "tenant session 1", altered) },
		"a short value":   func() ([]byte, error) { return v.Open(key, "tenant session 1", sealed[:5]) },
		"nothing":         func() ([]byte, error) { return v.Open(key, "tenant session 1", nil) },
	} {
		if plain, err := open(); !errors.Is(err, qrgate.ErrDecrypt) {
			t.Errorf("%s opens it: %q, %v", name, plain, err)
		}
	}
	if v.Tenant(key) == v.Tenant(qrgate.NewSecret("key-b")) || len(v.Tenant(key)) != 32 || strings.Contains(string(v.Tenant(key)), "key") {
		t.Errorf("Tenant: %q", v.Tenant(key))
	}
	if _, err := qrgate.NewVault(qrgate.NewSecret("short")); err == nil {
		t.Error("a short secret is accepted")
	}
}

func TestABearerNeverPassesForAKey(t *testing.T) {
	t.Parallel()
	key := qrgate.Caller{Key: qrgate.NewSecret("x")}
	bearer := qrgate.Caller{Bearer: qrgate.NewSecret("x")}
	both := qrgate.Caller{Key: qrgate.NewSecret("x"), Bearer: qrgate.NewSecret("y")}
	if key.Credential().Equal(bearer.Credential()) {
		t.Error("a key and a bearer token of the same text are one credential")
	}
	if !key.Credential().Equal(both.Credential()) {
		t.Error("the key decides (contract C16), and a bearer beside it changed who it is")
	}
}
