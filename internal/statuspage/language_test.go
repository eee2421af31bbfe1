package statuspage

import (
	"io/fs"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// Every text of the templates and of the Go files has a Spanish translation with the same verbs.
func TestTranslations_AreComplete(t *testing.T) {
	t.Parallel()
	sources := map[string]string{}
	for _, name := range []string{"assets/page.html", "assets/causes.html"} {
		page, err := fs.ReadFile(assets, name)
		if err != nil {
			t.Fatal(err)
		}
		sources[name] = string(page)
	}
	for _, name := range []string{"verdict.go", "language.go"} {
		code, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		sources[name] = string(code)
	}
	call := regexp.MustCompile(`(?:\bt|\.text\(|\bcount\b[^"{}\n]*)\s?"([^"]+)"(?:,? "([^"]+)")?`)
	var texts []string
	for name, source := range sources {
		found := call.FindAllStringSubmatch(source, -1)
		if len(found) < 2 {
			t.Errorf("%s: %d texts", name, len(found))
		}
		for _, m := range found {
			texts = append(texts, m[1:]...)
		}
	}
	for _, word := range slices.Concat(
		words(session.States()), words(session.Kinds()), []string{LevelOK, LevelUnknown, LevelDegraded, LevelFailing},
		words([]diagnosis.Actor{diagnosis.Nobody, diagnosis.Customer, diagnosis.Developer, diagnosis.Operator}),
	) {
		texts = append(texts, strings.ReplaceAll(word, "_", " "))
	}
	verbs := regexp.MustCompile(`%[sd]`)
	for _, text := range texts {
		translated, ok := translations[text]
		if text != "" && !ok {
			t.Errorf("%q has no translation", text)
		}
		if want, got := verbs.FindAllString(text, -1), verbs.FindAllString(translated, -1); !slices.Equal(want, got) {
			t.Errorf("%q: %q", text, translated)
		}
	}
}

func words[T ~string](all []T) (list []string) {
	for _, v := range all {
		list = append(list, string(v))
	}
	return list
}

func TestHandler_Language(t *testing.T) {
	t.Parallel()
	handler := Handler(func() Snapshot {
		return Snapshot{At: time.Unix(0, 0), Engine: Engine{State: EngineDown, Cause: diagnosis.EngineUnreachable}}
	})
	for name, x := range map[string]struct{ target, accept, language, want string }{
		"a Spanish browser":  {"/status", "es-MX,es;q=0.9,en;q=0.8", "es", "Todos los usuarios; ninguna sesión espera"},
		"an English browser": {"/status", "en-US,en;q=0.9", "en", "All users; no session waits"},
		"another browser":    {"/status", "fr-FR", "en", "All users; no session waits"},
		"chosen":             {"/status?lang=es", "en", "es", "No se puede alcanzar el motor"},
		"chosen English":     {"/status?lang=en", "es", "en", "What to do"},
		"invalid":            {"/status?lang=%00", "", "en", "What to do"},
		"causes":             {"/status/causes?lang=es", "", "es", "Quién actúa: operador."},
		"JSON":               {"/status?format=json&lang=es", "es", "", "All users; no session waits"},
	} {
		r := httptest.NewRequest("GET", x.target, nil)
		r.Header.Set("Accept-Language", x.accept)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if got := w.Header().Get("Content-Language"); got != x.language || !strings.Contains(w.Body.String(), x.want) ||
			x.language != "" && !strings.Contains(w.Body.String(), `<html lang="`+x.language+`">`) {
			t.Errorf("%s: language %q, want %q in\n%s", name, got, x.want, w.Body)
		}
	}
}
