package probes

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"qrgate/compat"
	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// engineHealth asks GET /health, and where nobody serves that the list of sessions.
func engineHealth(ctx context.Context, j *run) {
	defer j.verdict(ctx)
	j.step(ctx, StepHealth, callTime, func(ctx context.Context) (string, *failure) {
		a, f := j.door.ask(ctx, call{op: opHealth, method: http.MethodGet, path: "/health"})
		switch {
		case f == nil && isHealthy(a):
			return "/health answers", nil
		case f == nil:
			return "", &failure{code: diagnosis.Engine5xx, evidence: []string{"GET /health says that the engine is not well"}}
		case a.Status == 0 || a.Status/100 == 5 || f.code == diagnosis.EngineTimeout:
			return "", f
		}
		if _, f := j.door.ask(ctx, listPage(1)); f != nil {
			return "", f
		}
		return "the list of sessions answers", nil
	})
}

// isHealthy reports whether a health answer that is a success says nothing else in its body: engines answer
// {"success":true}, {"status":"ok"} or nothing of the kind.
func isHealthy(a compat.Response) bool {
	body, _ := compat.Parse(a.Body)
	status, said := body["status"].(string)
	return !said || slices.Contains([]string{"ok", "up", "healthy", "pass"}, strings.ToLower(status))
}

// findID looks a session's integer id up in the list: some engines know a sessionId in no path (contract C9).
// A zero ref says that it is not there.
func (d client) findID(ctx context.Context, name string) (session.Ref, *failure) {
	for page := 1; page <= maxPages; page++ {
		a, f := d.ask(ctx, listPage(page))
		if f != nil {
			return session.Ref{}, f
		}
		body, _ := compat.Parse(a.Body)
		sessions := compat.SessionsOf(body)
		for _, s := range sessions {
			if r := compat.RefOf(s); r.Name == name && r.ID > 0 {
				return r, nil
			}
		}
		if len(sessions) < compat.MaxPageSize {
			break
		}
	}
	return session.Ref{}, nil
}
