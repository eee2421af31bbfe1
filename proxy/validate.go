package proxy

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"qrgate/compat"
	"qrgate/internal/session"
)

// target is a request target that every server reads in the same way.
type target struct {
	raw   string // the path as the client wrote it
	path  string // decoded once
	query string // as the client wrote it
	route string // of a session route, or Unmatched
}

// validate checks the raw request line, the framing, the method and the announced size before qrgate, or any library,
// reads them in another way than the engine would.
func (h *Handler) validate(r *http.Request) (t target, refusal ownResponse) {
	t.route = Unmatched
	switch {
	case isAmbiguous(r):
		return t, validationProblem(textAmbiguous)
	case h.config.Loop.Seen(r.Header):
		return t, problem(http.StatusLoopDetected, compat.CodeEngineIsGate, textLoop)
	}
	raw := r.RequestURI
	if raw == "" { // a request that was made in this process
		raw = r.URL.RequestURI()
	} else if r.URL.Scheme == "http" || r.URL.Scheme == "https" { // absolute form (RFC 9112, 3.2.2)
		if r.URL.User != nil { // RFC 9110, 4.2.4
			return t, validationProblem(textForm)
		}
		_, raw, _ = strings.Cut(raw, "://"+r.URL.Host)
		raw = "/" + strings.TrimPrefix(raw, "/")
	}
	if raw == "*" && r.Method == http.MethodOptions { // the server as such (RFC 9110, 9.3.7)
		return target{raw: raw, path: raw, route: Unmatched}, ownResponse{}
	}
	text := ""
	if t, text = parseTarget(raw, h.config.Native == nil); text != "" {
		return t, validationProblem(text)
	}
	if r.Method == http.MethodConnect || r.Method == http.MethodTrace {
		return t, problem(http.StatusMethodNotAllowed, compat.CodeMethodNotAllowed, textMethod)
	}
	limit := h.config.limits.passThroughBody
	switch route, id, isNear := compat.MatchRoute(t.path); {
	case h.config.Native != nil, route == "": // the engine's own paths
	case t.raw != t.path: // an escaped letter that folds to an ASCII one
		return t, validationProblem(textEscape)
	case isNear: // Gin and the engine get the documented spelling
		t.path = strings.Replace(route, "{id}", id, 1)
		t.raw = t.path
		fallthrough
	default:
		t.route, limit = route, h.config.limits.sessionBody
	}
	if r.ContentLength > limit {
		return t, problem(http.StatusRequestEntityTooLarge, compat.CodePayloadTooLarge, textTooLarge)
	}
	return t, ownResponse{}
}

// setTarget puts the target and a body that is counted into the copy of the request.
func (w *responseWriter) setTarget(t target) {
	r := &w.request
	w.url = url.URL{Path: t.path, RawPath: t.raw, RawQuery: t.query, ForceQuery: r.URL.ForceQuery}
	r.URL = &w.url
	if r.ContentLength != 0 && r.Body != nil && r.Body != http.NoBody {
		w.body.ReadCloser, w.body.conn = r.Body, w.conn
		r.Body = &w.body
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

const (
	maxPathSize     = 8000 // bytes as sent; RFC 9112, 3 recommends that for a request line
	maxEscapeLevels = 4    // of escapes within escapes
)

// parseTarget splits a request target and decodes its path. It accepts a path only if Gin, a proxy and an engine find
// the same route for it, however often they decode it. text is what is wrong with it, or "".
func parseTarget(raw string, isDocumented bool) (t target, text string) {
	t.route = Unmatched
	t.raw, t.query, _ = strings.Cut(raw, "?")
	switch {
	case strings.ContainsFunc(t.query, func(c rune) bool { return c <= ' ' || c == 0x7f || c == '#' }):
		return t, textQuery
	case len(t.raw) > maxPathSize:
		return t, textLong
	case !strings.HasPrefix(t.raw, "/"):
		return t, textForm
	case strings.ContainsFunc(t.raw, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '\\' || c == '#' }):
		return t, textBytes
	}
	t.path, text = decodePath(t.raw, isDocumented)
	return t, text
}

// decodePath decodes a path once, and checks it as written and as a server reads it that decodes it more often.
func decodePath(raw string, isDocumented bool) (path, text string) {
	isSession := isDocumented && isSessionPath(raw)
	for level, current := 0, raw; level < maxEscapeLevels; level++ {
		if text = checkPath(current, isDocumented, isSession); text != "" {
			return "", text
		}
		next, err := url.PathUnescape(current)
		if level == 0 {
			path = next
		}
		if err != nil && level > 0 || next == current {
			return path, ""
		}
		current = next
	}
	return "", textEscape
}

// checkPath checks a path at one level of decoding. Some servers take a backslash for a slash, and ignore what follows
// a semicolon or a decoded "?". Some merge slashes, and some take what follows two slashes at the beginning for a host.
func checkPath(path string, isDocumented, isSession bool) (text string) {
	if strings.ContainsFunc(path, isControl) || hasOverlong(path) || path == "" {
		return textEscape
	}
	if !isSession {
		path = parameters.ReplaceAllLiteralString(strings.ReplaceAll(path, `\`, "/"), "")
		if isDocumented && isSessionPath(path) {
			return textEscape
		}
	}
	if strings.Contains(path, "//") &&
		(path[1] == '/' || isDocumented && isSessionPath(slashes.ReplaceAllLiteralString(path, "/"))) {
		return textSegment
	}
	for segment := range strings.SplitSeq(path[1:], "/") {
		switch {
		case segment == ".", segment == "..":
			return textSegment
		case isSession && segment != "" && segment != "qr.png" && !session.ValidID(segment):
			return textID
		}
	}
	return ""
}

var (
	parameters = regexp.MustCompile(`[?#].*|;[^/]*`)
	slashes    = regexp.MustCompile(`//+`)
)

func isControl(c rune) bool { return c < ' ' || c == 0x7f }

// hasOverlong reports whether lenient decoders find a "." or a "/" in bytes that are not valid UTF-8.
func hasOverlong(s string) bool {
	for i := range max(len(s)-1, 0) {
		lead, next := s[i], s[i+1]
		if next&0xc0 == 0x80 && (lead&0xfe == 0xc0 || lead == 0xe0 && next < 0xa0 || lead == 0xf0 && next < 0x90) {
			return true
		}
	}
	return false
}

// isSessionPath reports whether an engine that ignores case would look for path below the session routes. There no
// escape is allowed, and no character that a session id cannot have.
func isSessionPath(path string) bool {
	const n = len(compat.SessionsPath)
	return len(path) >= n && strings.EqualFold(path[:n], compat.SessionsPath) && (len(path) == n || path[n] == '/')
}
