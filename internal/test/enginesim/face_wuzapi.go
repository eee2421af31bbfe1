package enginesim

import (
	"net/http"
	"slices"
	"strconv"
	"time"
)

// wuzapiConnectDelay is how long a connect without Immediate waits before it responds.
const wuzapiConnectDelay = 10 * time.Second

// Wuzapi returns wuzapi (2026) over the sessions of e. The engine's keys are the admin's tokens; each session has a
// token of its own.
func Wuzapi(e *Engine) *Face {
	key := func(r *http.Request) string { return r.Header.Get("Authorization") }
	return newFace(e, key, map[string]faceRoute{
		"GET /health": func(*Face, *faceRequest) response {
			return jsonResponse(http.StatusOK, object{{"status", "ok"}, {"active_connections", 0}})
		},
		"POST /admin/users":        wuzapiCreate,
		"GET /admin/users":         wuzapiList,
		"DELETE /admin/users/{id}": func(f *Face, r *faceRequest) response { return wuzapiDelete(f, r, true) },

		"DELETE /admin/users/{id}/full": func(f *Face, r *faceRequest) response { return wuzapiDelete(f, r, false) },

		"POST /session/connect":    wuzapiConnect,
		"GET /session/qr":          wuzapiQR,
		"GET /session/status":      wuzapiStatus,
		"POST /session/disconnect": wuzapiDisconnect,
		"POST /session/logout":     wuzapiLogout,
		"POST /session/pairphone":  wuzapiPairPhone,
		"/": func(*Face, *faceRequest) response {
			return response{http.StatusNotFound, "text/plain; charset=utf-8", []byte("404 page not found\n")}
		},
	})
}

func wuzapiDone(status int, data any) response {
	return jsonResponse(status, object{{"code", status}, {"data", data}, {"success", true}})
}

func wuzapiError(status int, text string) response {
	return jsonResponse(status, object{{"code", status}, {"error", text}, {"success", false}})
}

// wuzapiSession runs do for the session that the token names.
func (f *Face) wuzapiSession(r *faceRequest, do func(e *Engine, s *simSession) response) response {
	token := r.Header.Get("Token")
	if token == "" {
		token = r.URL.Query().Get("token")
	}
	f.mu.Lock()
	name, isGhost := "", false
	for n, m := range f.memory {
		if token != "" && m.token == token {
			name = n
		}
		isGhost = isGhost || slices.Contains(m.ghosts, token)
	}
	f.mu.Unlock()
	if isGhost {
		return wuzapiGhost(r)
	}
	return f.locked(name, func(e *Engine, s *simSession) response {
		if s == nil {
			return wuzapiError(http.StatusUnauthorized, "unauthorized")
		}
		return do(e, s)
	})
}

// wuzapiGhost responds for the client of a user that is deleted.
func wuzapiGhost(r *faceRequest) response {
	if r.URL.Path == "/session/connect" {
		return wuzapiError(http.StatusInternalServerError, "already connected")
	}
	return wuzapiDone(http.StatusOK, object{{"connected", true}, {"loggedIn", false}, {"QRCode", ""}})
}

// wuzapiAdmin runs do if the request has an admin's token.
func (f *Face) wuzapiAdmin(r *faceRequest, name string, do func(e *Engine, s *simSession) response) response {
	if r.account == "" {
		return wuzapiError(http.StatusUnauthorized, "unauthorized")
	}
	return f.locked(name, do)
}

func (f *Face) wuzapiRow(e *Engine, s *simSession) object {
	phase := e.phase(s, e.now())
	qr := ""
	if c, ok := f.shown(e, s); ok {
		qr = "data:image/png;base64," + renderQR(c.text)
	}
	jid := ""
	if s.phone != "" {
		jid = s.phone + ":1@s.whatsapp.net"
	}
	return object{
		{"id", strconv.FormatInt(s.id, 16)}, {"name", s.name}, {"token", f.update(s.name, func(*faceMemory) {}).token},
		{"connected", s.socket != nil}, {"loggedIn", phase == Linked}, {"jid", jid}, {"webhook", ""}, {"events", "All"},
		{"qrcode", qr},
	}
}

func wuzapiCreate(f *Face, r *faceRequest) response {
	name, token := r.text("name"), r.text("token")
	return f.wuzapiAdmin(r, name, func(e *Engine, s *simSession) response {
		if s != nil && f.update(name, func(*faceMemory) {}).token == token {
			return wuzapiError(http.StatusConflict, "user with this token already exists")
		}
		s = e.insert(r.account, createRequest{SessionID: name, SessionName: name})
		f.update(name, func(m *faceMemory) { m.token = token })
		return wuzapiDone(http.StatusCreated, f.wuzapiRow(e, s))
	})
}

