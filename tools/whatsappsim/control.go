package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"qrgate/internal/test/whatsappsim"
)

// hello is the line that says where everything is.
type hello struct {
	URL     string `json:"url"`     // ws://…/ws/chat
	WSS     string `json:"wss"`     // the same port with TLS
	Control string `json:"control"` // http://… of the control API
	Root    string `json:"root"`    // Noise root public key, hexadecimal
	CA      string `json:"ca"`      // certificate of wss in PEM
}

func announce(out io.Writer, sim *whatsappsim.Server, addr, ctl string) error {
	root := sim.RootPub()
	return json.NewEncoder(out).Encode(hello{
		URL: "ws://" + addr + "/ws/chat", WSS: "wss://" + addr + "/ws/chat", Control: "http://" + ctl,
		Root: hex.EncodeToString(root[:]), CA: string(sim.CAPEM()),
	})
}

// maxBody bounds a control request, in bytes.
const maxBody = 64 << 10

// errRequest marks what is the caller's mistake.
var errRequest = errors.New("bad request")

// control returns the control API of sim.
func control(sim *whatsappsim.Server) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST /fault", action(func(_ context.Context, f whatsappsim.Fault) error { sim.SetFault(f); return nil }))
	mux.Handle("POST /queue", action(func(_ context.Context, f []whatsappsim.Fault) error { sim.QueueFaults(f...); return nil }))
	mux.Handle("POST /scan", action(func(ctx context.Context, in scan) error { return sim.Scan(ctx, in.QR, in.Account) }))
	mux.Handle("POST /unlink", action(func(_ context.Context, a whatsappsim.Account) error { sim.Unlink(a); return nil }))
	mux.HandleFunc("POST /cut", func(w http.ResponseWriter, _ *http.Request) {
		sim.CutAll()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, sim.Stats()) })
	return mux
}

// scan is the body of POST /scan.
type scan struct {
	QR string `json:"qr"`
	whatsappsim.Account
}

// action reads a JSON body and does something with it: 204, or a problem with its reason in error.
func action[T any](do func(context.Context, T) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in T
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
		d.DisallowUnknownFields()
		if err := d.Decode(&in); err != nil {
			fail(w, errors.Join(errRequest, err))
			return
		}
		if err := do(r.Context(), in); err != nil {
			fail(w, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

// fail answers a problem: 400 if the request was wrong, 404, 410 and 409 for a code that is unknown, expired
// or not acceptable.
func fail(w http.ResponseWriter, err error) {
	status := http.StatusConflict
	switch {
	case errors.Is(err, errRequest), errors.Is(err, whatsappsim.ErrQR), errors.Is(err, whatsappsim.ErrAccount):
		status = http.StatusBadRequest
	case errors.Is(err, whatsappsim.ErrUnknownRef):
		status = http.StatusNotFound
	case errors.Is(err, whatsappsim.ErrExpiredRef):
		status = http.StatusGone
	}
	reply(w, status, map[string]string{"error": err.Error()})
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client has disconnected
}

// parting is how long a control request that is being answered may take when the program ends.
const parting = 2 * time.Second

// serveControl serves the control API until ctx ends and the last request is answered.
func serveControl(ctx context.Context, sim *whatsappsim.Server, ln net.Listener) error {
	srv := &http.Server{Handler: control(sim), ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return ctx }}
	ended := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		limit, cancel := context.WithTimeout(context.Background(), parting)
		defer cancel()
		ended <- errors.Join(srv.Shutdown(limit), srv.Close())
	})
	defer stop()
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-ended
}
