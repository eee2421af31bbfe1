package embedded

import (
	"log/slog"
	"strings"
	"testing"

	"qrgate/internal/secret"
)

func TestScrub(t *testing.T) {
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
		"given secret": {"dial user:hunter2@host", "dial user:[redacted]@host"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := scrub(tt.text, secret.NewSecret("hunter2"), secret.Secret{}); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// Of the library only what is meant for people comes through, and scrubbed.
func TestLibraryLog(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	l := libraryLog{log: slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug}))}.Sub("Client").Sub("QRChannel")
	l.Debugf("Emitting QR code %s", "a code")
	if b.Len() > 0 {
		t.Errorf("debug comes through: %s", b.String())
	}
	l.Infof("info about %s", "5550100@s.whatsapp.net")
	l.Warnf("warning")
	l.Errorf("error")
	l.Sub("Socket").Errorf("closed")
	for _, want := range []string{"level=DEBUG msg=closed", "level=DEBUG msg=\"info about [jid]\"", "level=WARN msg=warning", "level=ERROR msg=error", "module=Client/QRChannel"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %s in\n%s", want, b.String())
		}
	}
}