func wuzapiList(f *Face, r *faceRequest) response {
	return f.wuzapiAdmin(r, "", func(e *Engine, _ *simSession) response {
		rows := []object{}
		for _, s := range e.sessions {
			e.advance(s, e.now())
			rows = append(rows, f.wuzapiRow(e, s))
		}
		return wuzapiDone(http.StatusOK, rows)
	})
}

// wuzapiDelete deletes a user. Its client and the cached token stay if isGhost: calls with the token still reach that
// client, whose codes have no user to be shown for.
func wuzapiDelete(f *Face, r *faceRequest, isGhost bool) response {
	return f.wuzapiAdmin(r, "", func(e *Engine, _ *simSession) response {
		for _, s := range e.sessions {
			if strconv.FormatInt(s.id, 16) == r.PathValue("id") {
				e.remove(s)
				f.update(s.name, func(m *faceMemory) {
					ghosts := m.ghosts
					if isGhost {
						ghosts = append(ghosts, m.token)
					}
					*m = faceMemory{ghosts: ghosts}
				})
				return wuzapiDone(http.StatusOK, object{{"id", r.PathValue("id")}})
			}
		}
		return wuzapiError(http.StatusNotFound, "user not found")
	})
}

func wuzapiConnect(f *Face, r *faceRequest) response {
	if len(r.body) == 0 {
		return wuzapiError(http.StatusBadRequest, "could not decode Payload")
	}
	begun := f.wuzapiSession(r, func(e *Engine, s *simSession) response {
		if s.socket != nil {
			return wuzapiError(http.StatusInternalServerError, "already connected")
		}
		f.begin(e, s)
		return wuzapiDone(http.StatusOK, object{{"details", "Connected!"}, {"events", "All"}, {"jid", ""}, {"webhook", ""}})
	})
	if immediate, _ := r.body["Immediate"].(bool); !immediate && begun.status == http.StatusOK {
		f.settle(r, wuzapiConnectDelay)
	}
	return begun
}

func wuzapiQR(f *Face, r *faceRequest) response {
	return f.wuzapiSession(r, func(e *Engine, s *simSession) response {
		switch phase := e.phase(s, e.now()); {
		case phase == Linked:
			return wuzapiError(http.StatusInternalServerError, "already logged in")
		case s.socket == nil:
			return wuzapiError(http.StatusInternalServerError, "no session")
		}
		qr := ""
		if c, ok := f.shown(e, s); ok {
			qr = "data:image/png;base64," + renderQR(c.text)
		}
		return wuzapiDone(http.StatusOK, object{{"QRCode", qr}})
	})
}

func wuzapiPairPhone(f *Face, r *faceRequest) response {
	return f.wuzapiSession(r, func(e *Engine, s *simSession) response {
		switch phase := e.phase(s, e.now()); {
		case r.text("Phone") == "":
			return wuzapiError(http.StatusBadRequest, "missing Phone in Payload")
		case s.socket == nil:
			return wuzapiError(http.StatusInternalServerError, "no session")
		case phase == Linked:
			return wuzapiError(http.StatusBadRequest, "already paired")
		}
		code := f.pair(s, r.text("Phone"))
		return wuzapiDone(http.StatusOK, object{{"LinkingCode", code[:4] + "-" + code[4:]}})
	})
}

func wuzapiStatus(f *Face, r *faceRequest) response {
	return f.wuzapiSession(r, func(e *Engine, s *simSession) response {
		return wuzapiDone(http.StatusOK, f.wuzapiRow(e, s))
	})
}

func wuzapiDisconnect(f *Face, r *faceRequest) response {
	return f.wuzapiSession(r, func(e *Engine, s *simSession) response {
		if s.socket == nil {
			return wuzapiError(http.StatusInternalServerError, "no session")
		}
		e.closeSocket(s)
		return wuzapiDone(http.StatusOK, object{{"Details", "Disconnected"}})
	})
}

func wuzapiLogout(f *Face, r *faceRequest) response {
	return f.wuzapiSession(r, func(e *Engine, s *simSession) response {
		if e.phase(s, e.now()) != Linked {
			return wuzapiError(http.StatusInternalServerError, "could not perform logout as it was not logged in")
		}
		e.closeSocket(s)
		return wuzapiDone(http.StatusOK, object{{"Details", "Logged out"}})
	})
}
