package compat_test

import (
	"strings"
	"testing"

	"qrgate/compat"
)

func TestMatchRoute(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]struct {
		template string
		near     bool
	}{
		"/api/sessions":              {template: "/api/sessions"},
		"/api/sessions/stats":        {template: "/api/sessions/stats"},
		"/api/sessions/81":           {template: "/api/sessions/{id}"},
		"/api/sessions/QR/qr":        {template: "/api/sessions/{id}/qr"},
		"/api/sessions/81/qr/status": {template: "/api/sessions/{id}/qr/status"},
		"/api/sessions/":             {near: true},
		"/API/sessions":              {near: true},
		"/api/sessions/STATS":        {near: true},
		"/api/sessions/81/qR":        {near: true},
		"/api/sessions/81/":          {near: true},
		"/api/sessions/81/qr/x":      {},
		"/api/sessions//qr":          {},
		"/api/sessions//":            {},
		"/api/\u017fessions":         {near: true}, // a letter that folds to s
		"/api/sessionsX":             {},
		"/":                          {},
		"/api":                       {},
	} {
		template, near := compat.MatchRoute(path)
		if template != want.template || near != want.near {
			t.Errorf("%s: %q near %v; want %+v", path, template, near, want)
		}
	}
}

func TestMatchRoute_FindsEveryRoute(t *testing.T) {
	t.Parallel()
	for _, route := range compat.Routes() {
		if template, _ := compat.MatchRoute(strings.Replace(route.Path, "{id}", "81", 1)); template != route.Path {
			t.Errorf("%s is matched as %q", route.Path, template)
		}
	}
}
