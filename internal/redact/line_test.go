package redact_test

import (
	"strings"
	"testing"

	"qrgate/internal/redact"
)

func TestLine_RemovesDigitsAndLongWords(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain words": "plain words",
		"call 5550100 now, or +15550100123 later": "call … now, or +… later",
		"key " + strings.Repeat("k", 32) + " bad": "key … bad",
		"key " + strings.Repeat("k", 31) + " bad": "key " + strings.Repeat("k", 31) + " bad",
		"a\nb\r\x00c\x7fd":                        "a b  c d",
		"net::ERR_PROXY_CONNECTION_FAILED at":     "net::ERR_PROXY_CONNECTION_FAILED at",
		`Get "https://web.whatsapp.com/ws/chat":`: `Get "https://web.whatsapp.com/ws/chat":`,
		"(UNABLE_TO_GET_ISSUER_CERT_LOCALLY)":     "(UNABLE_TO_GET_ISSUER_CERT_LOCALLY)",
		"KEY_" + strings.Repeat("K", 40):          "…",
		"2@abc,def,ghi,jkl,mno,pqr,stu,vwx,yza":   "…",
	} {
		if got := redact.Line(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := redact.Line(strings.Repeat("é ", 200)); len(got) > 200 || strings.ContainsRune(got, '\uFFFD') {
		t.Errorf("%d bytes: %q", len(got), got)
	}
}

func FuzzLine(f *testing.F) {
	f.Add("call 5550100 now")
	f.Add("\xff\xfe 123456 é")
	f.Fuzz(func(t *testing.T, in string) {
		out := redact.Line(in)
		digits := 0
		for _, c := range out {
			if digits++; c < '0' || c > '9' {
				digits = 0
			}
			if digits >= 6 || c < ' ' {
				t.Fatalf("%q → %q", in, out)
			}
		}
		if len(out) > 200 {
			t.Fatalf("%d bytes", len(out))
		}
	})
}
