package diagnosis

import (
	_ "embed" // for catalogue.json
	"encoding/json"
	"strings"
)

//go:embed catalogue.json
var catalogueJSON []byte

// entry is what the catalogue has about a code.
type entry struct {
	Who         Actor `json:"who"`
	Part        Part  `json:"part"`
	NeedsPerson bool  `json:"needs_person"`
	English     text  `json:"en"`
	Spanish     text  `json:"es"`
	Portuguese  text  `json:"pt"` // with help only for the person with the phone
}

// text is the title of a cause, and what to do.
type text struct{ Title, Help string }

// catalogue is read-only. Every code except None has an entry, and a section in docs/runbooks.
var catalogue = func() (entries map[Code]entry) {
	if err := json.Unmarshal(catalogueJSON, &entries); err != nil {
		panic("catalogue.json: " + err.Error())
	}
	return entries
}()

// Languages lists the languages of every text of qrgate, the default first.
func Languages() []string { return []string{"en", "es"} }

// Localize returns d with title and help in Spanish, as "es" or "es-MX", or in Portuguese, "pt". In any other language
// d stays English. The evidence is not translated: it quotes what was observed.
func (d Diagnosis) Localize(language string) Diagnosis {
	base, _, _ := strings.Cut(language, "-")
	e := catalogue[d.Code]
	if translated := map[string]text{"es": e.Spanish, "pt": e.Portuguese}[base]; translated.Title != "" {
		d.Title, d.Help = translated.Title, translated.Help
	}
	return d
}
