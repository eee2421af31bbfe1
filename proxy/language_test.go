package proxy

import (
	"net/http"
	"strings"
	"testing"
)

func TestLanguageOf(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{
		"": "en", "es": "es", "es-MX,es;q=0.9,en;q=0.8": "es", "en-GB,es;q=0.5": "en", "de": "en", "de,es;q=0.1": "es",
		"*": "en", "es-419": "es", "nonsense;;q=": "en", "es;q=0": "en", "es," + strings.Repeat("a-", 200): "en",
	} {
		r := &http.Request{Header: http.Header{}}
		if said != "" {
			r.Header.Set("Accept-Language", said)
		}
		if got := languageOf(r); got != want {
			t.Errorf("%q is localized to %s, want %s", said, got, want)
		}
	}
}
