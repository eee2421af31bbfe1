package proxy

import (
	"strings"

	"qrgate"
)

// maxPath is the longest path accepted, in bytes as sent.
const maxPath = 512

// sessionsPrefix begins every session route. Below it no escape is allowed, and no character that a
// session id may not have.
const sessionsPrefix = "/api/sessions"

// badTarget is what is wrong with a request target, as a sentence for the client.
type badTarget string

// Error is the sentence.
func (b badTarget) Error() string { return string(b) }

// What checkPath and splitTarget can find.
const (
	errForm    badTarget = "The request target must be a path that begins with a slash. Send \"GET /path\", not an absolute URL."
	errLong    badTarget = "The path is too long. It may have 512 bytes at most."
	errBytes   badTarget = "The path holds a character that is not allowed there. Use letters, digits and - . _ ~ @ : + and put everything else into the query or the body."
	errEscape  badTarget = "The path holds a percent escape that is not allowed there. Write the character itself."
	errSegment badTarget = "The path holds an empty, \".\" or \"..\" segment. Send the path without it."
	errID      badTarget = "The session id is not valid. It has 1 to 100 letters, digits, hyphens or underscores."
	errQuery   badTarget = "The query holds a space, a control character or a \"#\". Escape it with a percent sign."
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
	case sessions && !qrgate.ValidID(segment):
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

// decodePath undoes the few escapes that clients need: the "@", ":" and "+" of WhatsApp ids and what
// JavaScript encodes beside them.
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
			plain, ok := unescape(raw[i+1], raw[i+2])
			if !ok {
				return "", errEscape
			}
			b.WriteByte(plain)
			i += 2
		}
	}
	return b.String(), nil
}

// unescape decodes %40 %2B %3A %2D %5F, in either case, and nothing else.
func unescape(hi, lo byte) (byte, bool) {
	switch [2]byte{hi, lo | 0x20} { // only letters change: "0" and "4" have the bit already
	case [2]byte{'4', '0'}:
		return '@', true
	case [2]byte{'2', 'b'}:
		return '+', true
	case [2]byte{'3', 'a'}:
		return ':', true
	case [2]byte{'2', 'd'}:
		return '-', true
	case [2]byte{'5', 'f'}:
		return '_', true
	}
	return 0, false
}
