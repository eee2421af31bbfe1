package embedded

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"qrgate/compat"
	"qrgate/internal/session"
)

func (e *Engine) root(*http.Request) reply {
	return ok(struct {
		compat.Envelope
		Health    string            `json:"health"`
		Endpoints map[string]string `json:"endpoints"`
	}{compat.Envelope{Success: true, Message: "qrgate, embedded engine"}, "/health",
		map[string]string{"sessions": "/api/sessions"}})
}

func (e *Engine) health(*http.Request) reply {
	return ok(struct {
		compat.Envelope
		Timestamp   string `json:"timestamp"`
		Environment string `json:"environment"`
	}{compat.Envelope{Success: true, Message: "ok"}, compat.Seconds(time.Now()), "production"})
}

func (e *Engine) list(r *http.Request, account string) reply {
	q := r.URL.Query()
	all := e.items(account)
	if word := q.Get("status"); word != "" {
		all = filterByState(all, word)
	}
	return ok(listBody(all, number(q.Get("page"), 1), number(q.Get("limit"), defaultPage)))
}

func (e *Engine) stats(_ *http.Request, account string) reply { return ok(statsBody(e.items(account))) }

// items is the sessions of an account, the newest first: most clients read the first page alone.
func (e *Engine) items(account string) []item {
	e.mu.RLock()
	of := e.shelf.of(account)
	e.mu.RUnlock()
	out := make([]item, len(of))
	for i, s := range of {
		out[i] = s.refreshed().item(time.Now())
	}
	return out
}

// filterByState keeps the sessions in a state, in any spelling that was ever used for it.
func filterByState(all []item, word string) []item {
	state := compat.ParseState(word)
	var out []item
	for _, i := range all {
		if state != session.Unknown && i.Status == compat.Wire(state) {
			out = append(out, i)
		}
	}
	return out
}

// number reads a number of the query; clients send nonsense, which counts as nothing.
func number(text string, otherwise int) int {
	if n, err := strconv.Atoi(text); err == nil && n > 0 {
		return n
	}
	return otherwise
}

func (e *Engine) get(_ *http.Request, s *engineSession) reply {
	return ok(oneBody(s.refreshed().item(time.Now())))
}

func (e *Engine) status(_ *http.Request, s *engineSession) reply {
	return ok(statusBody(s.refreshed().item(time.Now())))
}

// qr answers at once, as the documented engine does: with the code, or with its famous error. The text of
// the error names the cause when the session has given up.
func (e *Engine) qr(_ *http.Request, s *engineSession) reply {
	v := s.refreshed()
	now := time.Now()
	if q, ready := v.qr(now); ready {
		return ok(compat.QR(v.ref(), q, now))
	}
	if v.link.Phase == online {
		return problem(http.StatusBadRequest, compat.CodeSessionAlreadyConnected, "La sesión ya está conectada")
	}
	text := "Error obteniendo código QR"
	if why := v.link.Last; v.link.Phase == idle && why.known() {
		text += ": " + string(why.Code) + ". " + why.Text
	}
	return problem(http.StatusInternalServerError, compat.CodeQRGenerationError, text)
}

func (e *Engine) connect(r *http.Request, s *engineSession) reply {
	force, refusal := readConnect(r)
	if refusal != nil {
		return *refusal
	}
	return e.connectResponse(s, connectRequested{force: force}, compat.TextConnecting)
}

func (e *Engine) restart(_ *http.Request, s *engineSession) reply {
	return e.connectResponse(s, connectRequested{force: true}, compat.TextRestarting)
}

// connectResponse answers a connect at once: the code is the next request's business.
func (e *Engine) connectResponse(s *engineSession, d connectRequested, text string) reply {
	if !s.apply(nil, d) {
		return problem(http.StatusServiceUnavailable, codeShuttingDown, textClosing)
	}
	v := s.view()
	status := compat.WireConnecting
	if v.link.Phase == online {
		status = compat.WireConnected
	}
	return ok(compat.ActionResult(text, v.ref(), status))
}

func (e *Engine) disconnect(_ *http.Request, s *engineSession) reply {
	s.apply(nil, stopRequested{stay: true})
	return ok(compat.ActionResult(compat.TextDisconnected, s.view().ref(), compat.WireDisconnected))
}

// delete takes the device off the phone's list if it can be reached, and forgets everything.
func (e *Engine) delete(r *http.Request, s *engineSession) reply {
	v := s.logout(r.Context())
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), writeTime)
	defer cancel()
	if err := e.db.remove(ctx, v.row.id, v.link.JID); err != nil {
		s.log().Error("a session could not be deleted", "error", scrub(err.Error()))
		return problem(http.StatusInternalServerError, compat.CodeInternalError, "the session could not be deleted")
	}
	s.end()
	e.mu.Lock()
	e.shelf.remove(s)
	e.mu.Unlock()
	return ok(compat.ActionResult(compat.TextDeleted, v.ref(), compat.WireDisconnected))
}
