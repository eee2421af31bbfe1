package statuspage

import (
	"bytes"
	"cmp"
	"embed"
	"encoding/json"
	"html/template"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"qrgate/compat"
	"qrgate/internal/diagnosis"
	"qrgate/internal/redact"
	"qrgate/internal/session"
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
			const text = "format is html or json"
			writeJSON(w, http.StatusBadRequest, map[string]any{
				"success": false, "error": text, "message": text, "code": "INVALID_REQUEST",
			})
		}
	})
	mux.HandleFunc("GET /status/causes", func(w http.ResponseWriter, _ *http.Request) {
		writePage(w, "causes.html", causeList())
	})
	mux.Handle("GET /status/{$}", http.RedirectHandler("../status", http.StatusMovedPermanently))
	files := map[string]string{"app.js": "text/javascript; charset=utf-8", "style.css": "text/css; charset=utf-8"}
	for _, level := range []string{LevelOK, LevelUnknown, LevelDegraded, LevelFailing} {
		files["icon-"+level+".svg"] = "image/svg+xml"
	}
	for name, contentType := range files {
		mux.HandleFunc("GET /status/"+name, func(w http.ResponseWriter, _ *http.Request) {
			body, _ := fs.ReadFile(assets, "assets/"+name) // embedded
			w.Header().Set("Content-Type", contentType)
			_, _ = w.Write(body)
		})
	}
	return withSecurityHeaders(mux)
}

