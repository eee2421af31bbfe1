package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"qrgate/compat"
	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// QRStatus is the body of GET …/qr/status, under data: what a client needs to show a spinner that tells
// the truth. It never holds the code itself.
type QRStatus struct {
	ID          int64                `json:"id,omitempty"`
	SessionID   string               `json:"sessionId"`
	Ready       bool                 `json:"ready"`       // a QR would be handed out right now
	State       session.State        `json:"state"`       // the gate's word: unknown, connecting, awaiting_scan …
	Status      string               `json:"status"`      // the documented word for it
	GeneratedAt *string              `json:"generatedAt"` // when the gate first saw the code
	ExpiresAt   *string              `json:"expiresAt"`
	ExpiresIn   int                  `json:"expiresIn"`  // whole seconds; 0 without a code
	Sequence    int                  `json:"sequence"`   // 1 is the first code of a connect
	Attempts    int                  `json:"attempts"`   // looks at the engine since the QR was wished for
	Since       *string              `json:"since"`      // when the state began
	RetryAfter  int                  `json:"retryAfter"` // seconds after which asking again may help; 0: at once
	Queue       *Queue               `json:"queue"`      // only while the engine's budget makes sessions wait
	Diagnosis   *diagnosis.Diagnosis `json:"diagnosis"`  // why there is no QR; null when nothing is wrong
}

// Queue is a session's place among those of its key that wait for the engine's budget.
type Queue struct {
	Place int `json:"place"` // 1 is next
	Wait  int `json:"wait"`  // whole seconds until the engine may be asked again
}

// readiness is the status of a QR at now, as a client reads it.
func readiness(v *session.Snapshot, id string, now time.Time) QRStatus {
	s := &v.Session
	r := QRStatus{ID: s.Ref.ID, SessionID: s.Ref.Name, State: s.State, Status: compat.Wire(s.State), Sequence: s.Sequence, Attempts: s.Polls}
	if r.SessionID == "" {
		r.SessionID = id
	}
	if !s.Since.IsZero() {
		r.Since = text(compat.Millis(s.Since))
	}
	if s.QR.Present() && s.QR.TTL(now) > 0 {
		r.Ready = v.Ready && s.QR.Usable(now)
		r.GeneratedAt, r.ExpiresAt = text(compat.Millis(s.QR.SeenAt)), text(compat.Millis(s.QR.ExpiresAt))
		r.ExpiresIn = sinceNow(s.QR.ExpiresAt, now)
	}
	if s.State == session.Connected {
		return r // success has no diagnosis
	}
	if !r.Ready {
		r.RetryAfter = int(retrySoon / time.Second)
	}
	if v.QueuePosition > 0 {
		r.Queue = &Queue{v.QueuePosition, sinceNow(v.At.Add(v.RateLimitWait), now)}
		r.RetryAfter = max(r.RetryAfter, r.Queue.Wait)
	}
	if !v.Diagnosis.Healthy() {
		r.Diagnosis = &v.Diagnosis
	}
	return r
}

func text(s string) *string { return &s }

// qrStatus answers GET …/qr/status: at once, after a change with ?wait=N, or as a stream of changes.
func (s *sessionRequest) qrStatus() {
	preferred, ok := parseWait(s.c.Request)
	if !ok {
		s.writeError(s.c.Writer, s.c.Request, apiError{http.StatusBadRequest, compat.CodeValidationError, textBadWait})
		return
	}
	ctx := s.c.Request.Context()
	v, err := s.config.QRService.Get(ctx, s.caller, s.id)
	s.ref = v.Session.Ref
	if clientGone(ctx) {
		return
	}
	if err == nil && !v.Authorized {
		s.reply(s.notAuthorized(v))
		return
	}
	if r, isError := engineErrorResponse(err, time.Now()); isError {
		s.reply(r)
		return
	}
	if wantsEventStream(s.c.Request) {
		s.stream(v)
		return
	}
	if preferred.Set && preferred.For > 0 {
		v = s.waitChange(ctx, v, preferred.For)
	}
	if clientGone(ctx) {
		return
	}
	s.writeJSON(http.StatusOK, compat.Envelope{Success: true, Data: readiness(s.inLanguage(v), s.id, time.Now())}, nil)
}

