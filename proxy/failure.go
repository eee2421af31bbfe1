package proxy

import (
	"io"
	"net/http"
	"strconv"
	"time"

	"qrgate/compat"
)

// apiError is an answer that the gate gives in its own name.
type apiError struct {
	status  int
	code    string // one of compat's, or codeBodyTime
	message string // a sentence that says what to do
}

// codeBodyTime is the code of a 408: the client stopped sending its body.
const codeBodyTime = "REQUEST_TIMEOUT"

// drainTime bounds how long the server waits for the unread rest of a body after the answer.
const drainTime = time.Second

// drainBytes bounds how much of it is read.
const drainBytes = 32 << 20

// writeError writes the documented error body. A status that invites another attempt says when.
func (f *Handler) writeError(w http.ResponseWriter, r *http.Request, x apiError) {
	rec := recorderOf(w)
	rec.code = x.code
	rec.closeConn = boundDrain(rec, r) || rec.closeConn
	body := compat.NewProblem(x.code, x.message, time.Now()).JSON()
	h := w.Header()
	h.Set("Content-Type", compat.ContentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if h.Get("Retry-After") == "" && (x.status == http.StatusServiceUnavailable || x.status == http.StatusGatewayTimeout) {
		h.Set("Retry-After", "5")
	}
	w.WriteHeader(x.status)
	_, _ = w.Write(body)
}

// boundDrain keeps a client that announced a body and does not send it from holding the connection: before
// it reads the next request, net/http waits for the rest without a bound of its own. It reports whether
// there is a rest. Without one no deadline may be set: net/http reads on to notice that the client leaves.
func boundDrain(rec *responseWriter, r *http.Request) bool {
	unread := r.ContentLength != 0 && (rec.body == nil || !rec.body.ended.Load())
	if !unread || rec.status == http.StatusSwitchingProtocols {
		return false
	}
	_ = http.NewResponseController(rec.ResponseWriter).SetReadDeadline(time.Now().Add(drainTime))
	return true
}

// drainBody reads on for a moment where an answer came before the end of a body. A connection closed with
// bytes unread is reset, and many clients then lose the answer that says why.
func drainBody(rec *responseWriter, r *http.Request) {
	if !boundDrain(rec, r) || r.Header.Get("Expect") != "" {
		return
	}
	rec.Flush()
	rest := r.Body
	if rec.body != nil {
		rest = rec.body.ReadCloser
	}
	_, _ = io.CopyN(io.Discard, rest, drainBytes)
}
