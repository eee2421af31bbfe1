package embedded

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"qrgate/compat"
	"qrgate/internal/redact"
	"qrgate/internal/session"
	"qrgate/internal/webhook"
)

const (
	minSessionID = 3   // characters of a sessionId, of those that session.ValidID accepts (contract 1.1)
	maxName      = 255 // characters of a sessionName
	defaultPage  = 20  // sessions on a page of the list
)

func (e *Engine) root(*http.Request) response {
	return ok(map[string]any{"success": true, "message": "qrgate, embedded engine", "health": "/health",
		"features":  features,
		"endpoints": map[string]string{"sessions": "/api/sessions"}})
}

func (e *Engine) health(*http.Request) response {
	return ok(map[string]any{"success": true, "message": "ok", "timestamp": compat.Seconds(time.Now()),
		"environment": "production"})
}

// create stores a session; it connects nothing (contract C4).
func (e *Engine) create(r *http.Request, account string) response {
	var body struct {
		SessionID   string `json:"sessionId"`
		SessionName string `json:"sessionName"`
		webhookBody
	}
	if problem := readJSON(r, &body); problem != nil {
		return *problem
	}
	if len(body.SessionID) < minSessionID || !session.ValidID(body.SessionID) {
		return invalid("sessionId must be 3 to 100 letters, digits, _ or -")
	}
	if n := utf8.RuneCountInString(body.SessionName); n < 1 || n > maxName {
		return invalid("sessionName must be 1 to 255 characters")
	}
	target, refused := body.target(nil, e.allowPrivateWebhooks)
	if refused != nil {
		return *refused
	}
	now := time.Now()
	return e.insert(r.Context(), row{account: account, sessionID: body.SessionID, name: body.SessionName,
		created: now, updated: now}, target)
}

// insert responds 422 above the limit; clients read 403 as a refused key.
func (e *Engine) insert(ctx context.Context, r row, target *webhook.Target) response {
	e.createMu.Lock()
	defer e.createMu.Unlock()
	e.mu.RLock()
	_, exists := e.byName[r.account][r.sessionID]
	count, closed := len(e.byName[r.account]), e.closed
	e.mu.RUnlock()
	switch {
	case closed:
		return shuttingDown()
	case exists:
		return problem(http.StatusConflict, codeExists, "a session with this sessionId already exists")
	case count >= e.limits.Sessions:
		return problem(http.StatusUnprocessableEntity, codeLimit,
			"session limit: this account may have no more sessions; delete unused ones")
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	r, err := e.db.insert(ctx, r, target)
	if err != nil {
		e.log.Error("cannot store session", "error", redact.Foreign(err.Error()))
		return internalError("the session could not be stored")
	}
	e.webhooks.setTarget(r.id, target)
	s := e.addSession(r)
	return response{http.StatusCreated, struct {
		compat.Envelope
		Features []string `json:"features"`
	}{compat.Created(s.view().item(time.Now())), features}}
}

// list filters by every known spelling of a state, and ignores invalid numbers.
func (e *Engine) list(r *http.Request, account string) response {
	q := r.URL.Query()
	items := e.items(account)
	if text := q.Get("status"); text != "" {
		state := compat.ParseState(text)
		items = slices.DeleteFunc(items, func(s compat.Session) bool {
			return state == session.Unknown || s.Status != compat.Wire(state)
		})
	}
	page, _ := strconv.Atoi(q.Get("page"))
	limit, _ := strconv.Atoi(q.Get("limit"))
	if limit <= 0 {
		limit = defaultPage
	}
	return ok(compat.List(items, page, limit))
}

func (e *Engine) stats(_ *http.Request, account string) response {
	return ok(statsBody(e.items(account)))
}

// items returns the sessions of an account, the newest first: most clients read only the first page.
func (e *Engine) items(account string) []compat.Session {
	var out []compat.Session
	for _, s := range slices.Backward(e.all()) {
		if s.row.account == account {
			out = append(out, s.refreshed().item(time.Now()))
		}
	}
	return out
}

func (e *Engine) get(_ *http.Request, s *engineSession) response {
	return ok(compat.SessionBody(s.refreshed().item(time.Now())))
}

func (e *Engine) status(_ *http.Request, s *engineSession) response {
	return ok(compat.Status(s.refreshed().item(time.Now())))
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
	e.webhooks.forget(v.row.id)
	e.removeSession(s)
	return ok(compat.ActionResult(compat.TextDeleted, v.ref(), compat.WireDisconnected))
}

// item is the session in the documented form at now.
func (v view) item(now time.Time) compat.Session {
	s := compat.Session{
		ID: v.row.id, SessionID: v.row.sessionID, SessionName: v.row.name,
		Status:         compat.Wire(v.link.state()),
		IsConnected:    v.link.Phase == online,
		LastActivity:   compat.Millis(v.link.Since),
		CreatedAt:      compat.Millis(v.row.created),
		UpdatedAt:      compat.Millis(v.link.Since),
		LastDisconnect: v.lastDisconnect(),
		QueuePosition:  v.queue,
	}
	if v.hook != nil {
		s.WebhookURL = &v.hook.URL
	}
	if phone := v.phone(); phone != "" {
		s.PhoneNumber = &phone
	}
	if q, ok := v.qr(now); ok {
		image, shown, expires := q.Image.Reveal(), compat.Millis(q.SeenAt), compat.Millis(q.ExpiresAt)
		s.HasQR, s.QRCode, s.QRGeneratedAt, s.QRExpiresAt = true, &image, &shown, &expires
	}
	return s
}

func (v view) lastDisconnect() *compat.LastDisconnect {
	why := v.link.LastDisconnect
	if !why.isKnown() {
		return nil
	}
	return &compat.LastDisconnect{Code: string(why.Code), Message: why.Text, At: compat.Seconds(why.At)}
}

// statsBody is GET /api/sessions/stats, whose shape is not documented: a count for each state.
func statsBody(all []compat.Session) compat.Envelope {
	counts := map[string]int{
		"total": len(all), compat.WireConnecting: 0, compat.WireQR: 0, compat.WireConnected: 0,
		compat.WireDisconnected: 0, compat.WireError: 0,
	}
	for _, s := range all {
		counts[s.Status]++
	}
	return compat.Envelope{Success: true, Data: counts}
}

// qrErrorBody is the documented error of GET …/qr, in the documented Spanish, with the cause if the session has
// stopped.
func qrErrorBody(v view, now time.Time) any {
	var body struct {
		compat.Problem
		LastDisconnect *compat.LastDisconnect `json:"lastDisconnect,omitempty"`
		QueuePosition  int                    `json:"queuePosition,omitempty"`
	}
	body.QueuePosition = v.queue
	text := "Error obteniendo código QR"
	if (v.link.Phase == idle || v.link.Phase == passkeyPending) && v.link.LastDisconnect.isKnown() {
		body.LastDisconnect = v.lastDisconnect()
		text += ": " + body.LastDisconnect.Code
	}
	body.Problem = compat.NewProblem(compat.CodeQRGenerationError, text, now)
	return body
}
