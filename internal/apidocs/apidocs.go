// Package apidocs serves a viewer of the OpenAPI document: Swagger UI, from this process alone.
package apidocs

import (
	"bytes"
	"compress/gzip"
	"embed"
	"io"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/swaggest/swgui/v5/static"

	"qrgate/api"
)

//go:embed assets
var assets embed.FS

// policy lets the viewer load from its own origin only. Swagger UI sets styles in attributes and draws icons from data
// URLs.
const policy = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; " +
	"form-action 'none'; frame-ancestors 'none'; object-src 'none'"

// Handler serves the viewer below a path that ends with a slash.
func Handler(prefix string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+prefix+"{$}", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, assets, "assets/index.html")
	})
	mux.HandleFunc("GET "+prefix+"viewer.js", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, assets, "assets/viewer.js")
	})
	mux.HandleFunc("GET "+prefix+"openapi.yaml", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/yaml")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(api.OpenAPI))
	})
	for _, name := range []string{"swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"} {
		mux.HandleFunc("GET "+prefix+name, serveStatic)
	}
	mux.Handle("GET "+strings.TrimSuffix(prefix, "/"), http.RedirectHandler(path.Base(prefix)+"/", http.StatusFound))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Robots-Tag", "noindex")
		mux.ServeHTTP(w, r)
	})
}

// serveStatic serves a file of Swagger UI, most of which are stored compressed.
func serveStatic(w http.ResponseWriter, r *http.Request) {
	name := path.Base(r.URL.Path)
	w.Header().Set("Cache-Control", "max-age=3600")
	compressed, err := static.FS.ReadFile(name + ".gz")
	if err != nil {
		http.ServeFileFS(w, r, static.FS, name)
		return
	}
	content := compressed
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		w.Header().Set("Content-Encoding", "gzip")
	} else if unzip, err := gzip.NewReader(bytes.NewReader(compressed)); err == nil {
		content, _ = io.ReadAll(unzip) // embedded
	}
	w.Header().Set("Vary", "Accept-Encoding")
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
}
