package compat_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"strings"
	"testing"

	"qrgate/compat"
)

// pack compresses text by a content coding.
func pack(t *testing.T, coding, text string) string {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch coding {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "zlib":
		w = zlib.NewWriter(&b)
	case "flate":
		w, _ = flate.NewWriter(&b, flate.BestSpeed)
	}
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return b.String()
}

func TestReadBody_Codings(t *testing.T) {
	t.Parallel()
	const text = `{"success":true}`
	for name, c := range map[string]struct {
		coding, body, want string
		isComplete, fails  bool
	}{
		"none":                    {"", text, text, true, false},
		"identity":                {"identity", text, text, true, false},
		"gzip":                    {"gzip", pack(t, "gzip", text), text, true, false},
		"x-gzip in upper case":    {"X-GZIP", pack(t, "gzip", text), text, true, false},
		"deflate":                 {"deflate", pack(t, "zlib", text), text, true, false},
		"deflate without header":  {"deflate", pack(t, "flate", text), text, true, false},
		"two codings":             {"deflate, gzip", pack(t, "gzip", pack(t, "zlib", text)), text, true, false},
		"an empty body":           {"gzip", "", "", true, false},
		"an unknown coding":       {"br", text, text, true, false},
		"no gzip":                 {"gzip", text, "", false, true},
		"a truncated body":        {"gzip", pack(t, "gzip", text)[:20], "", false, true},
		"more than the bound":     {"gzip", pack(t, "gzip", strings.Repeat("x", 5000)), strings.Repeat("x", 1001), false, false},
		"more, without a coding":  {"", strings.Repeat("x", 5000), strings.Repeat("x", 1001), false, false},
		"exactly the whole bound": {"gzip", pack(t, "gzip", strings.Repeat("x", 1000)), strings.Repeat("x", 1000), true, false},
	} {
		res := &http.Response{Header: http.Header{"Content-Encoding": {c.coding}}, Body: io.NopCloser(strings.NewReader(c.body))}
		body, isComplete, err := compat.ReadBody(res, 1000)
		if isComplete != c.isComplete || (err != nil) != c.fails || !c.fails && string(body) != c.want {
			t.Errorf("%s: %q %t %v", name, body, isComplete, err)
		}
	}
}
