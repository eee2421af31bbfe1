package metrics_test

import (
	"testing"

	"qrgate/metrics"
)

func TestTemplateOf(t *testing.T) {
	t.Parallel()
	for path, want := range map[string][2]string{
		"/api/sessions":                     {"/api/sessions", ""},
		"/api/sessions/stats":               {"/api/sessions/stats", ""},
		"/api/sessions/81":                  {"/api/sessions/{id}", "81"},
		"/api/sessions/81/qr":               {"/api/sessions/{id}/qr", "81"},
		"/api/sessions/81/qr/status":        {"/api/sessions/{id}/qr/status", "81"},
		"/base/api/sessions/my-own/restart": {"/api/sessions/{id}/restart", "my-own"},
		"/api/sessions/":                    {},
		"/api/sessions//qr":                 {},
		"/api/sessions/81/QR":               {},
		"/api/sessions/81/qr/":              {},
		"/api/sessions/81/messages/9":       {},
		"/api/sessionsx":                    {},
		"/":                                 {},
		"":                                  {},
	} {
		template, id := metrics.TemplateOf(path)
		if got := [2]string{template, id}; got != want {
			t.Errorf("%q is on %q, want %q", path, got, want)
		}
	}
}
