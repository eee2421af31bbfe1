package statuspage

import (
	"bytes"
	"cmp"
	"embed"
	"encoding/json"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"qrgate/compat"
	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/probes"
)

//go:embed assets
var assets embed.FS

// Handler serves the page at /status, as HTML or JSON, and its assets below /status/. It calls read for each response;
// read must be safe for concurrent use. Mount it at "GET /status" and "GET /status/".
func Handler(read func() Snapshot) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Accept, Accept-Language")
		switch requestedFormat(r) {
		case "json":
			writeJSON(w, http.StatusOK, complete(read(), english))
		case "html":
			lang := requestedLanguage(r)
			writePage(w, lang, "page.html", complete(read(), lang))
		default:
			problem := compat.NewProblem("INVALID_REQUEST", "format is html or json", time.Now())
			writeJSON(w, http.StatusBadRequest, problem)
		}
	})
	mux.HandleFunc("GET /status/causes", func(w http.ResponseWriter, r *http.Request) {
		lang := requestedLanguage(r)
		w.Header().Add("Vary", "Accept-Language")
		writePage(w, lang, "causes.html", causeList(lang))
	})
	mux.Handle("GET /status/{$}", http.RedirectHandler("../status", http.StatusMovedPermanently))
	files, _ := assets.ReadDir("assets/static") // embedded
	for _, file := range files {
		mux.HandleFunc("GET /status/"+file.Name(), func(w http.ResponseWriter, r *http.Request) {
			http.ServeFileFS(w, r, assets, "assets/static/"+file.Name())
		})
	}
	return withSecurityHeaders(mux)
}

func withSecurityHeaders(next http.Handler) http.Handler {
	const policy = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// requestedFormat reads ?format= before Accept; the default is HTML.
func requestedFormat(r *http.Request) string {
	if format := r.URL.Query().Get("format"); format != "" {
		return format
	}
	accept := strings.ToLower(strings.Join(r.Header.Values("Accept"), ","))
	json, html := strings.Index(accept, "application/json"), strings.Index(accept, "html")
	if json >= 0 && (html < 0 || json < html) {
		return "json"
	}
	return "html"
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(body) // fails only when the client has left
}

// templates are the pages by language, parsed at the first one.
var templates = sync.OnceValues(func() (map[pageLanguage]*template.Template, error) {
	byLanguage := map[pageLanguage]*template.Template{}
	for _, lang := range []pageLanguage{english, spanish} {
		t, err := template.New("").Funcs(functions(lang)).ParseFS(assets, "assets/*.html")
		if err != nil {
			return nil, err
		}
		byLanguage[lang] = t
	}
	return byLanguage, nil
})

func functions(lang pageLanguage) template.FuncMap {
	return template.FuncMap{
		"t": lang.text, "lang": func() pageLanguage { return lang },
		"ago": lang.ago, "clock": clock, "count": lang.count, "line": lang.line,
		"states": session.States, "add": func(a, b int) int { return a + b },
		"list":     func(values ...any) []any { return values },
		"plain":    func(text string) string { return strings.ReplaceAll(text, "`", "") },
		"stamp":    func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"subtract": func(a, b int) int { return a - b },
		"runbook":  func(c diagnosis.Code) string { return "status/causes?lang=" + string(lang) + "#" + string(c) },
		"title":    func(c diagnosis.Code) string { return diagnosis.New(c).Localize(string(lang)).Title },
		"took":     func(s float64) string { return short(duration(s)) },
		"word":     func(name string) string { return lang.text(strings.ReplaceAll(name, "_", " ")) },
	}
}

// writePage renders a page completely before the first byte is sent.
func writePage(w http.ResponseWriter, lang pageLanguage, name string, data any) {
	var b bytes.Buffer
	all, err := templates()
	if err == nil {
		err = all[lang].ExecuteTemplate(&b, name, data)
	}
	if err != nil {
		http.Error(w, "cannot render the page; /status?format=json has the same data", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", string(lang))
	_, _ = w.Write(b.Bytes())
}

// complete adds the language, the verdict and the states without a session.
func complete(s Snapshot, lang pageLanguage) Snapshot {
	sessions := map[session.State]int{}
	for _, state := range session.States() {
		sessions[state] = s.Sessions[state]
	}
	s.Sessions, s.lang = sessions, lang
	s.Causes = slices.Clone(s.Causes)
	for i := range s.Causes {
		s.Causes[i].Diagnosis = s.Causes[i].Localize(string(lang))
	}
	s.Verdict = Judge(s)
	return s
}

// causeList returns all diagnoses, by code.
func causeList(lang pageLanguage) []diagnosis.Diagnosis {
	var all []diagnosis.Diagnosis
	for _, code := range slices.Sorted(slices.Values(diagnosis.Codes())) {
		all = append(all, diagnosis.New(code).Localize(string(lang)))
	}
	return all
}

// Total is the number of clients' active sessions.
func (s Snapshot) Total() (n int) {
	for _, k := range s.Sessions {
		n += k
	}
	return n
}

// IsUnreachable reports whether an embedded engine cannot reach WhatsApp.
func (s Snapshot) IsUnreachable() bool { return len(whatsAppProblems(s)) > 0 }

// SortedProbes returns the probes, those with the most consecutive failures first.
func (s Snapshot) SortedProbes() []Probe {
	failures := func(p Probe) int { n, _ := failureStreak(p.Runs); return n }
	return slices.SortedStableFunc(slices.Values(s.Probes), func(a, b Probe) int {
		return cmp.Compare(failures(b), failures(a))
	})
}

// Failures returns the failed runs.
func (p Probe) Failures() []probes.Result {
	return slices.DeleteFunc(slices.Clone(p.Runs), func(r probes.Result) bool { return r.Outcome != session.Failure })
}

// recentRuns are the newest runs of a probe; the older ones that are kept are failures.
const recentRuns = 30

// Oldest is when the oldest of the recent runs began.
func (p Probe) Oldest() time.Time { return p.Runs[min(len(p.Runs), recentRuns)-1].StartedAt }

// LastOutcome is the newest result; empty without one.
func (p Probe) LastOutcome() session.Outcome {
	for _, r := range p.Runs {
		if r.Outcome != session.Abandoned {
			return r.Outcome
		}
	}
	return ""
}

// IsInactive reports whether the sessions of a cause are not requested any more.
func (c Cause) IsInactive(now time.Time) bool { return now.Sub(c.Last) > inactiveAfter }

// More is the number of sessions without a label.
func (c Cause) More() int { return c.Sessions - len(c.Labels) }
