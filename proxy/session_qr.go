package proxy

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"qrgate/compat"
	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// qr handles GET /api/sessions/{id}/qr: the request waits for a QR.
func (s *sessionRequest) qr() {
	preferred, ok := parseWait(&s.request)
	if !ok {
		s.reply(validationProblem(textBadWait))
		return
	}
	v, err := s.acquirer.WaitQR(s.ctx(), s.caller, s.id, preferred)
	if err == nil && !v.Authorized && preferred.Set && preferred.For == 0 { // the engine was not asked yet
		v, err = s.acquirer.Get(s.ctx(), s.caller, s.id)
	}
	s.ref = v.Session.Ref
	if s.hasLeft() {
		return
	}
	isOnce := s.caller.Credential().Empty() && session.KindOf(err) == session.KindKeyRefused
	if isOnce && s.handler.config.Native == nil {
		s.qrOnce()
		return
	}
	header := s.Header()
	if preferred.Set && s.request.Header.Get("Prefer") != "" {
		header.Set("Preference-Applied", fmt.Sprintf("wait=%d", int(min(preferred.For, session.MaxWait)/time.Second)))
	}
	if v.Authorized {
		waited := strconv.FormatInt(time.Since(s.startedAt).Milliseconds(), 10)
		header["Server-Timing"] = []string{"wait;dur=" + waited + `, polls;desc="` + strconv.Itoa(v.Session.Polls) + `"`}
	}
	s.replyQR(v, decideQR(v, err, time.Now()))
}

// replyQR writes the response to a request for the QR, a QR in the form that the client takes.
func (s *sessionRequest) replyQR(v *session.Snapshot, r ownResponse) {
	switch {
	case r.status == http.StatusOK && (s.isPicture || acceptsPicture(s.request.Header)):
		s.repeated = r.repeated
		s.writePicture(v)
		return
	case r.status == http.StatusOK && s.wantsBare():
		r.prepared, r.body = nil, bareQR(v, time.Now())
	}
	s.reply(r)
}

// parseWait parses how long a client wants to wait: ?wait=N, else Prefer: wait=N (RFC 7240), in seconds. Above 60 it
// counts as 60. What is no number is refused in the query and ignored in the header.
func parseWait(r *http.Request) (session.WaitPreference, bool) {
	parse := func(text string) (session.WaitPreference, bool) {
		n, err := strconv.ParseUint(text, 10, 16)
		ok := err == nil || errors.Is(err, strconv.ErrRange)
		return session.WaitPreference{Set: true, For: time.Duration(n) * time.Second}, ok
	}
	if r.URL.RawQuery != "" {
		if query := r.URL.Query(); query.Has("wait") {
			return parse(query.Get("wait"))
		}
	}
	for _, line := range r.Header["Prefer"] {
		for _, preference := range strings.FieldsFunc(line, func(c rune) bool { return c == ',' || c == ';' }) {
			name, value, _ := strings.Cut(strings.TrimSpace(preference), "=")
			wait, ok := parse(strings.Trim(value, `" `))
			if ok && strings.EqualFold(strings.TrimSpace(name), "wait") {
				return wait, true
			}
		}
	}
	return session.WaitPreference{}, true
}

// qrOnce asks the engine for the QR once, with everything that a client without a key or token sent, such as a cookie.
// It caches nothing: qrgate cannot distinguish such clients, and one must not receive the QR of another.
func (s *sessionRequest) qrOnce() {
	s.resolve()
	res, err := s.call(session.OpQR, "qr", fetchTimeout)
	report, err := res.SessionReport(session.OpQR, s.ref, err)
	if err != nil && session.KindOf(err) != session.KindNotReady {
		s.writeEngineError(res, err)
		return
	}
	polled := session.Session{}.AfterPoll(report, err, res.At)
	v := &session.Snapshot{Session: polled, Authorized: true, Ready: polled.QRUsable(res.At), At: res.At}
	s.replyQR(v, decideQR(v, nil, res.At))
}

