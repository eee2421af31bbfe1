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

// target is a request target that every server reads in the same way.
type target struct {
	path  string // decoded once; without an empty, "." or ".." segment, and without an escape
	query string // as the client wrote it
	route string // of a session route, or Unmatched
}

// validate checks the raw request line, the framing, the method and the announced size before qrgate, or any library,
// reads them in another way than the engine would.
func (h *Handler) validate(r *http.Request) (target, *apiError) {
	t := target{route: Unmatched}
	if isAmbiguous(r) {
		return t, &apiError{http.StatusBadRequest, compat.CodeValidationError, textAmbiguous}
	}
	if h.config.Loop.Seen(r.Header) {
		return t, &apiError{http.StatusLoopDetected, compat.CodeEngineIsGate, textLoop}
	}
	var err error
	if t.path, t.query, err = parseTarget(rawTarget(r)); err != nil {
		return t, &apiError{http.StatusBadRequest, compat.CodeValidationError, err.Error()}
	}
	if r.Method == http.MethodConnect || r.Method == http.MethodTrace {
		return t, &apiError{http.StatusMethodNotAllowed, compat.CodeMethodNotAllowed, textMethod}
	}
	limit := h.config.limits.passThroughBody
	switch route, _, near := compat.MatchRoute(t.path); {
	case near:
		return t, &apiError{http.StatusNotFound, compat.CodeNotFound, textPathNotCanonical}
	case route != "":
		t.route, limit = route, h.config.limits.sessionBody
	}
	if r.ContentLength > limit {
		return t, &apiError{http.StatusRequestEntityTooLarge, compat.CodePayloadTooLarge, textTooLarge}
	}
	return t, nil
}

const (
	textAmbiguous = "The request's framing is ambiguous (Content-Length with Transfer-Encoding, a folded header " +
		"or a bare line feed). Send one length, and end lines with CR LF."
	textMethod           = "Method not allowed. Use the method that the documentation gives for this path."
	textPathNotCanonical = "Not found. Paths are lower case and have no trailing slash."
	textTooLarge         = "The request body is too large. Send a smaller one."
)

// setTarget puts the target and a body that is counted into the copy of the request.
func (w *responseWriter) setTarget(t target) {
	r := &w.request
	w.url = url.URL{Path: t.path, RawQuery: t.query, ForceQuery: r.URL.ForceQuery}
	r.URL = &w.url
	if r.ContentLength != 0 && r.Body != nil && r.Body != http.NoBody {
		w.body = &requestBody{ReadCloser: r.Body, conn: w.conn}
		r.Body = w.body
	}
	// What follows a chunked request, or an HTTP/1.0 one, is never read as another request: a proxy in front of qrgate may
	// see the end of the request elsewhere.
	w.closeConn = len(r.TransferEncoding) > 0 || !r.ProtoAtLeast(1, 1)
	// Only websockets may be upgraded: another protocol, above all h2c, would carry requests that nothing validates.
	if up := r.Header["Upgrade"]; len(up) > 1 || len(up) == 1 && !strings.EqualFold(up[0], "websocket") {
		r.Header = r.Header.Clone()
		r.Header.Del("Upgrade")
	}
}

// rawTarget is the request target byte for byte. A request that was made in this process may lack one.
func rawTarget(r *http.Request) string {
	if r.RequestURI == "" {
		return r.URL.RequestURI()
	}
	return r.RequestURI
}

const (
	maxPathSize = 2048 // bytes as sent: an accented letter in a file's name takes six
	ruleID      = "A session id has 1 to 100 characters: letters, digits, hyphens and underscores."
)

// targetError is what is wrong with a request target, as a sentence for the client.
type targetError string

// Error implements error.
func (e targetError) Error() string { return string(e) }

const (
	errForm targetError = "The request target must be a path that begins with a slash. " +
		"Send \"GET /path\", not an absolute URL."
	errLong  targetError = "The path is too long. The limit is 2048 bytes."
	errBytes targetError = "The path contains a character that must be escaped. " +
		"Escape it, or pass it in the query or body."
	errEscape targetError = "The path contains an invalid or ambiguous percent-escape. " +
		"Do not escape letters, digits or dots; " +
		"pass other characters in the query or body."
	errSegment targetError = "The path contains an empty, \".\" or \"..\" segment. Remove it."
	errID      targetError = ruleID + " Correct the id in the path."
	errQuery   targetError = "The query contains a space, a control character or a \"#\". Escape it."
)

// parseTarget splits a raw request target at the first "?" and decodes the path. It accepts a path only if Gin, a proxy
// and an Express engine find the same route for it. The path returned has no escape left, so that it can be escaped
// again for the engine.
func parseTarget(raw string) (path, query string, err error) {
	path, query, _ = strings.Cut(raw, "?")
	for i := range len(query) {
		if c := query[i]; c <= ' ' || c == 0x7f || c == '#' {
			return "", "", errQuery
		}
	}
	switch {
	case len(path) > maxPathSize:
		return "", "", errLong
	case path == "" || path[0] != '/':
		return "", "", errForm
	}
	isSession := isSessionPath(path)
	if path, err = decodePath(path, isSession); err != nil {
		return "", "", err
	}
	return path, query, checkSegments(path, isSession)
}

// checkSegments checks a decoded path. Only its last segment may be empty: a trailing slash.
func checkSegments(path string, isSession bool) error {
	for rest, more := path[1:], true; more; {
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		switch {
		case segment == "" && more, segment == ".", segment == "..":
			return errSegment
		case isSession && segment != "" && !session.ValidID(segment):
			return errID
		}
	}
	return nil
}

// isSessionPath reports whether an engine that ignores case would look for path below the session routes. There no
// escape is allowed, and no character that a session id cannot have. No escape that decodePath accepts can spell a
// letter or a slash, so the raw path is enough.
func isSessionPath(raw string) bool {
	const n = len(compat.SessionsPath)
	return len(raw) >= n && strings.EqualFold(raw[:n], compat.SessionsPath) && (len(raw) == n || raw[n] == '/')
}

// decodePath decodes the escapes that every server decodes alike: spaces, punctuation and what is not ASCII, such as
// the names of files. A path of a session has none.
func decodePath(raw string, isSession bool) (string, error) {
	decoded := make([]byte, 0, 128)
	escapes := 0
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c <= ' ' || c >= 0x7f || c == ';' || c == '\\' || c == '#' || c == '?':
			return "", errBytes
		case c != '%':
			decoded = append(decoded, c)
		case isSession || i+2 >= len(raw):
			return "", errEscape
		default:
			var b [1]byte
			if _, err := hex.Decode(b[:], []byte(raw[i+1:i+3])); err != nil || isRouteSignificant(b[0]) {
				return "", errEscape
			}
			decoded = append(decoded, b[0])
			escapes++
			i += 2
		}
	}
	switch {
	case escapes == 0:
		return raw, nil
	case !utf8.Valid(decoded):
		return "", errEscape // such as an overlong "." or "/"
	}
	return string(decoded), nil
}

// isRouteSignificant reports whether a byte could decide which route a path is on, or where it ends, so that another
// server may read its escape as something else than the byte itself. "-" and "_" decide too, but no route of qrgate
// has them, and old JavaScript escapes them.
func isRouteSignificant(c byte) bool {
	switch {
	case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
		return true
	case c < ' ', c == 0x7f:
		return true
	}
	return strings.IndexByte(`/\.%;#?`, c) >= 0
}
