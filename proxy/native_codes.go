package proxy

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

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

// fetchQR returns the engine's response to a request that reads the code. Equal requests with one credential share one
// call. It reports false if the response has no code, or an old one.
func (n *nativeRequest) fetchQR(r *http.Request) (compat.Response, bool) {
	front, key := n.front, n.cacheKey(r)
	if response, ok := front.cached(front.qrResponses, key); ok {
		return response, true
	}
	if front.dialect.Traits.QRBegins {
		return n.renderQR(), true
	}
	v, err, _ := front.calls.Do(key, func() (any, error) {
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
		front.cache(front.qrResponses, key, n.name, response)
		return response, nil
	})
	response, _ := v.(compat.Response)
	return response, err == nil
}

// renderQR is a response with a code that another replica obtained. A request to the engine would end that code.
func (n *nativeRequest) renderQR() compat.Response {
	native := n.front.dialect.Native
	expiresAt, image, _ := n.front.codes.Code(n.name, time.Now())
	path := native.Pictures + "scan-qr-" + rand.Text() + ".png"
	_, b64, _ := strings.Cut(image.Reveal(), ",")
	raw, _ := base64.StdEncoding.DecodeString(b64) // an image in the documented form
	picture := compat.Response{Status: http.StatusOK, Header: http.Header{"Content-Type": {"image/png"}}, Body: raw}
	n.front.cache(n.front.pictures, path, n.name, picture)
	link := "http://" + n.request.Host + path
	if n.request.TLS != nil || n.request.Header.Get("X-Forwarded-Proto") == "https" {
		link = "https" + strings.TrimPrefix(link, "http")
	}
	return compat.Response{
		Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, At: time.Now(),
		Body: native.Render(n.name, link, secondsUntil(expiresAt, time.Now())),
	}
}

// cacheKey is the key of the response to a request. Clients with one credential share a response. Where each call for a
// code begins a pairing, all clients that the engine accepts share it.
func (n *nativeRequest) cacheKey(r *http.Request) string {
	if n.front.dialect.Traits.QRBegins {
		return n.name
	}
	return strings.Join([]string{
		string(n.caller.Tenant), r.Method, r.URL.EscapedPath(), withoutWait(r.URL.RawQuery), r.Header.Get("Accept"),
	}, "\x00")
}

// qrResponse is a response of the engine with a code of a session.
type qrResponse struct {
	response   compat.Response
	name, code string
}

// maxCachedResponses bounds each cache; a response has about five kilobytes.
const maxCachedResponses = 5000

// cached returns a response from the cache while its code is the session's present one.
func (f *NativeFront) cached(responses *lru.Cache[string, qrResponse], key string) (compat.Response, bool) {
	e, ok := responses.Get(key)
	if ok && f.codes.Present(e.name, time.Now()) != e.code {
		responses.Remove(key)
		return compat.Response{}, false
	}
	return e.response, ok
}

// cache adds a response with the present code of a session.
func (f *NativeFront) cache(responses *lru.Cache[string, qrResponse], key, name string, response compat.Response) {
	if code := f.codes.Present(name, time.Now()); code != "" {
		responses.Add(key, qrResponse{response, name, code})
	}
}

// fetchPicture reads the picture that a link leads to, and returns it as a code too. Only the link's path counts.
func (n *nativeRequest) fetchPicture(link string) (picture compat.Response, code string) {
	r := n.request.Clone(n.ctx())
	r.Method, r.Body, r.ContentLength = http.MethodGet, http.NoBody, 0
	path := n.handler.withoutBase(pathOf(link))
	r.URL = &url.URL{Path: path, RawPath: path} // no engine's path to a picture needs an escape
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
	if prefix == "" || !strings.Contains(path, prefix) || w.request.Method != http.MethodGet {
		return false
	}
	picture, ok := f.cached(f.pictures, w.request.URL.Path)
	if ok {
		writeResponse(w, picture, "")
	}
	return ok
}

// hasPicture reports whether a path leads to the picture of a code that is good.
func (f *NativeFront) hasPicture(path string) bool {
	_, ok := f.cached(f.pictures, path)
	return ok
}
