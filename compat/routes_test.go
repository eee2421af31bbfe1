package compat_test

import (
	"strings"
	"testing"

	"qrgate/compat"
)

func TestMatchRoute(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]struct {
		template, id string
		near         bool
	}{
		"/api/sessions":              {template: "/api/sessions"},
		"/api/sessions/stats":        {template: "/api/sessions/stats"},
		"/api/sessions/81":           {template: "/api/sessions/{id}", id: "81"},
		"/api/sessions/QR/qr":        {template: "/api/sessions/{id}/qr", id: "QR"},
		"/api/sessions/81/qr/status": {template: "/api/sessions/{id}/qr/status", id: "81"},
		"/api/sessions/":             {"/api/sessions", "", true},
		"/API/sessions":              {"/api/sessions", "", true},
		"/api/sessions/STATS":        {"/api/sessions/stats", "", true},
		"/api/sessions/81/qR":        {"/api/sessions/{id}/qr", "81", true},
		"/api/sessions/81/":          {"/api/sessions/{id}", "81", true},
		"/api/sessions/81/qr/x":      {},
		"/api/sessions//qr":          {},
		"/api/sessions//":            {},
		"/api/\u017fessions":         {"/api/sessions", "", true}, // a letter that folds to s
		"/api/sessionsX":             {},
		"/":                          {},
		"/api":                       {},
	} {
		template, id, near := compat.MatchRoute(path)
		if template != want.template || id != want.id || near != want.near {
			t.Errorf("%s: %q %q near %v; want %+v", path, template, id, near, want)
		}
	}
}

func TestMatchRoute_FindsEveryRoute(t *testing.T) {
	t.Parallel()
	for _, route := range compat.Routes() {
		if template, _, _ := compat.MatchRoute(strings.Replace(route.Path, "{id}", "81", 1)); template != route.Path {
			t.Errorf("%s is matched as %q", route.Path, template)
		}
	}
}
