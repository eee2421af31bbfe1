package enginesim

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"time"
)

// Fault is a wrong response. The zero value is none.
type Fault struct {
	Kind FaultKind
	// First limits the fault to the first requests of its route; 0: every request.
	First int
	// Acts: the engine handles the request and only its response is wrong. Otherwise the fault is in
	// front of the engine, as a proxy is. Downloads and websockets have only faults in front, and a
	// download also TruncatedBody.
	Acts bool
	// ByteInterval is the time between two bytes of a [SlowBody]; 0 means 1 s.
	ByteInterval time.Duration
}

// FaultKind is a kind of wrong response.
type FaultKind int

// The kinds of wrong responses.
const (
	NoFault       FaultKind = iota
	HTML502                 // nginx: the engine is away
	HTML503                 // nginx: the engine is overloaded
	HTML504                 // nginx: the engine is too slow
	ServerError             // 500 INTERNAL_ERROR in the documented shape
	TooMany                 // 429 in the documented shape, whatever the limits
	Garbage                 // 200 and a JSON content type, but no JSON
	EmptyBody               // 200, JSON, no bytes
	EndlessBody             // 200 and JSON that never ends
	GzipBomb                // 200 and 205 KB of gzip that unpack to 200 MiB, whatever the client accepts
	HugeQR                  // 200 and a QR of 1 MB
	Redirect                // 302 to another host
	TruncatedBody           // the head and half of the body of the right response
	SlowBody                // the right response, byte by byte
	Hang                    // nothing, until the client disconnects or the engine is closed
	CutConnection           // the engine closes the connection without a response
)

// runsRequest reports whether the engine handles the request in spite of the fault.
func (f Fault) runsRequest() bool { return f.Acts || f.Kind == TruncatedBody || f.Kind == SlowBody }

// nextFault returns the fault of the next request of the route.
func (e *Engine) nextFault(route Route) Fault {
	f, ok := e.Faults[route]
	if !ok {
		f = e.Faults[AnyRoute]
	}
	if f.Kind == NoFault {
		return f
	}
	if e.faultCounts == nil {
		e.faultCounts = make(map[Route]int)
	}
	if f.First > 0 && e.faultCounts[route] >= f.First {
		return Fault{}
	}
	e.faultCounts[route]++
	return f
}

const (
	hugeQR     = 1 << 20
	bombBlocks = 200 // of 1 MiB each, once unpacked
)

// applyFault writes a wrong response. right is the response of the handler, empty if it did not run.
func (e *Engine) applyFault(w http.ResponseWriter, r *http.Request, f Fault, right response) {
	switch f.Kind {
	case EndlessBody:
		e.endless(w, r)
	case GzipBomb:
		writeGzipBomb(w)
	case Redirect:
		w.Header().Set("Location", "https://elsewhere.invalid"+r.URL.Path)
		response{http.StatusFound, "text/plain; charset=utf-8", []byte("Found. Redirecting")}.write(w, r)
	case TruncatedBody:
		right.setHeaders(w.Header())
		w.WriteHeader(right.status)
		_, _ = w.Write(right.body[:len(right.body)/2]) // fewer bytes than Content-Length, so the server closes the connection
	case SlowBody:
		e.slowBody(w, r, f, right)
	case Hang:
		e.hang(w, r)
	case CutConnection:
		closeConnection(w)
	default:
		e.faultResponse(f.Kind).write(w, r)
	}
}

// faultResponse returns the response of a fault that changes only status and body.
func (e *Engine) faultResponse(kind FaultKind) response {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch kind {
	case HTML503:
		return html(http.StatusServiceUnavailable)
	case HTML504:
		return html(http.StatusGatewayTimeout)
	case ServerError:
		return e.failure(http.StatusInternalServerError, "INTERNAL_ERROR", "Error interno del servidor")
	case TooMany:
		return e.tooMany()
	case Garbage:
		return response{http.StatusOK, jsonType, []byte(`{"success":true,"data":{"qrCode":` + "\x00\xff<!doctype")}
	case EmptyBody:
		return response{http.StatusOK, jsonType, nil}
	case HugeQR:
		image := "data:image/png;base64," + strings.Repeat("A", hugeQR)
		return success(http.StatusOK, "", object{{"qrCode", image}, {"status", observedState(Showing)}})
	}
	return html(http.StatusBadGateway)
}

// endless writes until the client disconnects or the engine is closed.
func (e *Engine) endless(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", jsonType)
	_, err := w.Write([]byte(`{"success":true,"data":{"qrCode":"`))
	block := bytes.Repeat([]byte("A"), 32<<10)
	for err == nil && r.Context().Err() == nil && !e.isOver() {
		_, err = w.Write(block)
	}
}

// writeGzipBomb writes a gzip stream of many equal members, each a MiB of one letter in about 1 KB.
func writeGzipBomb(w http.ResponseWriter) {
	w.Header().Set("Content-Type", jsonType)
	w.Header().Set("Content-Encoding", "gzip")
	_, _ = w.Write(gzipBytes([]byte(`{"success":true,"data":{"qrCode":"`)))
	block := gzipBytes(bytes.Repeat([]byte("A"), 1<<20))
	for range bombBlocks {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
	_, _ = w.Write(gzipBytes([]byte(`"}}`)))
}

func gzipBytes(b []byte) []byte {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(b) // a buffer cannot fail
	_ = z.Close()
	return packed.Bytes()
}

func (e *Engine) slowBody(w http.ResponseWriter, r *http.Request, f Fault, right response) {
	right.setHeaders(w.Header())
	w.WriteHeader(right.status)
	pace := f.ByteInterval
	if pace == 0 {
		pace = time.Second
	}
	control := http.NewResponseController(w)
	for i := range right.body {
		if _, err := w.Write(right.body[i : i+1]); err != nil {
			return
		}
		_ = control.Flush()
		if !e.wait(r.Context(), pace) {
			return
		}
	}
}

func (e *Engine) hang(w http.ResponseWriter, r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-e.done():
	}
	closeConnection(w)
}

// closeConnection closes the connection without a response. A response recorder has no connection; it gets an
// empty 502.
func closeConnection(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	_ = conn.Close()
}
