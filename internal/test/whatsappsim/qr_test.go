package whatsappsim_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"qrgate/internal/test/whatsappsim"
)

// text makes the fields of a code whose keys are 32 times the given bytes.
func text(ref string, keys ...byte) string {
	fields := []string{ref}
	for _, k := range keys {
		fields = append(fields, base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{k}, 32)))
	}
	return strings.Join(fields, ",")
}

const prefix = "https://wa.me/settings/linked_devices#"

func TestParseQR(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		code string
		ok   bool
	}{
		"bare list":           {text("2@ref", 1, 2, 3), true},
		"bare list, client":   {text("2@ref", 1, 2, 3) + ",1", true},
		"link":                {prefix + text("2@ref", 1, 2, 3) + ",1", true},
		"empty":               {"", false},
		"link without fields": {prefix, false},
		"no ref":              {text("", 1, 2, 3), false},
		"a key too few":       {text("2@ref", 1, 2), false},
		"a short key":         {text("2@ref", 1, 2) + ",AAAA", false},
		"no base64":           {text("2@ref", 1, 2) + ",!", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ref, noise, identity, adv, err := whatsappsim.ParseQR(tt.code)
			if !tt.ok {
				if !errors.Is(err, whatsappsim.ErrQR) || ref != "" || noise != nil {
					t.Errorf("%q, %x, %v", ref, noise, err)
				}
				return
			}
			if err != nil || ref != "2@ref" || noise[0] != 1 || identity[0] != 2 || adv[31] != 3 {
				t.Errorf("%q, %x, %x, %x, %v", ref, noise, identity, adv, err)
			}
		})
	}
}

// Whatever is parsed can be written again and parsed to the same.
func FuzzParseQR(f *testing.F) {
	f.Add(text("2@ref", 1, 2, 3))
	f.Add(prefix + text("2@ref", 1, 2, 3) + ",1")
	f.Add(prefix)
	f.Add(",,,#,,,")
	f.Fuzz(func(t *testing.T, code string) {
		ref, noise, identity, adv, err := whatsappsim.ParseQR(code)
		if err != nil {
			if !errors.Is(err, whatsappsim.ErrQR) {
				t.Fatalf("%v is no ErrQR", err)
			}
			return
		}
		b64 := base64.StdEncoding.EncodeToString
		again := prefix + strings.Join([]string{ref, b64(noise), b64(identity), b64(adv)}, ",")
		ref2, noise2, identity2, adv2, err := whatsappsim.ParseQR(again)
		if err != nil || ref2 != ref || !bytes.Equal(bytes.Join([][]byte{noise, identity, adv}, nil), bytes.Join([][]byte{noise2, identity2, adv2}, nil)) {
			t.Fatalf("%q became %q: %v", code, again, err)
		}
	})
}
