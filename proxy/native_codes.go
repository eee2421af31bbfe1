package proxy

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"qrgate/compat"
	"qrgate/compat/dialect"
)

// qrRequest is the request that reads the code in the form of the engine's other routes.
func (n *nativeRequest) qrRequest() *http.Request {
	r := n.request.Clone(n.ctx())
	call := n.front.dialect.Native.QR
	r.Method, r.Body, r.ContentLength = call.Method, http.NoBody, 0
	r.Header.Del("Content-Length")
	r.Header.Del("Content-Type")
	raw := strings.ReplaceAll(call.Path, "{name}", url.PathEscape(n.name))
	r.URL = &url.URL{RawPath: raw, RawQuery: call.Query}
	r.URL.Path, _ = url.PathUnescape(raw) // PathEscape made it
	return r
}

// showCode returns the engine's response to a request that reads the code, once for all clients that ask alike with one
// credential. It reports false if the response shows no code, or an old one.
func (n *nativeRequest) showCode(r *http.Request) (compat.Response, bool) {
	front, key := n.front, n.shownKey(r)
	if response, ok := front.shown.get(key, front.codes); ok {
		return response, true
	}
	if front.dialect.Traits.QRBegins {
		return n.renderCode(), true
	}
	v, err, _ := front.shown.flights.Do(key, func() (any, error) {
		response, err := n.capture(r)
		if err != nil {
			return nil, err
		}
		outcome := n.outcome(dialect.QR, response)
		if outcome.IsError || outcome.Session.Code == "" {
			return nil, errors.ErrUnsupported
		}
		isGood, err := front.codes.Record(n.name, outcome.Session.Code, response.At, response.At)
		if err != nil || !isGood {
			return nil, errors.ErrUnsupported
		}
		front.shown.put(key, n.name, response, front.codes)
		return response, nil
	})
	response, _ := v.(compat.Response)
	return response, err == nil
}

// renderCode is a response that shows a code which another replica obtained: asking the engine would end it.
func (n *nativeRequest) renderCode() compat.Response {
	native := n.front.dialect.Native
	expiresAt, image, _ := n.front.codes.Code(n.name, time.Now())
	path := native.Pictures + "scan-qr-" + rand.Text() + ".png"
	_, b64, _ := strings.Cut(image.Reveal(), ",")
	raw, _ := base64.StdEncoding.DecodeString(b64) // an image in the documented form
	picture := compat.Response{Status: http.StatusOK, Header: http.Header{"Content-Type": {"image/png"}}, Body: raw}
	n.front.pictures.put(path, n.name, picture, n.front.codes)
	link := "http://" + n.request.Host + path
	if n.request.TLS != nil || n.request.Header.Get("X-Forwarded-Proto") == "https" {
		link = "https" + strings.TrimPrefix(link, "http")
	}
	return compat.Response{
		Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, At: time.Now(),
		Body: native.Render(n.name, link, secondsUntil(expiresAt, time.Now())),
	}
}

// shownKey names the responses that are the same for all clients with one credential. Where each call for a code begins
// a pairing, they are the same for all clients that the engine accepts.
func (n *nativeRequest) shownKey(r *http.Request) string {
	if n.front.dialect.Traits.QRBegins {
		return n.name
	}
	return strings.Join([]string{
		string(n.caller.Tenant), r.Method, r.URL.EscapedPath(), withoutWait(r.URL.RawQuery), r.Header.Get("Accept"),
	}, "\x00")
}

// shownResponses keeps the engine's responses that show a code, as long as the code is the session's present one.
type shownResponses struct {
	flights singleflight.Group

	mu      sync.Mutex
	entries map[string]shownResponse
}

type shownResponse struct {
	response   compat.Response
	name, code string
}

// maxShown bounds the responses that are kept, of about five kilobytes each.
const maxShown = 5000

func (s *shownResponses) get(key string, codes *dialect.Codes) (compat.Response, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.entries[key]
	if ok && codes.Present(e.name, time.Now()) != e.code {
		delete(s.entries, key)
		return compat.Response{}, false
	}
	return e.response, ok
}

// put keeps a response that shows the present code of a session.
func (s *shownResponses) put(key, name string, response compat.Response, codes *dialect.Codes) {
	code := codes.Present(name, time.Now())
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.entries) >= maxShown {
		clear(s.entries) // the engine is asked again
	}
	if code != "" {
		s.entries[key] = shownResponse{response, name, code}
	}
}

// fetchPicture reads the picture that a link leads to, and returns it as a code too. Only the link's path counts.
func (n *nativeRequest) fetchPicture(link string) (picture compat.Response, code string) {
	r := n.request.Clone(n.ctx())
	r.Method, r.Body, r.ContentLength = http.MethodGet, http.NoBody, 0
	r.URL = &url.URL{Path: pathOf(link)}
	picture, err := n.capture(r)
	if err != nil || picture.Status != http.StatusOK {
		return compat.Response{}, ""
	}
	return picture, base64.StdEncoding.EncodeToString(picture.Body)
}

// pathOf is the path of a link; "" if it is none.
func pathOf(link string) string {
	u, err := url.Parse(link)
	if err != nil {
		return ""
	}
	return u.Path
}

// servePicture serves the picture of a code as long as the code is good: engines delete it earlier.
func (f *NativeFront) servePicture(w *responseWriter, path string) bool {
	prefix := f.dialect.Native.Pictures
	if prefix == "" || !strings.HasPrefix(path, prefix) || w.request.Method != http.MethodGet {
		return false
	}
	picture, ok := f.pictures.get(w.request.URL.Path, f.codes)
	if ok {
		writeResponse(w, picture, "")
	}
	return ok
}

// hasPicture reports whether a path leads to the picture of a code that is good.
func (f *NativeFront) hasPicture(path string) bool {
	_, ok := f.pictures.get(path, f.codes)
	return ok
}

// lastResponses keeps what an engine said last to requests that begin a pairing and got no code.
type lastResponses struct {
	mu        sync.Mutex
	responses map[string]compat.Response
}

// lastResponseTTL is above the default wait: a client that waited for another's request gets what that one got.
const lastResponseTTL = 30 * time.Second

func (l *lastResponses) put(key string, r compat.Response) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.responses) >= maxShown {
		clear(l.responses) // the engine is asked again
	}
	l.responses[key] = r
}

func (l *lastResponses) get(key string) (compat.Response, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, ok := l.responses[key]
	if ok && time.Since(r.At) > lastResponseTTL {
		delete(l.responses, key)
		return compat.Response{}, false
	}
	return r, ok
}
