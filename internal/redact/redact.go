// Package redact removes credentials and personal data from text before it is logged, traced or shown: QR codes and
// their images, pairing links and pages, keys, bearer tokens, JIDs and phone numbers.
package redact

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"qrgate/internal/secret"
)

// The order matters: an image contains base64, a code contains digits and base64, a JID contains a number.
var (
	image  = regexp.MustCompile(`data:image/[a-z+.-]+;base64,[A-Za-z0-9+/=]*`)
	link   = regexp.MustCompile(`https://wa\.me/settings/linked_devices#\S*`)
	page   = regexp.MustCompile(`/pair/[A-Za-z0-9]{8,}`)
	code   = regexp.MustCompile(`\d@[A-Za-z0-9+/=,_-]{20,}`)
	jid    = regexp.MustCompile(`[\w.:-]+@(s\.whatsapp\.net|c\.us|lid|g\.us|msgr|hosted(\.lid)?|broadcast|newsletter)\b`)
	bearer = regexp.MustCompile(`(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}`)
	user   = regexp.MustCompile(`://[^/@\s]+@`)
	phone  = regexp.MustCompile(`\+\d[\d ]{6,}\d`)
	word   = regexp.MustCompile(`\b[A-Za-z0-9_+=-]*[0-9][A-Za-z0-9_+=-]*\b`)
	hexRun = regexp.MustCompile(`[0-9A-Fa-f]{32,}`)
	base64 = regexp.MustCompile(`[A-Za-z0-9+/_-]{40,}=*`)
	number = regexp.MustCompile(`\+?\d{7,}`)
)

// maxWord is the longest word with a digit that Text keeps: a UUID. A trace id has 32 characters.
const maxWord = 36

// Text redacts a text of qrgate itself. It keeps what logs need: trace ids, UUIDs, durations, file paths.
func Text(text string) string {
	if len(text) < 8 || isHarmless(text) {
		return text
	}
	text = common(text)
	text = phone.ReplaceAllLiteralString(text, "[number]")
	return word.ReplaceAllStringFunc(text, func(w string) string {
		if len(w) > maxWord {
			return "[bytes]"
		}
		return w
	})
}

// isHarmless reports whether no pattern of Text can match: the text has at most maxWord bytes, and no character that
// each pattern needs. It spares the lines of the access log eight regular expressions per attribute.
func isHarmless(text string) bool {
	return len(text) <= maxWord && !strings.ContainsAny(text, "@#;+ \t\n\v\f\r") && !strings.Contains(text, "/pair/")
}

// Foreign redacts a text that a library or a server wrote: also every number of seven digits, every long run of
// hexadecimal or base64 digits, and the given secrets.
func Foreign(text string, secrets ...secret.Secret) string {
	for _, s := range secrets {
		if !s.Empty() {
			text = strings.ReplaceAll(text, s.Reveal(), "[redacted]")
		}
	}
	text = common(text)
	text = hexRun.ReplaceAllLiteralString(text, "[bytes]")
	text = base64.ReplaceAllLiteralString(text, "[bytes]")
	return number.ReplaceAllLiteralString(text, "[number]")
}

func common(text string) string {
	text = image.ReplaceAllLiteralString(text, "[image]")
	text = link.ReplaceAllLiteralString(text, "[code]")
	text = page.ReplaceAllLiteralString(text, "/pair/[token]")
	text = code.ReplaceAllLiteralString(text, "[code]")
	text = jid.ReplaceAllLiteralString(text, "[jid]")
	text = bearer.ReplaceAllLiteralString(text, "[credential]")
	return user.ReplaceAllLiteralString(text, "://[credential]@")
}

var (
	longWord = regexp.MustCompile(`[^\s]{32,}`)
	// errorName is a name of an error, as Node.js and Chromium have, the host in an error of Python, or an address of
	// WhatsApp.
	errorName = regexp.MustCompile(`^\W*(?:net::)?[A-Z]{2,12}(?:_[A-Z]{2,12}){3,7}\W*$|` +
		`^\W*HTTPS?ConnectionPool\(host='[a-z0-9.-]{1,40}',$|` +
		`^\W*(?:https|wss)://[a-z]{1,8}\.whatsapp\.(?:com|net)/[a-z/]*\W*$`)
	longDigits = regexp.MustCompile(`\d{6,}`)
)

// maxLine is the longest text, in bytes, that Line returns, and lineHead is what it keeps of the beginning of a longer
// one: many programs put the cause last.
const (
	maxLine  = 200
	lineHead = 80
)

// Line reduces the text of an engine's error to one printable line of at most 200 bytes, without a stack trace. It
// removes every word of 32 characters but names of errors, and every number of six digits, whatever they are.
func Line(text string) string {
	text, _, _ = strings.Cut(text, "\n    at ")
	text = longWord.ReplaceAllStringFunc(text, func(word string) string {
		if errorName.MatchString(word) {
			return word
		}
		return "…"
	})
	text = longDigits.ReplaceAllString(text, "…")
	text = strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f {
			return ' '
		}
		return r
	}, text)
	if len(text) > maxLine {
		tail := len(text) - maxLine + lineHead + len("…")
		text = strings.ToValidUTF8(text[:lineHead], "") + "…" + strings.ToValidUTF8(text[tail:], "")
	}
	return text
}

// nameDigits may be a phone number: clients like to name sessions after it.
var nameDigits = regexp.MustCompile(`[0-9](?:[0-9 ._-]*[0-9]){6,}`)

// The parts of a long name that Name keeps: enough to distinguish two sessions, too little for a key.
const (
	maxName  = 28
	nameHead = 16
	nameTail = 6
)

// Name masks the name of a session for display: phone numbers, long names, and characters that do not print.
func Name(name string) string {
	name = nameDigits.ReplaceAllStringFunc(name, func(n string) string { return "•••" + n[len(n)-2:] })
	name = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '·'
		}
		return r
	}, name)
	if utf8.RuneCountInString(name) > maxName {
		runes := []rune(name)
		return string(runes[:nameHead]) + "…" + string(runes[len(runes)-nameTail:])
	}
	return name
}
