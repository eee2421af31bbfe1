package app

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"qrgate/internal/apidocs"
)

// adminHandler serves the operators' port. It shows no secret.
func (a *App) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", a.readyz)
	mux.Handle("GET /metrics", a.metrics.Handler())
	a.mountStatus(mux)
	docs := apidocs.Handler("/docs/")
	mux.Handle("GET /docs", docs)
	mux.Handle("GET /docs/", docs)
	a.mountNotify(mux)
	mux.HandleFunc("GET /probe", a.probe)
	if a.cfg.PProf {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	}
	return a.checkHost(mux)
}

// probe runs a probe of the engine that the query names, or of the first one.
func (a *App) probe(w http.ResponseWriter, r *http.Request) {
	b := a.backends[0]
	if name := r.URL.Query().Get("engine"); name != "" {
		if b = a.backend(name); b == nil {
			http.Error(w, a.unknownEngine(name), http.StatusNotFound)
			return
		}
	}
	b.prober.Handler().ServeHTTP(w, r)
}

// withDocs adds the viewer of the OpenAPI document to what clients reach, if it is set.
func (a *App) withDocs(next http.Handler) http.Handler {
	if !a.cfg.Docs {
		return next
	}
	const prefix = "/_qrgate/docs/"
	docs := apidocs.Handler(prefix)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path+"/", prefix) {
			docs.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// checkHost refuses names that a page of another site could point to this address (DNS rebinding).
func (a *App) checkHost(next http.Handler) http.Handler {
	names := append([]string{"", "localhost"}, a.cfg.AdminHosts...)
	if host, _, err := net.SplitHostPort(a.cfg.AdminListen); err == nil {
		names = append(names, host)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := (&url.URL{Host: r.Host}).Hostname()
		isKnown := slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, host) })
		if _, err := netip.ParseAddr(host); err != nil && !isKnown {
			text := "The operators' address does not accept this host name. To allow it, add it to QRGATE_ADMIN_HOSTS.\n"
			http.Error(w, text, http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
