package proxy

import (
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"qrgate/internal/session"
)

// maxPath is the longest path accepted, in bytes as sent: the name of a file with accents needs six for each.
const maxPath = 2048

// sessionsPrefix begins every session route. Below it no escape is allowed, and no character that a
// session id may not have.
const sessionsPrefix = "/api/sessions"

// targetError is what is wrong with a request target, as a sentence for the client.
type targetError string

// Error is the sentence.
func (b targetError) Error() string { return string(b) }

// What checkPath and splitTarget can find.
const (
	errForm    targetError = "The request target must be a path that begins with a slash. Send \"GET /path\", not an absolute URL."
	errLong    targetError = "The path is too long. It may have 2048 bytes at most."
	errBytes   targetError = "The path holds a character that is not allowed there as it is. Escape it with a percent sign, or put it into the query or the body."
	errEscape  targetError = "The path holds a percent escape that servers read in different ways, or that is none. Write letters, digits and dots as they are, and put slashes, backslashes, percent signs, semicolons, # and ? into the query or the body."
	errSegment targetError = "The path holds an empty, \".\" or \"..\" segment. Send the path without it."
	errID      targetError = "The session id is not valid. It has 1 to 100 letters, digits, hyphens or underscores."
	errQuery   targetError = "The query holds a space, a control character or a \"#\". Escape it with a percent sign."
)

// splitTarget parts a raw request target into path and query, at the first "?".
func splitTarget(raw string) (path, query string, err error) {
	path, query, _ = strings.Cut(raw, "?")
	for i := range len(query) {
		if c := query[i]; c <= ' ' || c == 0x7f || c == '#' {
			return "", "", errQuery
		}
	}
	return path, query, nil
}

// checkPath decodes a raw path that can be read in one way only, and refuses every other (reliability 2.4):
// what Gin, a proxy and an Express engine would take for different routes. The path returned holds nothing
// left to decode, so that it can be encoded again for the engine.
func checkPath(raw string) (string, error) {
	if len(raw) > maxPath {
		return "", errLong
	}
	if raw == "" || raw[0] != '/' {
		return "", errForm
	}
	sessions := isSessions(raw)
	path, err := decodePath(raw, sessions)
	if err != nil {
		return "", err
	}
	for i, segment := range strings.Split(path[1:], "/") {
		last := len(path) == 1 || i == strings.Count(path, "/")-1
		if err := checkSegment(segment, last, sessions); err != nil {
			return "", err
		}
	}
	return path, nil
}

// checkSegment looks at one decoded segment. Only the last may be empty: the slash at the end of a path.
func checkSegment(segment string, last, sessions bool) error {
	switch {
	case segment == "":
		if !last {
			return errSegment
		}
	case segment == "." || segment == "..":
		return errSegment
	case sessions && !session.ValidID(segment):
		return errID
	}
	return nil
}

// isSessions reports whether an engine that ignores case would look for path below /api/sessions. No
// escape that decodePath accepts can spell a letter or a slash, so the raw path tells.
func isSessions(raw string) bool {
	n := len(sessionsPrefix)
	return len(raw) >= n && strings.EqualFold(raw[:n], sessionsPrefix) && (len(raw) == n || raw[n] == '/')
}

// decodePath undoes the escapes that every server reads alike: spaces, punctuation, and what is not ASCII, as the
// names of files have it. Below the session routes there is none.
func decodePath(raw string, sessions bool) (string, error) {
	var b strings.Builder
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c <= ' ' || c >= 0x7f || c == ';' || c == '\\' || c == '#' || c == '?':
			return "", errBytes
		case c != '%':
			b.WriteByte(c)
		case sessions || i+2 >= len(raw):
			return "", errEscape
		default:
			plain, err := hex.DecodeString(raw[i+1 : i+3])
			if err != nil || isRouteSignificant(plain[0]) {
				return "", errEscape
			}
			b.WriteByte(plain[0])
			i += 2
		}
	}
	if !utf8.ValidString(b.String()) {
		return "", errEscape // an overlong "." or "/", say
	}
	return b.String(), nil
}

// isRouteSignificant reports whether a byte could decide which route a path is on, or where it ends, so that its escape may
// mean something else to the next server than the byte itself. "-" and "_" decide too, but whatever they are part
// of is no route of ours, and JavaScript of old escaped them.
func isRouteSignificant(c byte) bool {
	switch {
	case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
		return true
	case c < ' ', c == 0x7f:
		return true
	}
	return strings.IndexByte(`/\.%;#?`, c) >= 0
}
