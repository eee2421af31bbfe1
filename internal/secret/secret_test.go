package secret_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"qrgate/internal/secret"
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

func ExampleSecret() {
	key := secret.NewSecret("a-key")
	fmt.Println(key, key.Empty(), key.Reveal())
	// Output: [redacted] false a-key
}
