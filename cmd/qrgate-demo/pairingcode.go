package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"qrgate/compat"
	"qrgate/compat/embedded"
	"qrgate/internal/test/whatsappsim"
)

// enterDelay is how long after a pairing code was requested the simulated phone enters it.
const enterDelay = 2 * time.Second

// libraryNames are the library's names of the engine's sessions: each connect makes another.
type libraryNames struct {
	mu sync.Mutex
	of map[string]string
}

func (n *libraryNames) set(session, name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.of == nil {
		n.of = map[string]string{}
	}
	n.of[session] = name
}

func (n *libraryNames) get(session string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.of[session]
}

// withPairingCodes adds pairing codes to the engine. They come from the library, like its QRs; the simulated phone of
// the number enters each after enterDelay.
func (env *environment) withPairingCodes(engine http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", engine)
	mux.HandleFunc("POST /api/sessions/{id}/pairing-code", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<10))
		var request struct{ PhoneNumber string }
		_ = json.Unmarshal(body, &request)
		name := env.names.get(r.PathValue("id"))
		switch hasKey := r.Header.Get("X-API-Key") == demoKey; {
		case hasKey && request.PhoneNumber == "":
			problem := compat.NewProblem(compat.CodeValidationError, compat.TextBadPhone, time.Now())
			writeJSON(w, http.StatusBadRequest, problem)
			return
		case !hasKey || name == "":
			engine.ServeHTTP(w, r)
			return
		}
		var made struct {
			Data struct {
				PairingCode, ExpiresAt, Status string
				ExpiresIn                      int
			}
		}
		codes := library{http: http.Client{Transport: embedded.Transport(env.library)}}
		if err := codes.call(r.Context(), http.MethodPost, "/"+name+"/pairing-code", string(body), &made); err != nil {
			const text = "the phone number is not valid, or there is no code"
			writeJSON(w, http.StatusBadRequest, compat.NewProblem(compat.CodeValidationError, text, time.Now()))
			return
		}
		number := strings.Map(func(c rune) rune {
			if c < '0' || c > '9' {
				return -1
			}
			return c
		}, request.PhoneNumber)
		time.AfterFunc(enterDelay, func() {
			_ = env.whatsapp.EnterCode(context.Background(), made.Data.PairingCode, whatsappsim.Account{User: number})
		})
		writeJSON(w, http.StatusOK, compat.Envelope{Success: true, Data: map[string]any{
			"sessionId": r.PathValue("id"), "pairingCode": made.Data.PairingCode, "expiresAt": made.Data.ExpiresAt,
			"expiresIn": made.Data.ExpiresIn, "status": made.Data.Status,
		}})
	})
	return mux
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", compat.ContentType)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
