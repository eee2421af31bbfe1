package statuspage

import (
	_ "embed" // for assets/es.json
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/text/language"
)

// pageLanguage is a language of the page: "en" or "es". JSON is always English.
type pageLanguage string

const (
	english pageLanguage = "en"
	spanish pageLanguage = "es"
)

var languages = language.NewMatcher([]language.Tag{language.English, language.Spanish})

// requestedLanguage reads ?lang= before Accept-Language; the default is English.
func requestedLanguage(r *http.Request) pageLanguage {
	_, i := language.MatchStrings(languages, r.URL.Query().Get("lang"), r.Header.Get("Accept-Language"))
	return []pageLanguage{english, spanish}[i]
}

//go:embed assets/es.json
var translationsJSON []byte

// translations has the Spanish of every English text and word of the page.
var translations = func() (all map[string]string) {
	if err := json.Unmarshal(translationsJSON, &all); err != nil {
		panic("es.json: " + err.Error())
	}
	return all
}()

// text formats an English format in language l.
func (l pageLanguage) text(format string, args ...any) string {
	if translated, ok := translations[format]; ok && l == spanish {
		format = translated
	}
	if len(args) == 0 {
		return format
	}
	return fmt.Sprintf(format, args...)
}

func (l pageLanguage) ago(at, now time.Time) string {
	d := now.Sub(at)
	if d < 2*time.Second {
		return l.text("just now")
	}
	return l.text("%s ago", short(d.Truncate(time.Second)))
}

// count formats a number with its noun.
func (l pageLanguage) count(n int, singular, plural string) string {
	if n == 1 {
		return "1 " + l.text(singular)
	}
	return fmt.Sprintf("%d %s", n, l.text(plural))
}

// line describes a response with its duration.
func (l pageLanguage) line(r Response) string {
	return l.text("%s, after %s", r.Text, short(duration(r.Seconds)))
}
