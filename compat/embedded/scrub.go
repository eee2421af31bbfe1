package embedded

import (
	"regexp"
	"strings"

	"qrgate/internal/secret"
)

// What must not appear in a log, and what stands in its place. Order matters: a code holds digits and
// base64, and a JID holds a number.
var redactions = []struct {
	find *regexp.Regexp
	put  string
}{
	{regexp.MustCompile(`https://wa\.me/settings/linked_devices#\S*`), "[code]"},
	{regexp.MustCompile(`\d@[A-Za-z0-9+/=,_-]{40,}`), "[code]"},
	{regexp.MustCompile(`[0-9A-Za-z_.:-]+@(s\.whatsapp\.net|c\.us|lid|g\.us|msgr|hosted(\.lid)?|broadcast|newsletter)\b`), "[jid]"},
	{regexp.MustCompile(`[0-9A-Fa-f]{32,}`), "[bytes]"},
	{regexp.MustCompile(`[A-Za-z0-9+/_-]{40,}=*`), "[bytes]"},
	{regexp.MustCompile(`\+?\d{7,}`), "[number]"},
}

// scrub takes codes, keys, numbers and the given secrets out of a text.
func scrub(text string, secrets ...secret.Secret) string {
	for _, s := range secrets {
		if !s.Empty() {
			text = strings.ReplaceAll(text, s.Reveal(), "[redacted]")
		}
	}
	for _, u := range redactions {
		text = u.find.ReplaceAllString(text, u.put)
	}
	return text
}
