package embedded

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// Transport is a RoundTripper that calls an http.Handler of this process as if it were a server behind a connection.
// The handler runs in its own goroutine; if the request's context ends first, RoundTrip returns and drops the
// handler's response. Responses are buffered, so they must be small and finite.
func Transport(h http.Handler) http.RoundTripper { return inProcess{h} }

type inProcess struct{ handler http.Handler }

// RoundTrip implements http.RoundTripper.
func (t inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		closeBody(r)
		return nil, err
	}
	done := make(chan func() (*http.Response, error), 1)
	go func() {
		res, err := t.serve(r)
		done <- func() (*http.Response, error) { return res, err }
	}()
	select {
	case result := <-done:
		return result()
	case <-r.Context().Done():
		return nil, context.Cause(r.Context())
	}
}

// serve runs the handler like a server, and closes the body, as a transport must.
func (t inProcess) serve(r *http.Request) (res *http.Response, err error) {
	defer func() {
		closeBody(r)
		if p := recover(); p != nil {
			res, err = nil, fmt.Errorf("the embedded engine panicked: %v", p)
		}
	}()
	rec := &recorder{header: http.Header{}}
	t.handler.ServeHTTP(rec, serverRequest(r))
	return rec.response(r), nil
}

// serverRequest is the request as a server would have read it.
func serverRequest(r *http.Request) *http.Request {
	in := r.Clone(r.Context())
	in.RequestURI = r.URL.RequestURI()
	in.RemoteAddr = "127.0.0.1:0"
	in.Proto, in.ProtoMajor, in.ProtoMinor = "HTTP/1.1", 1, 1
	if in.Host == "" {
		in.Host = r.URL.Host
	}
	in.URL.Scheme, in.URL.Host = "", "" // else the request looks like one to a proxy
	if in.Body == nil {
		in.Body = http.NoBody
	}
	return in
}

func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
}

// recorder is an http.ResponseWriter that buffers the response.
type recorder struct {
	header http.Header
	sent   http.Header // the header at the time of WriteHeader
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (w *recorder) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter; only the first final status counts.
func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status, w.sent = status, w.header.Clone()
	}
}

// Write implements http.ResponseWriter.
func (w *recorder) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}

// response is the response as a client would read it from a connection.
func (w *recorder) response(r *http.Request) *http.Response {
	w.WriteHeader(http.StatusOK)
	body := w.body.Bytes()
	if w.sent.Get("Content-Type") == "" && len(body) > 0 {
		w.sent.Set("Content-Type", http.DetectContentType(body))
	}
	if w.sent.Get("Date") == "" {
		w.sent.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	w.sent.Set("Content-Length", strconv.Itoa(len(body)))
	res := &http.Response{
		Status: fmt.Sprintf("%d %s", w.status, http.StatusText(w.status)), StatusCode: w.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, ContentLength: int64(len(body)), Request: r,
		Body: io.NopCloser(bytes.NewReader(body)),
	}
	if r.Method == http.MethodHead {
		res.Body = http.NoBody
	}
	return res
}
