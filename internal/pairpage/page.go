package pairpage

import (
	"bytes"
	"crypto/rand"
	"embed"
	"encoding/json"
	"html/template"
	"net/http"
	"strings"
	"sync"

	"golang.org/x/text/language"

	"qrgate/internal/diagnosis"
)

// Phase is what the page shows.
type Phase string

// The phases, in the order in which a pairing passes through them.
const (
	Idle      Phase = "idle"      // the session is not connected; the page connects it once
	Preparing Phase = "preparing" // a code is being obtained
	Scan      Phase = "scan"      // a code is shown
	Scanned   Phase = "scanned"   // the code was used, and the session is not connected yet
	Linked    Phase = "linked"    // the session is connected
	Expired   Phase = "expired"   // the codes ran out
	Problem   Phase = "problem"   // a cause that needs a person
	Ended     Phase = "ended"     // the link is not valid any more
)

// Status is what the page shows now. It is also the data of each event of its stream. It has no
// internal detail of qrgate: a customer reads it.
type Status struct {
	Phase       Phase   `json:"phase"`
	QRCode      string  `json:"qrCode,omitempty"` // a data URL
	Sequence    int     `json:"sequence"`         // 1 is the first code of a connect
	ExpiresAt   *string `json:"expiresAt"`
	ExpiresIn   int     `json:"expiresIn"`   // whole seconds
	ExpiresInMs int64   `json:"expiresInMs"` // for a countdown
	LifeMs      int64   `json:"lifeMs"`      // of the code, from its begin to its end
	Queue       *Queue  `json:"queue"`       // null unless the session waits for its turn
	Cause       *Cause  `json:"problem"`     // null unless the phase is problem
	CanRetry    bool    `json:"canRetry"`    // no code is being obtained: POST …/connect begins anew
}

// Queue is the session's position among those that wait.
type Queue struct {
	Place int `json:"place"` // 1 is next
}

// Cause is why there is no code, and who must act.
type Cause struct {
	Code  diagnosis.Code  `json:"code"`
	Title string          `json:"title"`
	Who   diagnosis.Actor `json:"who"`
	Help  string          `json:"help,omitempty"` // for the person with the phone
}

// NewCause is a diagnosis in the words for the person with the phone. The advice to others is not for them.
func NewCause(d diagnosis.Diagnosis, languageName string) *Cause {
	d = d.Localize(languageName)
	c := &Cause{Code: d.Code, Title: d.Title, Who: d.Who}
	if d.Who == diagnosis.Customer {
		c.Help = d.Help
	}
	return c
}

// View is one response with the page.
type View struct {
	Language       string
	Status         Status
	SessionID      string
	RedirectURL    string
	FrameAncestors []string
	PairsByPhone   bool
	IsUsed         bool // the session was linked before the page was opened
}

// Languages are the page's, the default first.
func Languages() []string { return []string{"en", "es", "pt"} }

var languages = language.NewMatcher([]language.Tag{language.English, language.Spanish, language.Portuguese})

// LanguageOf is the page's language that fits best: the link's, else the browser's.
func LanguageOf(locale, accept string) string {
	if len(accept) > maxAccept {
		accept = ""
	}
	_, i := language.MatchStrings(languages, locale, accept)
	return Languages()[i]
}

// maxAccept bounds how much of an Accept-Language is parsed, in bytes.
const maxAccept = 200

// IsLocale reports whether a text names a language of the page, as es or pt-BR.
func IsLocale(text string) bool {
	tag, err := language.Parse(text)
	if err != nil || len(text) > maxAccept {
		return false
	}
	_, _, confidence := languages.Match(tag)
	return confidence >= language.High
}

//go:embed assets
var assets embed.FS

// page is what all responses share.
type page struct {
	template      *template.Template
	texts         map[string]map[string]string
	style, script string
}

// load reads the assets at the first page.
var load = sync.OnceValues(func() (p page, err error) {
	read := func(name string) []byte {
		b, _ := assets.ReadFile("assets/" + name) // embedded
		return b
	}
	p.style, p.script = string(read("page.css")), string(read("page.js"))
	err = json.Unmarshal(read("texts.json"), &p.texts)
	if err == nil {
		p.template, err = template.ParseFS(assets, "assets/page.html")
	}
	return p, err
})

// data is what the page's script reads.
type data struct {
	Status         Status            `json:"status"`
	Texts          map[string]string `json:"texts"`
	SessionID      string            `json:"sessionId"`
	RedirectURL    string            `json:"redirectUrl"`
	FrameAncestors []string          `json:"frameAncestors"`
	PairsByPhone   bool              `json:"pairsByPhone"`
	IsUsed         bool              `json:"isUsed"`
}

// Write writes the page. It needs nothing but itself and its stream, and may be framed by v.FrameAncestors only.
func Write(w http.ResponseWriter, status int, v View) error {
	p, err := load()
	if err != nil {
		return err
	}
	nonce := rand.Text()
	var b bytes.Buffer
	err = p.template.Execute(&b, map[string]any{
		"Language": v.Language, "Nonce": nonce, "Text": p.texts[v.Language],
		"Style": template.CSS(p.style), "Script": template.JS(p.script), //nolint:gosec // embedded files
		"Data": data{
			v.Status, p.texts[v.Language], v.SessionID, v.RedirectURL, v.FrameAncestors, v.PairsByPhone, v.IsUsed,
		},
	})
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", v.Language)
	h.Set("Content-Security-Policy", policy(nonce, v.FrameAncestors))
	h.Set("X-Robots-Tag", "noindex")
	w.WriteHeader(status)
	_, err = w.Write(b.Bytes())
	return err
}

func policy(nonce string, frameAncestors []string) string {
	ancestors := "'none'"
	if len(frameAncestors) > 0 {
		ancestors = strings.Join(frameAncestors, " ")
	}
	return "default-src 'none'; img-src data:; connect-src 'self'; style-src 'nonce-" + nonce + "'; script-src 'nonce-" +
		nonce + "'; base-uri 'none'; form-action 'none'; frame-ancestors " + ancestors
}
