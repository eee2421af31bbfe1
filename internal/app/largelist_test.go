package app_test

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"qrgate/internal/test/enginesim"
)

// A list that is too large to be normalized passes through, with the limit that the engine takes.
func TestList_TooLargePassesThrough(t *testing.T) {
	filler := strings.Repeat("x", 5<<20)
	large := before(func(e *enginesim.Engine) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || r.URL.Path != "/api/sessions" {
				e.ServeHTTP(w, r)
				return
			}
			body := fmt.Sprintf(`{"success":true,"data":{"sessions":[],"asked":%q,"filler":%q}}`, r.URL.RawQuery, filler)
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
			_, _ = io.WriteString(w, body)
		})
	})
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		res := r.get("/api/sessions?limit=200")
		res.wants(http.StatusOK)
		if len(res.body) < len(filler) || res.text("data.asked") != "limit=100" {
			r.Errorf("%d bytes, asked %q", len(res.body), res.text("data.asked"))
		}
	}, large, func(s *setup) { s.skipsOpenAPI = true })
}
