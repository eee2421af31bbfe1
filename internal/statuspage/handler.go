package statuspage

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"

	"qrgate/compat"
	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// Handler serves the page at /status, as HTML or as JSON, and what belongs to it below /status/. It asks read
// for each answer; read must be safe for concurrent use. Mount it at both "GET /status" and "GET /status/".
func Handler(read func() Snapshot) http.Handler {
	p := newPages()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		form := format(r)
		w.Header().Add("Vary", "Accept")
		switch form {
		case "json":
			writeJSON(w, http.StatusOK, finalize(read()))
		case "html":
			p.write(w, "page.html", overview{finalize(read())})
		default:
			refuse(w, http.StatusBadRequest, "INVALID_REQUEST", "format is html or json")
		}
	})
	mux.HandleFunc("GET /status/causes", func(w http.ResponseWriter, _ *http.Request) { p.write(w, "causes.html", causes()) })
	mux.Handle("GET /status/{$}", http.RedirectHandler("../status", http.StatusMovedPermanently))
	for name, kind := range map[string]string{"app.js": "text/javascript", "style.css": "text/css"} {
		mux.HandleFunc("GET /status/"+name, func(w http.ResponseWriter, _ *http.Request) { p.file(w, name, kind+"; charset=utf-8") })
	}
	for _, level := range []string{LevelOK, LevelUnknown, LevelDegraded, LevelFailing} {
		name := "icon-" + level + ".svg"
		mux.HandleFunc("GET /status/"+name, func(w http.ResponseWriter, _ *http.Request) { p.file(w, name, "image/svg+xml") })
	}
	return guarded(mux)
}

// guarded lets browsers load nothing from elsewhere, frame nothing and tell nobody.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// format is what the client wants: ?format= before Accept, HTML unless JSON is asked for.
func format(r *http.Request) string {
	if asked := r.URL.Query().Get("format"); asked != "" {
		return asked
	}
	for _, part := range strings.Split(strings.Join(r.Header.Values("Accept"), ","), ",") {
		kind, _, _ := strings.Cut(part, ";")
		switch strings.ToLower(strings.TrimSpace(kind)) {
		case "text/html", "application/xhtml+xml":
			return "html"
		case "application/json":
			return "json"
		}
	}
	return "html"
}

// finalize is a snapshot as it is shown: judged, with its texts filled in, its labels capped, its lists
// and states all there.
func finalize(s Snapshot) Snapshot {
	s = s.limitLabels()
	for i, c := range s.Causes {
		about := diagnosis.New(c.Code)
		s.Causes[i].Code, s.Causes[i].Title, s.Causes[i].Help, s.Causes[i].Who = about.Code, about.Title, about.Help, about.Who
		s.Causes[i].Runbook = runbook(about.Code)
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
		p.Healthy = healthy(p.Runs)
	}
	if s.Engine.Answers == nil {
		s.Engine.Answers = map[string]int{}
	}
	s.Verdict = Judge(s)
	return s
}

// healthy is what the newest run says that said anything; nil without one.
func healthy(runs []Run) *bool {
	for _, r := range runs {
		switch r.Outcome {
		case session.Success:
			return new(true)
		case session.Failure:
			return new(false)
		}
	}
	return nil
}

// runbook is where a cause is explained, relative to the operators' port.
func runbook(c diagnosis.Code) string { return "status/causes#" + string(c) }

func refuse(w http.ResponseWriter, status int, code, message string) {
	writeJSON(w, status, map[string]any{"success": false, "error": message, "message": message, "code": code})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	var b bytes.Buffer
	encode := json.NewEncoder(&b)
	encode.SetIndent("", "  ")
	if err := encode.Encode(body); err != nil {
		http.Error(w, compat.CodeInternalError, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}