// QRStatus is the body of GET …/qr/status, under data: what a client needs to show progress. It never holds the QR.
type QRStatus struct {
	ID          int64                `json:"id,omitempty"`
	SessionID   string               `json:"sessionId"`
	Ready       bool                 `json:"ready"`       // GET …/qr would return a QR now
	State       session.State        `json:"state"`       // qrgate's own: unknown, connecting, awaiting_scan …
	Status      string               `json:"status"`      // the documented API's
	GeneratedAt *string              `json:"generatedAt"` // when qrgate first received the QR
	ExpiresAt   *string              `json:"expiresAt"`
	ExpiresIn   int                  `json:"expiresIn"`  // whole seconds; 0 without a QR
	Sequence    int                  `json:"sequence"`   // 1 is the first QR of a connect
	Attempts    int                  `json:"attempts"`   // polls since the QR was requested
	Since       *string              `json:"since"`      // when the state began
	RetryAfter  int                  `json:"retryAfter"` // seconds after which another request may help; 0: at once
	Queue       *Queue               `json:"queue"`      // null unless the session waits for the engine's limit or queue
	Diagnosis   *diagnosis.Diagnosis `json:"diagnosis"`  // why there is no QR; null when nothing is wrong
}

// Queue is a session's position among those that wait for the engine's rate limit, or in the engine's own queue.
type Queue struct {
	Place int `json:"place"` // 1 is next
	Wait  int `json:"wait"`  // whole seconds until the next call to the engine is allowed
}

func qrStatusOf(v *session.Snapshot, id string, now time.Time) QRStatus {
	s := &v.Session
	r := QRStatus{
		ID: s.Ref.ID, SessionID: cmp.Or(s.Ref.Name, id), State: s.State, Status: compat.Wire(s.State),
		Sequence: s.Sequence, Attempts: s.Polls,
	}
	if !s.Since.IsZero() {
		r.Since = new(compat.Millis(s.Since))
	}
	if s.QR.Present() && s.QR.TTL(now) > 0 {
		r.Ready = v.Ready && s.QR.Usable(now)
		r.GeneratedAt, r.ExpiresAt = new(compat.Millis(s.QR.SeenAt)), new(compat.Millis(s.QR.ExpiresAt))
		r.ExpiresIn = secondsUntil(s.QR.ExpiresAt, now)
	}
	if s.State == session.Connected {
		return r // a connected session has no diagnosis
	}
	if !r.Ready {
		r.RetryAfter = int(retrySoon / time.Second)
	}
	if v.QueuePosition > 0 {
		r.Queue = &Queue{v.QueuePosition, secondsUntil(v.At.Add(v.RateLimitWait), now)}
		r.RetryAfter = max(r.RetryAfter, r.Queue.Wait)
	}
	if !v.Diagnosis.Healthy() {
		r.Diagnosis = &v.Diagnosis
	}
	return r
}

// secondsUntil is the whole seconds from now until at, at least zero.
func secondsUntil(at, now time.Time) int { return max(int(at.Sub(now)/time.Second), 0) }

// qrStatus handles GET …/qr/status: at once, after a change with ?wait=N, or as a stream of changes.
func (s *sessionRequest) qrStatus() {
	preferred, ok := parseWait(&s.request)
	if !ok {
		s.reply(validationProblem(textBadWait))
		return
	}
	v, err := s.acquirer.Get(s.ctx(), s.caller, s.id)
	s.ref = v.Session.Ref
	if s.hasLeft() {
		return
	}
	switch {
	case err != nil:
		s.reply(engineProblem(err))
	case !v.Authorized:
		s.reply(notAuthorized(v))
	case strings.Contains(s.request.Header.Get("Accept"), "text/event-stream"):
		s.stream(v)
	default:
		if preferred.For > 0 {
			v = s.waitForChange(v, preferred.For)
		}
		if s.hasLeft() {
			return
		}
		data := qrStatusOf(s.localize(v), s.id, time.Now())
		s.writeJSON(http.StatusOK, compat.Envelope{Success: true, Data: data}, nil)
	}
}

// waitForChange waits until the snapshot differs from v, no longer than max. It returns v if no more may wait.
func (s *sessionRequest) waitForChange(v *session.Snapshot, max time.Duration) *session.Snapshot {
	f, err := s.acquirer.Follow(s.ctx(), s.caller, s.id)
	if err != nil {
		return v
	}
	defer f.Close()
	ctx, cancel := s.handler.untilDraining(s.ctx())
	defer cancel()
	next, err := f.Next(ctx, v, min(max, session.MaxWait))
	if err != nil || !next.Authorized && !next.Ended {
		return v
	}
	return next
}

