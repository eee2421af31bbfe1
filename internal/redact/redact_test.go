package redact_test

import (
	"strings"
	"testing"

	"qrgate/internal/redact"
	"qrgate/internal/secret"
)

func TestForeign_RemovesSecretsAndKeepsTheRest(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("Ab1+/", 12)
	tests := map[string]struct{ text, want string }{
		"nothing":      {"Got 503 stream error, assuming automatic reconnect", "Got 503 stream error, assuming automatic reconnect"},
		"a code":       {"Emitting 2@" + long + "," + long + "= now", "Emitting [code] now"},
		"a link":       {"at https://wa.me/settings/linked_devices#2@x,y,z here", "at [code] here"},
		"a JID":        {"Successfully paired 5550100:7@s.whatsapp.net", "Successfully paired [jid]"},
		"a LID":        {"Updated LID to 95550100.0:7@lid!", "Updated LID to [jid]!"},
		"a group":      {"in 5550100-1600000000@g.us", "in [jid]"},
		"a number":     {"for +5550100 and 15550100", "for [number] and [number]"},
		"hexadecimal":  {"Unknown: <ref>" + strings.Repeat("0a", 20) + "</ref>", "Unknown: <ref>[bytes]</ref>"},
		"base64":       {"key " + long + "==.", "key [bytes]."},
		"a page":       {"GET /pair/MIN4UFDU6ME32YAQRL3474MZBW/events", "GET /pair/[token]/events"},
		"given secret": {"dial user:hunter2@host", "dial user:[redacted]@host"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := redact.Foreign(tt.text, secret.NewSecret("hunter2"), secret.Secret{}); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestText_KeepsTraceIDsAndRemovesKeys(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ text, want string }{
		"a page":     {"/pair/MIN4UFDU6ME32YAQRL3474MZBW", "/pair/[token]"},
		"trace id":   {"trace 4bf92f3577b34da6a3ce929d0e0e4736", "trace 4bf92f3577b34da6a3ce929d0e0e4736"},
		"UUID":       {"id 3f2504e0-4f89-11d3-9a0c-0305e82c3301", "id 3f2504e0-4f89-11d3-9a0c-0305e82c3301"},
		"long key":   {"key " + strings.Repeat("a1", 20), "key [bytes]"},
		"image":      {"got data:image/png;base64,iVBORw0KGgo=", "got [image]"},
		"bearer":     {"Authorization: Bearer abcdefgh12", "Authorization: [credential]"},
		"URL user":   {"redis://user:hunter2@host/0", "redis://[credential]@host/0"},
		"phone":      {"call +1 555 010 0000", "call [number]"},
		"short text": {"ok", "ok"},
	}
	for name, tt := range tests {
		if got := redact.Text(tt.text); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

func TestLine_IsOneShortLineWithoutLongWords(t *testing.T) {
	t.Parallel()
	got := redact.Line("bad\n5550100 " + strings.Repeat("x", 40) + " " + strings.Repeat("word ", 60))
	if strings.ContainsAny(got, "\n") || strings.Contains(got, "5550100") || strings.Contains(got, "xxx") || len(got) > 200 {
		t.Errorf("%q", got)
	}
}

func TestLine_KeepsTheCauseThatComesLast(t *testing.T) {
	t.Parallel()
	got := redact.Line("connect: " + strings.Repeat("wrapped: ", 40) + "no such host\n    at Socket.emit (node:events:519:28)")
	if len(got) > 200 || !strings.HasPrefix(got, "connect: ") || !strings.HasSuffix(got, ": no such host") {
		t.Errorf("%q", got)
	}
}

func TestLine_KeepsTheHostInAnErrorOfPython(t *testing.T) {
	t.Parallel()
	const text = "HTTPConnectionPool(host='f4fdf59d-whatsapp-addon', port=3000): Max retries exceeded"
	if got := redact.Line(text); got != text {
		t.Errorf("%q", got)
	}
}

func TestName_MasksNumbersAndLongNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"shop-7":                           "shop-7",
		"555 010-00":                       "•••00",
		"a\x00b":                           "a·b",
		"abcdefghijklmnopqrstuvwxyzABCDEF": "abcdefghijklmnop…ABCDEF",
	} {
		if got := redact.Name(name); got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
}

func TestText_ShortTextsAreRedactedToo(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"7@s.whatsapp.net": "[jid]", "Bearer abcdefgh": "[credential]", "Basic\tabcdefgh": "[credential]", "+5550100 100": "[number]",
		"a://b:c@d": "a://[credential]@d", "/api/sessions/{id}/qr": "/api/sessions/{id}/qr",
	} {
		if got := redact.Text(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}
