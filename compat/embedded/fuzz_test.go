package embedded

import (
	"slices"
	"strings"
	"testing"

	"qrgate/internal/session"
)

// Keys that are accepted serve as keys of the engine, and can be written and read again. No error repeats a key.
func FuzzParseKeys(f *testing.F) {
	const canary = "canary.Zq7" // no name: a dot is not allowed in one
	f.Add("a:", "0123456789abcdef", "")
	f.Add("a:0123456789abcdef, b:", ":0123456789abcdef", ",c:")
	f.Add("", "", "")
	f.Add("a:0123456789abcdef,", "", "")
	f.Add("a:canary.Zq70123456789,b:", "0123456789", "")
	f.Fuzz(func(t *testing.T, before, key, after string) {
		keys, err := ParseKeys(before + canary + key + after)
		if err != nil {
			if strings.Contains(err.Error(), canary) {
				t.Errorf("the error has the key: %v", err)
			}
			return
		}
		if ring, err := newKeyring(keys); err != nil || len(keys) == 0 || len(ring) > len(keys) {
			t.Errorf("%d keys, %d in the ring: %v", len(keys), len(ring), err)
		}
		var entries []string
		for _, k := range keys {
			if !session.ValidID(k.Name) {
				t.Errorf("the name %q", k.Name)
			}
			entries = append(entries, k.Name+":"+k.Key.Reveal())
		}
		again, err := ParseKeys(strings.Join(entries, ","))
		if err != nil || !slices.Equal(keys, again) {
			t.Errorf("read again: %d keys, %v", len(again), err)
		}
	})
}
