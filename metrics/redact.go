package metrics

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"unicode"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

const redacted = "[redacted]"

// sessionAttr is the attribute that names a session.
const sessionAttr = "session"

// redact takes secrets out of an attribute, groups included.
func redact(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	switch {
	case v.Kind() == slog.KindGroup:
		return slog.Attr{Key: a.Key, Value: slog.GroupValue(redactAll(v.Group())...)}
	case secretKey(a.Key), codeKey(a.Key) && !plain(v):
		return slog.String(a.Key, redacted)
	case v.Kind() == slog.KindString:
		if a.Key == sessionAttr && session.ValidID(v.String()) {
			return a // a client's own id, which a log is searched by; no secret has its form and this place
		}
		return slog.String(a.Key, scrub(v.String()))
	case v.Kind() == slog.KindAny && v.Any() != nil:
		return slog.String(a.Key, scrubAny(v.Any()))
	}
	return slog.Attr{Key: a.Key, Value: v}
}

// scrubAny prints a value without its secrets. Raw bytes are somebody's body, and printed as numbers they
// would pass every search.
func scrubAny(v any) string {
	if b, ok := v.([]byte); ok {
		return fmt.Sprintf("[%d bytes]", len(b))
	}
	return scrub(fmt.Sprint(v))
}

func redactAll(attrs []slog.Attr) []slog.Attr {
	out := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		out[i] = redact(a)
	}
	return out
}

// secretKey reports whether the words of a key say that its value is nobody's business.
func secretKey(key string) bool {
	return slices.ContainsFunc(words(key), func(w string) bool {
		switch w {
		case "key", "apikey", "keys", "token", "tokens", "secret", "password", "authorization", "bearer", "cookie", "phone", "jid":
			return true
		}
		return false
	})
}

// codeKey reports whether a key may hold a pairing code, an image of one, or just an error's code.
func codeKey(key string) bool {
	return slices.ContainsFunc(words(key), func(w string) bool { return w == "code" || w == "qr" || w == "image" || w == "qrcode" })
}

// plain reports whether a value cannot be a pairing code: no text, or a word of the closed list.
func plain(v slog.Value) bool {
	switch v.Kind() {
	case slog.KindString:
		return listed(diagnosis.Code(v.String()))
	case slog.KindAny:
		c, ok := v.Any().(diagnosis.Code)
		return ok && listed(c)
	}
	return true
}

// listed reports whether a code is a cause of the closed list, or says that there is none.
func listed(c diagnosis.Code) bool {
	return c == "" || c == diagnosis.None || slices.Contains(diagnosis.Codes(), c)
}

// words splits api_key, api-key, apiKey, and X-API-Key alike, in small letters.
func words(key string) []string {
	var b strings.Builder
	small := false
	for _, r := range key {
		if small && unicode.IsUpper(r) {
			b.WriteByte(' ')
		}
		small = unicode.IsLower(r)
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			r = ' '
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return strings.Fields(b.String())
}
