package fleet

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"qrgate/compat"
)

// limits bound the body of a request that is read to find its session. A body beyond them is the handler's matter.
type limits struct {
	bytes   int
	timeout time.Duration
}

var (
	createLimits = limits{1 << 20, 15 * time.Second}
	nativeLimits = limits{16 << 20, time.Minute} // WAHA's clients name the session beside a file
)

// requestBody is the body of a request, which is read if its session must be known from it.
type requestBody struct {
	w          http.ResponseWriter
	r          *http.Request
	text       []byte
	isComplete bool
}

// object reads the body and returns it; nil if it is no JSON object. The request has the body again afterwards.
func (b *requestBody) object(l limits) compat.Object {
	if !b.isComplete {
		b.read(l)
	}
	object, _ := compat.Parse(b.text)
	return object
}

func (b *requestBody) read(l limits) {
	in := b.r.Body
	if in != http.NoBody { // net/http removes the deadline after the last byte
		_ = http.NewResponseController(b.w).SetReadDeadline(time.Now().Add(l.timeout))
	}
	text, err := io.ReadAll(io.LimitReader(in, int64(l.bytes)+1))
	if b.isComplete = err == nil && len(text) <= l.bytes; b.isComplete {
		b.text, b.r.Body = text, readCloser{bytes.NewReader(text), in}
		return
	}
	b.r.Body = readCloser{io.MultiReader(bytes.NewReader(text), &failedReader{in, err}), in}
}

// capture is a response that is kept until it is known whether it is the one for the client.
type capture struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements [http.ResponseWriter].
func (c *capture) Header() http.Header { return c.header }

// WriteHeader implements [http.ResponseWriter]; only the first final status counts.
func (c *capture) WriteHeader(status int) {
	if c.status == 0 && status >= http.StatusOK {
		c.status = status
	}
}

// Write implements [http.ResponseWriter].
func (c *capture) Write(p []byte) (int, error) {
	c.WriteHeader(http.StatusOK)
	return c.body.Write(p)
}

// FlushError is what [http.ResponseController] calls.
func (c *capture) FlushError() error { return nil }

// serve lets a handler respond. A handler that aborts has the status 0.
func serve(h http.Handler, r *http.Request) (c *capture) {
	c = &capture{header: http.Header{}}
	defer func() {
		if recover() != nil { // only http.ErrAbortHandler leaves a handler of package proxy
			c.status = 0
		}
	}()
	h.ServeHTTP(c, r)
	return c
}

// send sends the response to the client.
func (c *capture) send(w http.ResponseWriter) {
	if c.status == 0 {
		panic(http.ErrAbortHandler)
	}
	maps.Copy(w.Header(), c.header)
	w.Header().Set("Content-Length", strconv.Itoa(c.body.Len()))
	w.WriteHeader(c.status)
	_, _ = w.Write(c.body.Bytes())
}

// statusWriter remembers the status of a response.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements [http.ResponseWriter].
func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for [http.ResponseController].
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// attempt is one create at one engine.
type attempt struct{ wasSent, wasRefused atomic.Bool }

type attemptKey struct{}

// RecordSend records in an attempt whose context ctx is that a request which is no mere read was sent to the engine, or
// that no connection for it could be opened. Other contexts record nothing.
func RecordSend(ctx context.Context, isSent bool) {
	a, ok := ctx.Value(attemptKey{}).(*attempt)
	switch {
	case !ok:
	case isSent:
		a.wasSent.Store(true)
	default:
		a.wasRefused.Store(true)
	}
}

// hasNoEffect reports that no byte of the create left.
func (a *attempt) hasNoEffect() bool { return a.wasRefused.Load() && !a.wasSent.Load() }