func withSecurityHeaders(next http.Handler) http.Handler {
	const policy = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
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
	for _, part := range strings.Split(strings.Join(r.Header.Values("Accept"), ","), ",") {
		mediaType, _, _ := strings.Cut(part, ";")
		switch strings.ToLower(strings.TrimSpace(mediaType)) {
		case "text/html", "application/xhtml+xml":
			return "html"
		case "application/json":
			return "json"
		}
	}
	return "html"
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(body); err != nil {
		http.Error(w, compat.CodeInternalError, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// parseTemplates runs at the first page.
var parseTemplates = sync.OnceValues(func() (*template.Template, error) {
	return template.New("").Funcs(template.FuncMap{
		"ago": ago, "count": count, "runbook": runbook, "runs": runStrip, "journeys": acquisitionStrip,
		"clock": func(t time.Time) string { return t.UTC().Format("15:04:05") + " UTC" },
		"stamp": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"took":  func(s float64) string { return short(duration(s)) },
		"word":  readable,
		"title": func(c diagnosis.Code) string { return diagnosis.New(c).Title },
		"plain": func(text string) string { return strings.ReplaceAll(text, "`", "") },
		"pair":  func(at, now time.Time) any { return struct{ At, Now time.Time }{at, now} },
		"pair2": func(a any, now time.Time) any {
			return struct {
				A   any
				Now time.Time
			}{a, now}
		},
		"less": func(a, b int) int { return a - b },
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

// complete adds the verdict, the texts of the catalogue, and empty lists and states, and limits the labels.
func complete(s Snapshot) Snapshot {
	s = limitLabels(s)
	for i, c := range s.Causes {
		d := diagnosis.New(c.Code)
		c.Code, c.Title, c.Help, c.Who, c.Runbook = d.Code, d.Title, d.Help, d.Who, runbook(d.Code)
		s.Causes[i] = c
	}
	sessions := map[session.State]int{}
	for _, state := range session.States() {
		sessions[state] = s.Sessions[state]
	}
	s.Sessions = sessions
	s.Probes.Probes, s.Links = copied(s.Probes.Probes), copied(s.Links)
	for i := range s.Probes.Probes {
		p := &s.Probes.Probes[i]
		p.Runs = copied(p.Runs)
		isResult := func(r Run) bool { return r.Outcome == session.Success || r.Outcome == session.Failure }
		if last := slices.IndexFunc(p.Runs, isResult); last >= 0 {
			p.Healthy = new(p.Runs[last].Outcome == session.Success)
		}
	}
	if s.Engine.Answers == nil {
		s.Engine.Answers = map[string]int{}
	}
	s.Verdict = Judge(s)
	return s
}

// MaxLabels is how many sessions a page names at most.
const MaxLabels = 20

// limitLabels masks the labels and keeps MaxLabels different ones: those of current causes first, then the newest.
func limitLabels(s Snapshot) Snapshot {
	shown := map[string]bool{"": true}
	limit := func(label string) string {
		label = redact.Name(label)
		if !shown[label] && len(shown) > MaxLabels {
			return ""
		}
		shown[label] = true
		return label
	}
	s.Causes, s.Journeys, s.Changes = copied(s.Causes), copied(s.Journeys), copied(s.Changes)
	for i, c := range s.Causes {
		labels := []string{}
		for _, l := range c.Labels {
			if l = limit(l); l != "" {
				labels = append(labels, l)
			}
		}
		s.Causes[i].Labels = labels
	}
	for i := range s.Journeys {
		s.Journeys[i].Label = limit(s.Journeys[i].Label)
	}
	for i := range s.Changes {
		s.Changes[i].Label = limit(s.Changes[i].Label)
	}
	return s
}

// copied returns a copy that is never nil.
func copied[T any](in []T) []T { return append(make([]T, 0, len(in)), in...) }

// runbook is the explanation of a cause, relative to the operators' port.
func runbook(c diagnosis.Code) string { return "status/causes#" + string(c) }

// readable replaces underscores.
func readable(name string) string { return strings.ReplaceAll(name, "_", " ") }

// causeList returns all diagnoses, by code.
func causeList() []diagnosis.Diagnosis {
	var all []diagnosis.Diagnosis
	for _, code := range slices.Sorted(slices.Values(diagnosis.Codes())) {
		all = append(all, diagnosis.New(code))
	}
	return all
}

// byOrigin separates clients and probes. Probes run often; among clients they would take all the space.
type byOrigin[T any] struct{ Clients, Probes []T }

func splitByOrigin[T any](all []T, origin func(T) session.TrafficClass) byOrigin[T] {
	var split byOrigin[T]
	for _, v := range all {
		if origin(v) == session.SyntheticTraffic {
			split.Probes = append(split.Probes, v)
		} else {
			split.Clients = append(split.Clients, v)
		}
	}
	return split
}

// Acquisitions returns the acquisitions by origin.
func (s Snapshot) Acquisitions() byOrigin[Journey] {
	return splitByOrigin(s.Journeys, func(j Journey) session.TrafficClass { return j.Origin })
}

// ChangesByOrigin returns the changes by origin.
func (s Snapshot) ChangesByOrigin() byOrigin[Change] {
	return splitByOrigin(s.Changes, func(c Change) session.TrafficClass { return c.Origin })
}

// Total is the number of clients' active sessions.
func (s Snapshot) Total() (n int) {
	for _, k := range s.Sessions {
		n += k
	}
	return n
}

// barPart is a part of a bar, with its position and width in per cent.
type barPart struct {
	Name, Word string
	Count      int
	X, Width   string
}

// SessionBar returns the states that have sessions.
func (s Snapshot) SessionBar() []barPart {
	var parts []barPart
	x, total := 0.0, float64(max(s.Total(), 1))
	for _, state := range session.States() {
		if n := s.Sessions[state]; n > 0 {
			width := 100 * float64(n) / total
			parts = append(parts, barPart{string(state), readable(string(state)), n, percent(x), percent(width)})
			x += width
		}
	}
	return parts
}

// AnswerCounts returns the classes of the engine's last responses, the most frequent first.
func (s Snapshot) AnswerCounts() []barPart {
	var counts []barPart
	for name, n := range s.Engine.Answers {
		counts = append(counts, barPart{Name: name, Word: readable(name), Count: n})
	}
	slices.SortFunc(counts, func(a, b barPart) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name))
	})
	return counts
}

// Unreachable reports whether an embedded engine cannot reach WhatsApp.
func (s Snapshot) Unreachable() bool { return len(whatsAppUnreachable(s)) > 0 }

// WaiterBar is the used part of the waiters' limit.
func (s Snapshot) WaiterBar() string {
	return percent(min(100, 100*float64(s.Waiters.Held)/float64(max(s.Waiters.Limit, 1))))
}

// Uptime is how long the process has been running.
func (s Snapshot) Uptime() string { return short(duration(s.Build.Uptime)) }

// SortedProbes returns the probes, failing ones first.
func (s Snapshot) SortedProbes() []Probe {
	sorted := copied(s.Probes.Probes)
	isFailing := func(p Probe) bool { n, _ := failureStreak(p.Runs); return n > 0 }
	slices.SortStableFunc(sorted, func(a, b Probe) int { return compareBool(isFailing(b), isFailing(a)) })
	return sorted
}

// Failures returns the failed runs of a probe, the newest first.
func (p Probe) Failures() []Run {
	return slices.DeleteFunc(copied(p.Runs), func(r Run) bool { return r.Outcome != session.Failure })
}

// Oldest is when the oldest run of the strip began.
func (p Probe) Oldest() time.Time {
	if len(p.Runs) == 0 {
		return time.Time{}
	}
	return p.Runs[min(len(p.Runs), recentRuns)-1].Began
}

// Works reports whether the last result of a probe is a success.
func (p Probe) Works() bool { return p.Healthy != nil && *p.Healthy }

// IsInactive reports whether the sessions of a cause are not requested any more.
func (c Cause) IsInactive(now time.Time) bool { return now.Sub(c.Last) > inactiveAfter }

// More is the number of clients' sessions without a label.
func (c Cause) More() int { return max(0, c.Sessions-c.Probes-len(c.Labels)) }
