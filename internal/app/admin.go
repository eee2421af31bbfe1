package app

import (
	"encoding/json"
	"net/http"
	"net/http/pprof"
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
	mux.Handle("GET /probe", a.prober.Handler())
	if a.cfg.PProf {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	}
	return mux
}

// readyz reports whether the gateway can serve: 503 once it stops, so that load balancers send no more requests.
// Without Redis it is degraded and ready: removing the replica would turn that into an outage.
func (a *App) readyz(w http.ResponseWriter, _ *http.Request) {
	body := map[string]any{"status": "ok", "version": a.cfg.Version, "engine": "embedded", "store": "memory"}
	if a.cfg.EngineURL != nil {
		body["engine"] = "http"
	}
	if a.store != nil {
		body["store"] = "redis"
		if !a.store.Up() {
			body["status"], body["store"] = "degraded", "memory"
			body["why"] = a.storeNote() + " Start Redis or correct QRGATE_REDIS_URL."
		}
	}
	if a.isStopping.Load() {
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
