package embedded

import (
	"context"
	"net/http"
	"regexp"
	"strconv"
	"time"
	"unicode/utf8"

	"qrgate/compat"
	"qrgate/internal/redact"
	"qrgate/internal/session"
)

const (
	maxName     = 255 // characters of a sessionName
	defaultPage = 20  // sessions on a page of the list
)

// validSessionID is the documented form of a sessionId (contract 1.1).
var validSessionID = regexp.MustCompile(`^[A-Za-z0-9_-]{3,100}$`)

func (e *Engine) root(*http.Request) response {
	return ok(struct {
		compat.Envelope
		Health    string            `json:"health"`
		Endpoints map[string]string `json:"endpoints"`
	}{compat.Envelope{Success: true, Message: "qrgate, embedded engine"}, "/health",
		map[string]string{"sessions": "/api/sessions"}})
}

func (e *Engine) health(*http.Request) response {
	return ok(struct {
		compat.Envelope
		Timestamp   string `json:"timestamp"`
		Environment string `json:"environment"`
	}{compat.Envelope{Success: true, Message: "ok"}, compat.Seconds(time.Now()), "production"})
}

// create stores a session; it connects nothing (contract C4).
func (e *Engine) create(r *http.Request, account string) response {
	var body struct {
		SessionID   string `json:"sessionId"`
		SessionName string `json:"sessionName"`
	}
	if problem := readJSON(r, &body); problem != nil {
		return *problem
	}
	if !validSessionID.MatchString(body.SessionID) {
		return invalid("sessionId must be 3 to 100 letters, digits, _ or -")
	}
	if n := utf8.RuneCountInString(body.SessionName); n < 1 || n > maxName {
		return invalid("sessionName must be 1 to 255 characters")
	}
	now := time.Now()
	return e.insert(r.Context(), row{account: account, sessionID: body.SessionID, name: body.SessionName,
		created: now, updated: now})
}

// insert responds 422 above the limit; clients read 403 as a refused key.
func (e *Engine) insert(ctx context.Context, r row) response {
	e.createMu.Lock()
	defer e.createMu.Unlock()
	e.mu.RLock()
	_, exists := e.sessions.byName[r.account][r.sessionID]
	count, closed := len(e.sessions.byName[r.account]), e.closed
	e.mu.RUnlock()
	switch {
	case closed:
		return shuttingDown()
	case exists:
		return problem(http.StatusConflict, codeExists, "a session with this sessionId already exists")
	case count >= e.maxSessions:
		return problem(http.StatusUnprocessableEntity, codeLimit,
			"session limit: this account may have no more sessions; delete unused ones")
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	r, err := e.db.insert(ctx, r)
	if err != nil {
		e.log.Error("cannot store session", "error", redact.Foreign(err.Error()))
		return internalError("the session could not be stored")
	}
	s := newSession(e, r)
	e.mu.Lock()
	e.sessions.add(s)
	e.mu.Unlock()
	return response{http.StatusCreated, compat.Created(s.view().item(time.Now()).Session)}
}

func (e *Engine) list(r *http.Request, account string) response {
	q := r.URL.Query()
	items := e.items(account)
	if state := q.Get("status"); state != "" {
		items = filterByState(items, state)
	}
	return ok(listBody(items, positive(q.Get("page"), 1), positive(q.Get("limit"), defaultPage)))
}

func (e *Engine) stats(_ *http.Request, account string) response {
	return ok(statsBody(e.items(account)))
}

// items returns the sessions of an account, the newest first: most clients read only the first page.
func (e *Engine) items(account string) []item {
	e.mu.RLock()
	sessions := e.sessions.ofAccount(account)
	e.mu.RUnlock()
	out := make([]item, len(sessions))
	for i, s := range sessions {
		out[i] = s.refreshed().item(time.Now())
	}
	return out
}

// filterByState accepts every known spelling of a state.
func filterByState(items []item, text string) []item {
	state := compat.ParseState(text)
	var out []item
	for _, i := range items {
		if state != session.Unknown && i.Status == compat.Wire(state) {
			out = append(out, i)
		}
	}
	return out
}

// positive parses a number of the query; invalid ones are ignored.
func positive(text string, fallback int) int {
	if n, err := strconv.Atoi(text); err == nil && n > 0 {
		return n
	}
	return fallback
}

func (e *Engine) get(_ *http.Request, s *engineSession) response {
	return ok(sessionBody(s.refreshed().item(time.Now())))
}

func (e *Engine) status(_ *http.Request, s *engineSession) response {
	return ok(statusBody(s.refreshed().item(time.Now())))
}

// qr responds at once, like the documented engine: with the code or with QR_GENERATION_ERROR. The error names the
// cause when the session has stopped.
func (e *Engine) qr(_ *http.Request, s *engineSession) response {
	v := s.refreshed()
	now := time.Now()
	if q, ready := v.qr(now); ready {
		return ok(compat.QR(v.ref(), q, now))
	}
	if v.link.Phase == online {
		return problem(http.StatusBadRequest, compat.CodeSessionAlreadyConnected, "La sesión ya está conectada")
	}
	return response{http.StatusInternalServerError, qrErrorBody(v, now)}
}

// connect accepts {"force":true}, {} and an empty body (contract C10).
func (e *Engine) connect(r *http.Request, s *engineSession) response {
	var body struct {
		Force bool `json:"force"`
	}
	if problem := readJSON(r, &body); problem != nil {
		return *problem
	}
	return requestConnect(s, body.Force, compat.TextConnecting)
}

func (e *Engine) restart(_ *http.Request, s *engineSession) response {
	return requestConnect(s, true, compat.TextRestarting)
}

// requestConnect does not wait for the code.
func requestConnect(s *engineSession, force bool, text string) response {
	if !s.apply(nil, connectRequested{force: force}) {
		return shuttingDown()
	}
	v := s.view()
	status := compat.WireConnecting
	if v.link.Phase == online {
		status = compat.WireConnected
	}
	return ok(compat.ActionResult(text, v.ref(), status))
}

func (e *Engine) disconnect(_ *http.Request, s *engineSession) response {
	s.apply(nil, stopRequested{pause: true})
	return ok(compat.ActionResult(compat.TextDisconnected, s.view().ref(), compat.WireDisconnected))
}

// delete removes the device from the phone's list if possible, and all data of the session.
func (e *Engine) delete(r *http.Request, s *engineSession) response {
	v := s.logout(r.Context())
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), writeTimeout)
	defer cancel()
	if err := e.db.remove(ctx, v.row.id, v.link.JID); err != nil {
		s.log().Error("cannot delete session", "error", redact.Foreign(err.Error()))
		return internalError("the session could not be deleted")
	}
	s.close()
	e.mu.Lock()
	e.sessions.remove(s)
	e.mu.Unlock()
	return ok(compat.ActionResult(compat.TextDeleted, v.ref(), compat.WireDisconnected))
}
