package proxy

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"qrgate/internal/session"
)

// qr answers GET /api/sessions/{id}/qr: the request waits until there is a code.
func (s *sessionRequest) qr() {
	asked, ok := parseWait(s.c.Request)
	if !ok {
		s.writeError(s.c.Writer, s.c.Request, apiError{http.StatusBadRequest, "VALIDATION_ERROR", textBadWait})
		return
	}
	began := time.Now()
	v, err := s.config.QRService.WaitQR(s.c.Request.Context(), s.caller, s.id, asked)
	s.ref = v.Session.Ref
	if clientGone(s.c.Request.Context()) {
		return
	}
	if s.anonymous(err) {
		s.qrUnkeyed()
		return
	}
	if asked.Set && s.c.Request.Header.Get("Prefer") != "" {
		s.c.Writer.Header().Set("Preference-Applied", fmt.Sprintf("wait=%d", int(min(asked.For, session.MaxWait)/time.Second)))
	}
	if v.Authorized {
		s.c.Writer.Header().Set("Server-Timing", fmt.Sprintf("hold;dur=%d, looks;desc=%q", time.Since(began).Milliseconds(), strconv.Itoa(v.Session.Polls)))
	}
	s.reply(answerQR(s.inLanguage(v), err, time.Now()))
}

const textBadWait = "wait is a whole number of seconds; more than 60 counts as 60. Correct it in the query, or leave it out."

// reply writes what was decided.
func (s *sessionRequest) reply(r response) {
	if r.retry > 0 {
		s.c.Writer.Header().Set("Retry-After", strconv.Itoa(int((r.retry+time.Second-1)/time.Second)))
	}
	recorderOf(s.c.Writer).code = r.code
	if r.prepared != nil {
		s.writePrepared(r)
		return
	}
	s.writeJSON(r.status, r.body, nil)
}

// writePrepared writes a body that was prepared for all requests, with the one number that differs.
func (s *sessionRequest) writePrepared(r response) {
	var digits [20]byte
	number := strconv.AppendInt(digits[:0], int64(r.number), 10)
	s.writeHead(r.status, len(r.prepared.Head)+len(number)+len(r.prepared.Tail))
	w := s.c.Writer
	_, _ = w.Write(r.prepared.Head)
	_, _ = w.Write(number)
	_, _ = w.Write(r.prepared.Tail)
}

// parseWait reads how long a client wants to be held: ?wait=N, else Prefer: wait=N (RFC 7240), in seconds. Ten
// minutes are one minute; what is no number is refused in the query and ignored in the preference.
func parseWait(r *http.Request) (session.WaitPreference, bool) {
	if r.URL.RawQuery != "" {
		if query := r.URL.Query(); query.Has("wait") {
			n, err := strconv.ParseUint(query.Get("wait"), 10, 16)
			return session.WaitPreference{Set: true, For: time.Duration(n) * time.Second}, err == nil || errors.Is(err, strconv.ErrRange)
		}
	}
	for _, line := range r.Header.Values("Prefer") {
		for _, preference := range strings.FieldsFunc(line, func(c rune) bool { return c == ',' || c == ';' }) {
			name, value, _ := strings.Cut(strings.TrimSpace(preference), "=")
			if n, err := strconv.ParseUint(strings.Trim(value, `" `), 10, 16); strings.EqualFold(strings.TrimSpace(name), "wait") && err == nil {
				return session.WaitPreference{Set: true, For: time.Duration(n) * time.Second}, true
			}
		}
	}
	return session.WaitPreference{}, true
}
