package doctor

import (
	"context"
	"fmt"
	"net/http"

	"qrgate/compat"
	"qrgate/internal/session"
)

// health asks whether the engine answers. What it says of its health does not matter, because engines differ and
// the list will tell; but somebody who is no engine answers too, and is told by not speaking the documented API.
func (e *run) health(ctx context.Context) (string, *session.EngineError) {
	a, f := e.call(ctx, "health", http.MethodGet, "health", "")
	if f != nil {
		return "", f
	}
	if f := a.EngineError("health"); f != nil && (f.Kind == session.KindUnreachable || f.Kind == session.KindTimeout) {
		return "", f
	}
	if isEngineAPI(a) {
		return fmt.Sprintf("GET /health answers %d", a.Status), nil
	}
	return e.guarded(ctx)
}

// guarded looks for the API where an engine without /health has it: at the list, which wants a key.
func (e *run) guarded(ctx context.Context) (string, *session.EngineError) {
	a, f := e.call(ctx, session.OpList, http.MethodGet, "api/sessions?page=1&limit=1", "")
	if f != nil {
		return "", f
	}
	body, _ := compat.Parse(a.Body)
	if isEngineAPI(a) || a.Status == http.StatusUnauthorized || a.Status == http.StatusOK && compat.SessionsOf(body) != nil {
		return fmt.Sprintf("GET /api/sessions answers %d", a.Status), nil
	}
	f = a.EngineError(session.OpList)
	if f == nil || a.Status/100 != 5 && f.Kind != session.KindRateLimited {
		f = &session.EngineError{Op: session.OpList, Kind: session.KindBadResponse, Status: a.Status}
	}
	return "", f
}

// isEngineAPI reports whether an answer is JSON as the documented API frames it. A 404 is nobody's route, however it
// is framed.
func isEngineAPI(a compat.Response) bool {
	body, err := compat.Parse(a.Body)
	if err != nil || !a.Complete || a.Status == http.StatusNotFound {
		return false
	}
	_, framed := body["success"].(bool)
	_, healthy := body["status"].(string)
	return framed || healthy
}
