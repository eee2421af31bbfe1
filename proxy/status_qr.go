package proxy

import (
	"encoding/json"
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

// readiness puts a view into words for a client.
func readiness(v *session.Snapshot, id string) QRStatus {
	s := v.Session
	r := QRStatus{ID: s.Ref.ID, SessionID: s.Ref.Name, State: s.State, Status: compat.Wire(s.State), Sequence: s.Sequence, Attempts: s.Polls}
	if r.SessionID == "" {
		r.SessionID = id
	}
	if !s.Since.IsZero() {
		r.Since = text(compat.Millis(s.Since))
	}
	if s.QR.Present() && s.QR.TTL(v.At) > 0 {
		r.Ready = s.QR.Fresh(v.At)
		r.GeneratedAt, r.ExpiresAt = text(compat.Millis(s.QR.Seen)), text(compat.Millis(s.QR.Expires))
		r.ExpiresIn = sinceNow(s.QR.Expires, v.At)
	}
	if !r.Ready && s.State != session.Connected {
		r.RetryAfter = int(retrySoon / time.Second)
	}
	if v.QueuePosition > 0 {
		r.Queue = &Queue{v.QueuePosition, sinceNow(v.At.Add(v.RateLimitWait), v.At)}
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
	asked, ok := parseWait(s.c.Request)
	if !ok {
		s.writeError(s.c.Writer, s.c.Request, apiError{http.StatusBadRequest, compat.CodeValidationError, textBadWait})
		return
	}
	ctx := s.c.Request.Context()
	v, err := s.config.Pairing.Get(ctx, s.caller, s.id)
	if asked.Set && asked.For > 0 && err == nil && v.Authorized && !wantsEventStream(s.c.Request) {
		v, err = s.config.Pairing.Watch(ctx, s.caller, s.id, v, asked.For)
	}
	s.ref = v.Session.Ref
	if clientGone(ctx) {
		return
	}
	if err == nil && !v.Authorized {
		s.reply(s.unauthorizedResponse(v))
		return
	}
	if r, no := engineErrorResponse(err, time.Now()); no {
		s.reply(r)
		return
	}
	if wantsEventStream(s.c.Request) {
		s.stream(v)
		return
	}
	s.writeJSON(http.StatusOK, compat.Envelope{Success: true, Data: readiness(s.inLanguage(v), s.id)}, nil)
}

// problemWithDiagnosis is an error with the reason why there is nothing else to say.
type problemWithDiagnosis struct {
	compat.Problem
	Diagnosis *diagnosis.Diagnosis `json:"diagnosis,omitempty"`
}

// unauthorizedResponse is the answer when nothing may be said of the session, because the engine has not accepted this
// credential for it within the last minute and could not be asked. What is wrong with the engine may be said.
func (s *sessionRequest) unauthorizedResponse(v *session.Snapshot) response {
	t := v.Session.Trouble
	if t.Kind == "" {
		t.Op, t.Kind = session.OpQR, session.KindTimeout
	}
	r := unavailableResponse(&session.EngineError{Op: t.Op, Kind: t.Kind, Status: t.Status, Code: t.Code, Text: t.Text, RetryAfter: t.RetryAfter}, v.At)
	if why := t.EngineDiagnosis(v.At); !why.Healthy() {
		spoken := s.inLanguage(&session.Snapshot{Diagnosis: why}).Diagnosis
		problem, _ := r.body.(compat.Problem)
		r.body = problemWithDiagnosis{problem, &spoken}
	}
	return r
}

func wantsEventStream(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "text/event-stream")
}

// Bounds of a stream of changes.
const (
	streamLife        = 10 * time.Minute // then the client connects again, with a proof that is new
	heartbeatInterval = 15 * time.Second // a comment keeps proxies from cutting a quiet stream
	streamWrite       = 10 * time.Second // a client that does not read for so long is let go
)

// stream sends every change as a server-sent event.
func (s *sessionRequest) stream(v *session.Snapshot) {
	h := s.c.Writer.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("X-Accel-Buffering", "no")
	h.Set("Content-Language", languageOf(s.c.Request))
	s.c.Writer.WriteHeader(http.StatusOK)
	ctx, conn := s.c.Request.Context(), http.NewResponseController(s.c.Writer)
	end := time.Now().Add(streamLife)
	for first := true; time.Now().Before(end) && ctx.Err() == nil; first = false {
		next, err := v, error(nil)
		if !first {
			next, err = s.config.Pairing.Watch(ctx, s.caller, s.id, v, heartbeatInterval)
		}
		if err != nil || !next.Authorized {
			return // the client asks again, and is told then
		}
		_ = conn.SetWriteDeadline(time.Now().Add(streamWrite))
		frame := ": still here\n\n"
		if first || v.Changed(next) {
			b, _ := json.Marshal(readiness(s.inLanguage(next), s.id)) // plain fields cannot fail
			frame = fmt.Sprintf("event: status\ndata: %s\n\n", b)
		}
		if _, err := s.c.Writer.WriteString(frame); err != nil || conn.Flush() != nil {
			return
		}
		v = next
	}
}
