package enginesim

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"time"
)

const (
	hugeQR     = 1 << 20
	bombBlocks = 200 // of 1 MiB each, once unpacked
)

// applyFault answers wrongly. right is the answer that the engine would have given, empty if it was never asked.
func (e *Engine) applyFault(w http.ResponseWriter, r *http.Request, f Fault, right answer) {
	switch f.Kind {
	case EndlessBody:
		e.endless(w, r)
	case GzipBomb:
		bomb(w)
	case Redirect:
		w.Header().Set("Location", "https://elsewhere.invalid"+r.URL.Path)
		answer{http.StatusFound, "text/plain; charset=utf-8", []byte("Found. Redirecting")}.write(w, r)
	case TruncatedBody:
		right.head(w.Header())
		w.WriteHeader(right.status)
		_, _ = w.Write(right.body[:len(right.body)/2]) // the server closes: fewer bytes than it promised
	case SlowBody:
		e.slowBody(w, r, f, right)
	case Hang:
		e.hang(w, r)
	case CutConnection:
		cut(w)
	default:
		e.wrongAnswer(f.Kind).write(w, r)
	}
}

// wrongAnswer is a wrong answer that is nothing but a status and a body.
func (e *Engine) wrongAnswer(kind FaultKind) answer {
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
		return answer{http.StatusOK, jsonType, []byte(`{"success":true,"data":{"qrCode":` + "\x00\xff<!doctype")}
	case EmptyBody:
		return answer{http.StatusOK, jsonType, nil}
	case HugeQR:
		image := "data:image/png;base64," + strings.Repeat("A", hugeQR)
		return success(http.StatusOK, "", object{{"qrCode", image}, {"status", observed(Showing)}})
	}
	return html(http.StatusBadGateway)
}

// endless needs a client that goes away: it ends with the connection or the engine.
func (e *Engine) endless(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", jsonType)
	_, err := w.Write([]byte(`{"success":true,"data":{"qrCode":"`))
	block := bytes.Repeat([]byte("A"), 32<<10)
	for err == nil && r.Context().Err() == nil && !e.over() {
		_, err = w.Write(block)
	}
}

// bomb writes a gzip stream of many equal members, each a MiB of one letter in about a KB.
func bomb(w http.ResponseWriter) {
	w.Header().Set("Content-Type", jsonType)
	w.Header().Set("Content-Encoding", "gzip")
	_, _ = w.Write(pack([]byte(`{"success":true,"data":{"qrCode":"`)))
	block := pack(bytes.Repeat([]byte("A"), 1<<20))
	for range bombBlocks {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
	_, _ = w.Write(pack([]byte(`"}}`)))
}

func pack(b []byte) []byte {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(b) // a buffer takes everything
	_ = z.Close()
	return packed.Bytes()
}

func (e *Engine) slowBody(w http.ResponseWriter, r *http.Request, f Fault, right answer) {
	right.head(w.Header())
	w.WriteHeader(right.status)
	pace := f.Pace
	if pace == 0 {
		pace = time.Second
	}
	control := http.NewResponseController(w)
	for i := range right.body {
		if _, err := w.Write(right.body[i : i+1]); err != nil {
			return
		}
		_ = control.Flush()
		if !e.pause(r.Context(), pace) {
			return
		}
	}
}

func (e *Engine) hang(w http.ResponseWriter, r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-e.done():
	}
	cut(w)
}

// cut ends the connection without an answer. Where there is no connection to take over, as in a
// recorder, the answer is an empty 502.
func cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	_ = conn.Close()
}
