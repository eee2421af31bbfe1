package probes

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"time"

	"qrgate/compat"
	"qrgate/internal/session"
)

// Session is a session that a probe or the doctor makes at a target: the steps that they share. It is never paired, and
// no other session is touched.
type Session struct {
	Client *compat.Client
	Caller session.Caller
	Ref    session.Ref // its Name is requested from the target; its ID is known after Create

	// Intents are where Record records the session and Delete removes the record; nil: nowhere.
	Intents Intents

	intent    Intent
	existence existence
}

// existence is what is known of a session.
type existence int

const (
	notRequested existence = iota
	maybeCreated           // requested, and the response leaves it open
	created
	rejected // requested, and the target certainly made none
)

// IsRejected reports whether the target certainly made no session.
func (s *Session) IsRejected() bool { return s.existence == rejected }

// randomName returns random characters that are valid in a sessionId, at most 26.
func randomName(length int) string { return strings.ToLower(rand.Text()[:length]) }

// NewSession returns a session with a random name. It is not created yet.
func NewSession(client *compat.Client, caller session.Caller, prefix string) *Session {
	return &Session{Client: client, Caller: caller, Ref: session.Ref{Name: prefix + randomName(16)}}
}

// Record records the session before it is created, so that another process deletes it if this one is killed. The run is
// over by until.
func (s *Session) Record(ctx context.Context, target, owner string, until time.Time) error {
	if s.Intents == nil {
		return nil
	}
	s.intent = Intent{Session: s.Ref.Name, Target: target, Owner: owner, At: time.Now(), Until: until}
	return s.Intents.Record(ctx, s.intent)
}

// callTimeout bounds one call. Real clients give up after about ten seconds.
const callTimeout = 10 * time.Second

// Do makes one call within callTimeout.
func (s *Session) Do(ctx context.Context, r compat.Request) (compat.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return s.Client.Do(ctx, s.Caller, r)
}

// Create creates the session. A response about a session of another name is an error: a probe that went on with that
// session would touch another caller's.
func (s *Session) Create(ctx context.Context, displayName string) error {
	s.existence = maybeCreated
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	ref, err := s.Client.Create(ctx, s.Caller, s.Ref.Name, displayName)
	switch failure := session.AsEngineError(err); {
	case failure != nil && failure.HasNoEffect:
		s.existence = rejected
		return err
	case failure != nil:
		return err
	case ref.Name != "" && ref.Name != s.Ref.Name:
		const reason = "the response is about another session"
		return &session.EngineError{Op: session.OpCreate, Kind: session.KindBadResponse, Reason: reason}
	}
	s.existence, s.Ref.ID = created, ref.ID
	return nil
}

// Connect connects the session once.
func (s *Session) Connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := s.Client.Connect(ctx, s.Caller, s.Ref, session.Connect)
	return err
}

// Intervals between two polls: within a third of the thirty calls a minute that an engine allows.
const (
	minPollInterval = 500 * time.Millisecond
	maxPollInterval = 4 * time.Second
)

// Poll sends the request of each poll until isDone or the end of ctx, and returns how many it sent.
func (s *Session) Poll(
	ctx context.Context, request func(poll int) compat.Request,
	isDone func(compat.Request, compat.Response, error) bool,
) (polls int) {
	for interval := minPollInterval; ; interval = min(2*interval, maxPollInterval) {
		polls++
		r := request(polls)
		response, err := s.Do(ctx, r)
		if isDone(r, response, err) {
			return polls
		}
		var retryAfter time.Duration
		if failure := session.AsEngineError(err); failure != nil {
			retryAfter = failure.RetryAfter
		}
		if !compat.Sleep(ctx, nextInterval(ctx, interval, retryAfter)) {
			return polls
		}
	}
}

// nextInterval moves the last poll before the end of ctx instead of after it, unless the target wants a longer pause.
func nextInterval(ctx context.Context, interval, retryAfter time.Duration) time.Duration {
	interval = max(interval, retryAfter)
	end, ok := ctx.Deadline()
	last := time.Until(end) - minPollInterval
	if ok && interval > last && last >= max(minPollInterval, retryAfter) {
		return last
	}
	return interval
}

// Delete deletes the session, retries until ctx ends, and removes the record. isGone is false while a session may still
// appear or exists: then the record is due. The error is that of the last attempt. The detail is for people.
func (s *Session) Delete(ctx context.Context) (isGone bool, detail string, err error) {
	isGone, detail, err = s.delete(ctx)
	if s.Intents == nil {
		return isGone, detail, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), intentTimeout)
	defer cancel()
	if !isGone {
		s.intent.Until = time.Now()
		_ = s.Intents.Record(ctx, s.intent) // else it becomes due as recorded
	} else if s.Intents.Done(ctx, s.Ref.Name) != nil {
		detail += "; the janitor removes the intent"
	}
	return isGone, detail, err
}

func (s *Session) delete(ctx context.Context) (isGone bool, detail string, err error) {
	if s.existence == rejected {
		return true, "no session was created", nil
	}
	isAbsent, err := s.Client.Delete(ctx, s.Caller, s.Ref)
	switch {
	case err != nil:
		return false, "", err
	case isAbsent && s.existence == maybeCreated:
		return false, "not found yet; the janitor checks again", nil // the create may still be in progress
	case isAbsent:
		return true, "already deleted", nil
	}
	return true, "deleted", nil
}

// qrRequest asks for the session's QR.
func (s *Session) qrRequest() compat.Request {
	return compat.SessionRequest(session.OpQR, http.MethodGet, s.Ref, "qr")
}
