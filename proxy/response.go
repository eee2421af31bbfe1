package proxy

import (
	"net/http"

	"golang.org/x/text/language"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// longestPreference bounds how much of an Accept-Language is read, in bytes: a browser's has some forty.
const longestPreference = 200

// languageOf is the language of the catalogue that a client likes best (RFC 9110, 12.5.4), the usual one if it
// does not say.
func languageOf(r *http.Request) string {
	said := r.Header.Get("Accept-Language")
	offered := diagnosis.Languages()
	if said == "" || len(said) > longestPreference {
		return offered[0]
	}
	tags := make([]language.Tag, len(offered))
	for i, name := range offered {
		tags[i] = language.Make(name)
	}
	_, i := language.MatchStrings(language.NewMatcher(tags), said)
	return offered[i]
}

// inLanguage is a view whose diagnosis speaks the client's language, and says so in the answer's header.
func (s *sessionRequest) inLanguage(v *session.Snapshot) *session.Snapshot {
	if v.Diagnosis.Healthy() {
		return v
	}
	spoken := languageOf(s.c.Request)
	s.c.Writer.Header().Set("Content-Language", spoken)
	other := *v
	other.Diagnosis = v.Diagnosis.Localize(spoken)
	return &other
}
