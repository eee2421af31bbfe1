package app

import (
	"encoding/json"
	"net/http"
	"net/http/pprof"
)

// adminHandler is the operators' port: it listens on loopback unless told otherwise, and shows no secret.
func (g *App) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", g.readyz)
	mux.Handle("GET /metrics", g.metrics.Handler())
	g.mountStatus(mux)
	mux.Handle("GET /probe", g.prober.Handler())
	if g.cfg.PProf {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	}
	return mux
}

// readyz says whether the gate can serve: 503 once it stops, so that nobody is sent to a port that closes. Without Redis it can, and says that it is degraded: taking a
// replica out for that would make an outage of it.
func (g *App) readyz(w http.ResponseWriter, _ *http.Request) {
	body := map[string]any{"status": "ok", "version": g.cfg.Version, "engine": "embedded", "store": "memory"}
	if g.cfg.EngineURL != nil {
		body["engine"] = "http"
	}
	if g.store != nil {
		body["store"] = "redis"
		if !g.store.Up() {
			body["status"], body["store"] = "degraded", "memory"
			body["why"] = "Redis cannot be reached (" + g.store.Why() + "); the gate goes on from memory. Start Redis or correct QRGATE_REDIS_URL."
		}
	}
	if g.stopping.Load() {
		body["status"] = "stopping"
		writeJSON(w, http.StatusServiceUnavailable, body)
		return
	}
	writeJSON(w, http.StatusOK, body)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