// waitChange waits until the status differs from v, no longer than max. Where no more requests may wait, the answer is
// what is known now.
func (s *sessionRequest) waitChange(ctx context.Context, v *session.Snapshot, max time.Duration) *session.Snapshot {
	f, err := s.config.QRService.Follow(ctx, s.caller, s.id)
	if err != nil {
		return v
	}
	defer f.Close()
	next, err := f.Next(ctx, v, min(max, session.MaxWait))
	if err != nil || !next.Authorized && !next.Ended {
		return v
	}
	return next
}

// notAuthorized is the answer when nothing may be said of the session, because the engine has not accepted this
// credential for it within the last minute and could not be asked. What is wrong with the engine may be said.
func (s *sessionRequest) notAuthorized(v *session.Snapshot) response {
	t, now := v.Session.Failure, time.Now()
	if t.Kind == "" {
		t.Op, t.Kind = session.OpQR, session.KindTimeout
	}
	r := unavailableResponse(&session.EngineError{Op: t.Op, Kind: t.Kind, Status: t.Status, Code: t.Code, Text: t.Text, RetryAfter: t.RetryAfter}, now)
	if cause := t.EngineDiagnosis(now); !cause.Healthy() {
		localized := s.inLanguage(&session.Snapshot{Diagnosis: cause}).Diagnosis
		problem, _ := r.body.(compat.Problem)
		r.body = explainedProblem{problem, &localized}
	}
	return r
}

func wantsEventStream(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "text/event-stream")
}

// Bounds of a stream of changes.
const (
	streamTTL         = 10 * time.Minute // then the client connects again
	heartbeatInterval = 15 * time.Second // a comment keeps proxies from cutting a quiet stream
	streamWriteLimit  = 10 * time.Second // a client that does not read for so long is disconnected
	streamRetry       = 2 * time.Second  // after which a client connects again
)

const textTooManyWaiters = "Too many requests wait for this session, this API key or this server. Close some, or ask again in a few seconds."

// stream sends every change as a server-sent event: ready, expired, the next code, paired, deleted. With the last two
// it ends. It counts as a waiting request; above the limits it is refused.
func (s *sessionRequest) stream(v *session.Snapshot) {
	ctx := s.c.Request.Context()
	f, err := s.config.QRService.Follow(ctx, s.caller, s.id)
	if errors.Is(err, session.ErrTooManyWaiters) {
		r := problem(http.StatusTooManyRequests, compat.CodeRateLimitExceeded, textTooManyWaiters, time.Now())
		r.retry = 5 * time.Second
		s.reply(r)
		return
	}
	if r, isError := engineErrorResponse(err, time.Now()); isError {
		s.reply(r)
		return
	}
	defer f.Close()
	h := s.c.Writer.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("X-Accel-Buffering", "no")
	h.Set("Content-Language", languageOf(s.c.Request))
	s.c.Writer.WriteHeader(http.StatusOK)
	if !s.send(fmt.Sprintf("retry: %d\n", streamRetry.Milliseconds()) + s.frame(v)) {
		return
	}
	for end := time.Now().Add(streamTTL); !hasEnded(v) && time.Now().Before(end); {
		next, err := f.Next(ctx, v, heartbeatInterval)
		switch {
		case err != nil:
			return // the client connects again, and is told then
		case !v.Changed(next):
			if !s.send(": heartbeat\n\n") {
				return
			}
			continue
		case !s.send(s.frame(next)):
			return
		}
		v = next
	}
}

// hasEnded reports whether nothing follows in a stream.
func hasEnded(v *session.Snapshot) bool { return v.Ended || v.Session.State == session.Connected }

// frame is a status as a server-sent event.
func (s *sessionRequest) frame(v *session.Snapshot) string {
	b, _ := json.Marshal(readiness(s.inLanguage(v), s.id, time.Now())) // plain fields cannot fail
	return fmt.Sprintf("id: %d\nevent: status\ndata: %s\n\n", v.At.UnixMilli(), b)
}

// send writes a part of a stream; false when the client has left.
func (s *sessionRequest) send(text string) bool {
	conn := http.NewResponseController(s.c.Writer)
	_ = conn.SetWriteDeadline(time.Now().Add(streamWriteLimit))
	_, err := s.c.Writer.WriteString(text)
	return err == nil && conn.Flush() == nil
}
