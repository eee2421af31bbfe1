package proxy

import (
	"net/http"
	"net/url"
	"strings"

	"qrgate/compat"
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
