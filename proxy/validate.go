package proxy

import (
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"qrgate/compat"
	"qrgate/internal/session"
)

// target is what a request asks for, once it passed the gate.
type target struct {
	path  string // decoded once; no empty, "." or ".." segment, no escape left to decode
	query string // as the client wrote it
	route string // the template of the session route, or Unmatched
}

// validate is the gate: it looks at the raw request line, the method and the announced size, before anything
// has a chance to read them in another way than the engine will.
func (f *Handler) validate(r *http.Request) (target, *apiError) {
	t := target{route: Unmatched}
	if ambiguous(r) {
		return t, &apiError{http.StatusBadRequest, compat.CodeValidationError, textAmbiguous}
	}
	if f.config.Loop.Seen(r.Header) {
		return t, &apiError{http.StatusLoopDetected, compat.CodeEngineIsGate, textLoop}
	}
	raw, query, err := splitTarget(rawTarget(r))
	if err == nil {
		t.query = query
		t.path, err = checkPath(raw)
	}
	if err != nil {
		return t, &apiError{http.StatusBadRequest, compat.CodeValidationError, err.Error()}
	}
	if r.Method == http.MethodConnect || r.Method == http.MethodTrace {
		return t, &apiError{http.StatusMethodNotAllowed, compat.CodeMethodNotAllowed, textMethod}
	}
	route, near := f.routeSet.find(t.path)
	if near {
		return t, &apiError{http.StatusNotFound, compat.CodeNotFound, textPathNotCanonical}
	}
	t.route = route
	if r.ContentLength > f.bodyLimit(route) {
		return t, &apiError{http.StatusRequestEntityTooLarge, compat.CodePayloadTooLarge, textTooLarge}
	}
	return t, nil
}

const (
	textAmbiguous        = "The request can be read in two ways (Content-Length with Transfer-Encoding, a folded header or a bare line feed). Send one length and end lines with CR LF."
	textMethod           = "This method is not served here. Use the method that the documentation names for this path."
	textPathNotCanonical = "There is no such path. Write it exactly as documented: in lower case and without a slash at its end."
	textTooLarge         = "The body of the request is too large. Send a smaller one."
)

// rawTarget is the request target byte for byte. Requests made in process may lack one.
func rawTarget(r *http.Request) string {
	if r.RequestURI == "" {
		return r.URL.RequestURI()
	}
	return r.RequestURI
}

// bodyLimit is the largest body taken on a route, in bytes.
func (f *Handler) bodyLimit(route string) int64 {
	if route == Unmatched {
		return f.config.PassBody
	}
	return f.config.SessionBody
}

// apply puts the canonical target and a measured body into r, which must be a copy of the server's request.
func (t target) apply(r *http.Request, rec *responseWriter, c Config) *http.Request {
	r.URL = &url.URL{Path: t.path, RawQuery: t.query, ForceQuery: r.URL.ForceQuery}
	if r.ContentLength != 0 && r.Body != nil && r.Body != http.NoBody {
		rec.body = &requestBody{ReadCloser: r.Body, conn: http.NewResponseController(rec.ResponseWriter)}
		r.Body = rec.body
	}
	// What comes after a chunked request, or an HTTP/1.0 one, is never read as another request: a proxy
	// in front may see the border between the two elsewhere.
	rec.closeConn = len(r.TransferEncoding) > 0 || !r.ProtoAtLeast(1, 1)
	dropUpgrade(r.Header)
	return r
}

// dropUpgrade lets nothing but a websocket through: another protocol (h2c above all) would carry requests
// past the gate on an upgraded connection.
func dropUpgrade(h http.Header) {
	if up := h.Values("Upgrade"); len(up) > 1 || len(up) == 1 && !strings.EqualFold(up[0], "websocket") {
		h.Del("Upgrade")
	}
}

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
