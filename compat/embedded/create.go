package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"time"
	"unicode/utf8"

	"qrgate/compat"
)

const (
	maxBody     = 64 << 10 // bytes of any request's body
	maxName     = 255      // characters of a sessionName
	defaultPage = 20       // sessions on a page of the list
)

// sessionID is what a client may call a session (contract 1.1).
var sessionID = regexp.MustCompile(`^[A-Za-z0-9_-]{3,100}$`)

// createRequest is the body of a create, as far as this engine reads it.
type createRequest struct {
	SessionID   string `json:"sessionId"`
	SessionName string `json:"sessionName"`
}

// create makes a session and connects nothing (contract C4).
func (e *Engine) create(r *http.Request, account string) reply {
	var w createRequest
	if refusal := read(r, &w); refusal != nil {
		return *refusal
	}
	if !sessionID.MatchString(w.SessionID) {
		return invalid("sessionId must be 3 to 100 letters, digits, _ or -")
	}
	if n := utf8.RuneCountInString(w.SessionName); n < 1 || n > maxName {
		return invalid("sessionName must be 1 to 255 characters")
	}
	now := time.Now()
	return e.make(r.Context(), row{account: account, sessionID: w.SessionID, name: w.SessionName, created: now, updated: now})
}

const textLimit = "session limit: this account may have no more sessions; delete some that are not used"

// make stores a session unless it is there already or one too many; 403 would speak of the key.
func (e *Engine) make(ctx context.Context, r row) reply {
	e.createMu.Lock()
	defer e.createMu.Unlock()
	e.mu.RLock()
	_, taken := e.shelf.byName[r.account][r.sessionID]
	count, closed := len(e.shelf.byName[r.account]), e.closed
	e.mu.RUnlock()
	switch {
	case closed:
		return problem(http.StatusServiceUnavailable, codeShuttingDown, textClosing)
	case taken:
		return problem(http.StatusConflict, codeExists, "a session with this sessionId already exists")
	case count >= e.config.MaxSessions:
		return problem(http.StatusUnprocessableEntity, codeLimit, textLimit)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTime)
	defer cancel()
	r, err := e.db.insert(ctx, r)
	if err != nil {
		e.log.Error("a session could not be stored", "error", scrub(err.Error()))
		return problem(http.StatusInternalServerError, compat.CodeInternalError, "the session could not be stored")
	}
	s := newSession(e, r)
	e.mu.Lock()
	e.shelf.put(s)
	e.mu.Unlock()
	return reply{http.StatusCreated, compat.Created(s.view().item(time.Now()).Session)}
}

// readConnect reads {"force":true}, {} and nothing alike (contract C10).
func readConnect(r *http.Request) (force bool, refusal *reply) {
	var body struct {
		Force bool `json:"force"`
	}
	refusal = read(r, &body)
	return body.Force, refusal
}

// read reads a JSON body into v; an empty one leaves v as it is.
func read(r *http.Request, v any) *reply {
	b, err := io.ReadAll(r.Body)
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		a := problem(http.StatusRequestEntityTooLarge, compat.CodePayloadTooLarge, "the body is larger than 64 KiB")
		return &a
	}
	if err == nil && len(b) > 0 {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		a := invalid("the body is not the JSON that was expected")
		return &a
	}
	return nil
}

func invalid(detail string) reply {
	return problem(http.StatusBadRequest, compat.CodeValidationError, "Datos de entrada inválidos: "+detail)
}
