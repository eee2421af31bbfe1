package proxy

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"qrgate/compat"
)

// sniffLen is how much of a body is looked at to find HTML that does not say so, in bytes.
const sniffLen = 512

// modifyResponse looks at the head of the engine's answer before it is sent on.
func (p *passThrough) modifyResponse(res *http.Response) error {
	origin := res.Request.Header.Get("Origin")
	p.front.cors.learn(origin, corsHeaders(res.Header), time.Now())
	p.front.localLocation(res)
	if x, ok := proxyErrorPage(res); ok {
		p.replace(res, x)
		return nil
	}
	p.rec.engine = true
	if both, ok := res.Body.(io.ReadWriteCloser); ok && res.StatusCode == http.StatusSwitchingProtocols {
		res.Body = idleConn{both, p.idle}
	}
	return nil
}

// proxyErrorPage finds the error page that a proxy before the engine answers while the engine is away; every
// other status and every other body is the engine's word, and passes unchanged, 500 included (design 9).
func proxyErrorPage(res *http.Response) (apiError, bool) {
	var x apiError
	switch res.StatusCode {
	case http.StatusBadGateway:
		x = apiError{res.StatusCode, compat.CodeEngineBadAnswer, textBadAnswer}
	case http.StatusServiceUnavailable:
		x = apiError{res.StatusCode, compat.CodeEngineUnreachable, textUnreachable}
	case http.StatusGatewayTimeout:
		x = apiError{res.StatusCode, compat.CodeEngineTimeout, textTimeout}
	default:
		return x, false
	}
	return x, isHTML(res)
}

// isHTML believes the Content-Type, and without one looks at the first bytes, which it puts back.
func isHTML(res *http.Response) bool {
	if said := res.Header.Get("Content-Type"); said != "" {
		kind, _, _ := mime.ParseMediaType(said)
		return kind == "text/html" || kind == "application/xhtml+xml"
	}
	if res.Body == nil || res.Header.Get("Content-Encoding") != "" {
		return false
	}
	head := make([]byte, sniffLen)
	n, err := res.Body.Read(head)
	if err != nil && err != io.EOF {
		return false
	}
	rest := res.Body
	res.Body = readCloser{io.MultiReader(bytes.NewReader(head[:n]), rest), rest}
	return strings.HasPrefix(http.DetectContentType(head[:n]), "text/html")
}

// replace puts the documented error in the place of a body. Retry-After and the like stay.
func (p *passThrough) replace(res *http.Response, x apiError) {
	_ = res.Body.Close()
	p.rec.code = x.code
	body := compat.NewProblem(x.code, x.message, time.Now()).JSON()
	for _, name := range []string{"Content-Encoding", "Etag", "Last-Modified", "Accept-Ranges", "Content-Language", "Trailer"} {
		res.Header.Del(name)
	}
	res.Header.Set("Content-Type", compat.ContentType)
	res.Header.Set("Content-Length", strconv.Itoa(len(body)))
	res.Header.Set("Cache-Control", "no-store")
	res.Trailer = nil
	res.ContentLength = int64(len(body))
	res.Body = io.NopCloser(bytes.NewReader(body))
	if res.Request.Method == http.MethodHead {
		res.Body = http.NoBody
	}
}

// readCloser reads from one place and closes another.
type readCloser struct {
	io.Reader
	io.Closer
}
