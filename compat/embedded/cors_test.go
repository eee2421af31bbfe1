package embedded

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestCORS_AllowsEveryOrigin(t *testing.T) {
	t.Parallel()
	preflight := httptest.NewRequest(http.MethodOptions, "/api/sessions", nil)
	preflight.Header.Set("Origin", "https://crm.example")
	preflight.Header.Set("Access-Control-Request-Method", "POST")
	preflight.Header.Set("Access-Control-Request-Headers", "x-api-key,content-type")
	plain := httptest.NewRequest(http.MethodGet, "/api/sessions", nil)
	plain.Header.Set("Origin", "https://crm.example")
	for name, c := range map[string]struct {
		r         *http.Request
		preflight bool
		origin    string
		headers   string
	}{
		"a preflight":  {preflight, true, "https://crm.example", "x-api-key,content-type"},
		"a call":       {plain, false, "https://crm.example", ""},
		"no browser":   {httptest.NewRequest(http.MethodGet, "/", nil), false, "", ""},
		"bare OPTIONS": {httptest.NewRequest(http.MethodOptions, "/", nil), false, "", ""},
	} {
		w := httptest.NewRecorder()
		if got := handleCORS(w, c.r); got != c.preflight {
			t.Errorf("%s: preflight is %t", name, got)
		}
		h := w.Result().Header
		if (h.Get("Access-Control-Expose-Headers") != "") != (c.origin != "") {
			t.Errorf("%s: a page cannot read the headers: %v", name, h)
		}
		if h.Get("Access-Control-Allow-Origin") != c.origin || h.Get("Access-Control-Allow-Headers") != c.headers || h.Get("Vary") == "" {
			t.Errorf("%s: %v", name, h)
		}
	}
}
