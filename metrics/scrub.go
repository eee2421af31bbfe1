package metrics

import "regexp"

// The things that are taken out of texts. Order matters: an image holds base64, a code holds digits and
// base64, a JID holds a number. The last one spares what has slashes and dots, which are names of files
// and functions in a stack.
var (
	findImage  = regexp.MustCompile(`data:image/[a-z+.-]+;base64,[A-Za-z0-9+/=]*`)
	findLink   = regexp.MustCompile(`https://wa\.me/settings/linked_devices#\S*`)
	findCode   = regexp.MustCompile(`\d@[A-Za-z0-9+/=,_-]{20,}`)
	findJID    = regexp.MustCompile(`[0-9A-Za-z_.:-]+@(s\.whatsapp\.net|c\.us|lid|g\.us|hosted(\.lid)?|broadcast|newsletter)\b`)
	findBearer = regexp.MustCompile(`(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}`)
	findUser   = regexp.MustCompile(`://[^/@\s]+@`)
	findNumber = regexp.MustCompile(`\+\d[\d ]{6,}\d`)
	findBytes  = regexp.MustCompile(`\b[A-Za-z0-9_+=-]*[0-9][A-Za-z0-9_+=-]*\b`)
)

// traceLength is that of a trace id, the longest run of hex digits that may be logged.
const traceLength = 32

// scrub takes codes, keys, tokens and numbers out of a text.
func scrub(text string) string {
	if len(text) < 8 {
		return text
	}
	text = findImage.ReplaceAllLiteralString(text, "[image]")
	text = findLink.ReplaceAllLiteralString(text, "[code]")
	text = findCode.ReplaceAllLiteralString(text, "[code]")
	text = findJID.ReplaceAllLiteralString(text, "[jid]")
	text = findBearer.ReplaceAllLiteralString(text, "[credential]")
	text = findUser.ReplaceAllLiteralString(text, "://[credential]@")
	text = findNumber.ReplaceAllLiteralString(text, "[number]")
	return findBytes.ReplaceAllStringFunc(text, func(run string) string {
		if len(run) > traceLength+4 { // a UUID has 36 characters
			return "[bytes]"
		}
		return run
	})
}
