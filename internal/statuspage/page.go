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
		w.Header().Add("Vary", "Accept")
		switch requestedFormat(r) {
		case "json":
			writeJSON(w, http.StatusOK, complete(read()))
		case "html":
			writePage(w, "page.html", complete(read()))
		default:
			problem := compat.NewProblem("INVALID_REQUEST", "format is html or json", time.Now())
			writeJSON(w, http.StatusBadRequest, problem)
		}
	})
	mux.HandleFunc("GET /status/causes", func(w http.ResponseWriter, _ *http.Request) {
		writePage(w, "causes.html", causeList())
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

// parseTemplates runs at the first page.
var parseTemplates = sync.OnceValues(func() (*template.Template, error) {
	return template.New("").Funcs(template.FuncMap{
		"ago": ago, "clock": clock, "count": count,
		"states": session.States, "add": func(a, b int) int { return a + b },
		"list":     func(values ...any) []any { return values },
		"plain":    func(text string) string { return strings.ReplaceAll(text, "`", "") },
		"stamp":    func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"subtract": func(a, b int) int { return a - b },
		"runbook":  func(c diagnosis.Code) string { return "status/causes#" + string(c) },
		"title":    func(c diagnosis.Code) string { return diagnosis.New(c).Title },
		"took":     func(s float64) string { return short(duration(s)) },
		"word":     func(name string) string { return strings.ReplaceAll(name, "_", " ") },
	}).ParseFS(assets, "assets/*.html")
})

// writePage renders a page completely before the first byte is sent.
func writePage(w http.ResponseWriter, name string, data any) {
	var b bytes.Buffer
	t, err := parseTemplates()
	if err == nil {
		err = t.ExecuteTemplate(&b, name, data)
	}
	if err != nil {
		http.Error(w, "cannot render the page; /status?format=json has the same data", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(b.Bytes())
}

// complete adds the verdict and the states without a session.
func complete(s Snapshot) Snapshot {
	sessions := map[session.State]int{}
	for _, state := range session.States() {
		sessions[state] = s.Sessions[state]
	}
	s.Sessions, s.Verdict = sessions, Judge(s)
	return s
}

// causeList returns all diagnoses, by code.
func causeList() []diagnosis.Diagnosis {
	var all []diagnosis.Diagnosis
	for _, code := range slices.Sorted(slices.Values(diagnosis.Codes())) {
		all = append(all, diagnosis.New(code))
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

// Line describes the response with its duration.
func (r Response) Line() string { return r.Text + ", after " + short(duration(r.Seconds)) }

// IsInactive reports whether the sessions of a cause are not requested any more.
func (c Cause) IsInactive(now time.Time) bool { return now.Sub(c.Last) > inactiveAfter }

// More is the number of sessions without a label.
func (c Cause) More() int { return c.Sessions - len(c.Labels) }