// notAuthorized is the response when the engine has not accepted the credential for this session within the last minute
// and could not be asked. It contains nothing about the session.
func notAuthorized(v *session.Snapshot) ownResponse {
	f := v.Session.Failure
	if v.Session.IsStateDenied() {
		f = v.Session.History.PollFailure
	}
	switch {
	case f.Kind != "":
	case v.RateLimitWait > 0:
		f.Op, f.Kind, f.RetryAfter = session.OpQR, session.KindRateLimited, v.RateLimitWait
	default:
		f.Op, f.Kind = session.OpQR, session.KindTimeout
	}
	if strings.Contains(f.Text, "429") {
		f.Text = "" // clients search bodies for the status of a rate limit (contract 4.2)
	}
	r := engineProblem(&session.EngineError{
		Op: f.Op, Kind: f.Kind, Status: f.Status, Code: f.Code, Text: f.Text, RetryAfter: f.RetryAfter,
	})
	r.cause = f.EngineDiagnosis(time.Now())
	return r
}

func (s *sessionRequest) localize(v *session.Snapshot) *session.Snapshot {
	if v.Diagnosis.Healthy() {
		return v
	}
	localized := *v
	localized.Diagnosis = v.Diagnosis.Localize(s.language())
	return &localized
}

// Limits of a stream of changes.
const (
	streamTTL          = 10 * time.Minute // then the client connects again
	heartbeatInterval  = 15 * time.Second // a comment keeps proxies from closing an idle stream
	streamWriteTimeout = 10 * time.Second // a client that reads nothing for so long is disconnected
	streamRetryDelay   = 2 * time.Second  // after which a client connects again
	handOverDelay      = time.Second / 4  // the same, when this process stops
)

// stream sends every change as a server-sent event, and ends after the session is connected or gone. It counts as a
// waiting request; above the limits it is refused.
func (s *sessionRequest) stream(v *session.Snapshot) {
	f, err := s.acquirer.Follow(s.ctx(), s.caller, s.id)
	if err != nil {
		s.reply(engineProblem(err))
		return
	}
	defer f.Close()
	s.beginStream()
	s.follow(s.ctx(), f, v, s.event)
}

// beginStream writes the header of a stream.
func (s *sessionRequest) beginStream() {
	h := s.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("X-Accel-Buffering", "no")
	h.Set("Cache-Control", "no-store, no-transform") // a proxy that compresses waits for more text
	s.language()
	s.WriteHeader(http.StatusOK)
}

// follow sends a snapshot and every change after it, in the form that event gives them.
func (s *sessionRequest) follow(
	ctx context.Context, f session.Follower, v *session.Snapshot, event func(*session.Snapshot) string,
) {
	if !s.send(fmt.Sprintf("retry: %d\n", streamRetryDelay.Milliseconds()) + event(v)) {
		return
	}
	ctx, cancel := s.handler.untilDraining(ctx)
	defer cancel()
	for end := time.Now().Add(streamTTL); !hasEnded(v) && time.Now().Before(end); {
		askedAt := time.Now()
		next, err := f.Next(ctx, v, heartbeatInterval)
		text := ": heartbeat\n\n"
		switch {
		case err == nil && v.Changed(next):
			v, text = next, event(next)
		case s.handler.draining.Err() != nil:
			s.send(fmt.Sprintf("retry: %d\n\n", handOverDelay.Milliseconds()))
			return
		case err != nil, time.Since(askedAt) < heartbeatInterval:
			return // the client connects again and receives the state then
		}
		if !s.send(text) {
			return
		}
	}
}

// hasEnded reports whether a stream has no further event.
func hasEnded(v *session.Snapshot) bool { return v.Ended || v.Session.State == session.Connected }

func (s *sessionRequest) event(v *session.Snapshot) string {
	return statusEvent(v.At, qrStatusOf(s.localize(v), s.id, time.Now()))
}

func statusEvent(at time.Time, data any) string {
	b, _ := json.Marshal(data) // plain fields cannot fail
	return fmt.Sprintf("id: %d\nevent: status\ndata: %s\n\n", at.UnixMilli(), b)
}

// send writes a part of a stream; false if the client has left.
func (s *sessionRequest) send(text string) bool {
	_ = s.conn.SetWriteDeadline(time.Now().Add(streamWriteTimeout))
	_, err := s.Write([]byte(text))
	return err == nil && s.FlushError() == nil
}
