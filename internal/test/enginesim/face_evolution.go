package enginesim

import (
	"net/http"
	"strings"
	"time"
)

// Delays of Evolution after it opened a socket, before it looks for the code.
const (
	evolutionCreateDelay  = 5 * time.Second
	evolutionConnectDelay = 2 * time.Second
)

// Evolution returns Evolution API 2.3.7 over the sessions of e.
//
// As the real one, a connect in state close opens a socket each time, a code stays after its end, a restart returns the
// code of the socket that it closed, and an unknown instance is reported before a wrong key.
func Evolution(e *Engine) *Face {
	key := func(r *http.Request) string { return r.Header.Get("Apikey") }
	return newFace(e, key, map[string]faceRoute{
		"GET /{$}":                             evolutionRoot,
		"POST /instance/create":                evolutionCreate,
		"GET /instance/connect/{name}":         evolutionConnect,
		"GET /instance/connectionState/{name}": evolutionState,
		"GET /instance/fetchInstances":         evolutionList,
		"POST /instance/restart/{name}":        evolutionRestart,
		"DELETE /instance/logout/{name}":       evolutionLogout,
		"DELETE /instance/delete/{name}":       evolutionDelete,
		"/": func(_ *Face, r *faceRequest) response {
			return evolutionError(http.StatusNotFound, "Not Found", "Cannot "+r.Method+" "+r.URL.Path)
		},
	})
}

func evolutionRoot(*Face, *faceRequest) response {
	return jsonResponse(http.StatusOK, object{
		{"status", 200}, {"message", "Welcome to the Evolution API, it is working!"}, {"version", "2.3.7"},
		{"clientName", "evolution_exchange"}, {"whatsappWebVersion", "2.3000.1023204200"},
	})
}

func evolutionError(status int, text string, message ...string) response {
	return jsonResponse(status, object{{"status", status}, {"error", text}, {"response", object{{"message", message}}}})
}

func evolutionUnauthorized() response {
	return jsonResponse(http.StatusUnauthorized, object{
		{"status", 401}, {"error", "Unauthorized"}, {"response", object{{"message", "Unauthorized"}}},
	})
}

func evolutionStateOf(p Phase) string {
	switch p {
	case Connecting, Showing:
		return "connecting"
	case Linked:
		return "open"
	}
	return "close"
}

// evolutionSession runs do for the instance in the path: existence comes first, the key second.
func (f *Face) evolutionSession(r *faceRequest, do func(e *Engine, s *simSession) response) response {
	name := r.PathValue("name")
	return f.locked(name, func(e *Engine, s *simSession) response {
		switch {
		case s == nil:
			return evolutionError(http.StatusNotFound, "Not Found", `The "`+name+`" instance does not exist`)
		case s.account != r.account:
			return evolutionUnauthorized()
		}
		return do(e, s)
	})
}

// evolutionQR is the object with the code, or the count alone.
func (f *Face) evolutionQR(e *Engine, s *simSession) object {
	c, ok := f.shown(e, s)
	if !ok {
		f.mu.Lock()
		c = f.memory[s.name].code // base64 and code stay, whatever became of the socket
		f.mu.Unlock()
	}
	if c.text == "" {
		return object{{"count", c.sequence}}
	}
	var pairing any
	m := f.update(s.name, func(*faceMemory) {})
	if m.phone != "" && ok && m.pairing == "" {
		m.pairing = f.pair(s, m.phone)
	}
	if m.pairing != "" {
		pairing = m.pairing
	}
	return object{
		{"pairingCode", pairing}, {"code", c.text}, {"base64", "data:image/png;base64," + renderQR(c.text)},
		{"count", c.sequence},
	}
}

func evolutionCreate(f *Face, r *faceRequest) response {
	name := strings.TrimSpace(r.text("instanceName"))
	if r.account == "" {
		return evolutionUnauthorized()
	}
	wantsQR, _ := r.body["qrcode"].(bool)
	var id int64
	refusal := f.locked(name, func(e *Engine, s *simSession) response {
		if s != nil {
			return evolutionError(http.StatusForbidden, "Forbidden", `This name "`+name+`" is already in use.`)
		}
		created := e.insert(r.account, createRequest{SessionID: name, SessionName: name})
		id = created.id
		if wantsQR {
			f.begin(e, created)
		}
		return response{}
	})
	if refusal.status != 0 {
		return refusal
	}
	if wantsQR {
		f.settle(r, evolutionCreateDelay)
	}
	return f.locked(name, func(e *Engine, s *simSession) response {
		state := "close"
		if wantsQR {
			state = "connecting"
		}
		body := object{
			{"instance", object{
				{"instanceName", name}, {"instanceId", "instance-" + string(rune('a'+id%26))},
				{"integration", "WHATSAPP-BAILEYS"}, {"webhookWaBusiness", nil}, {"accessTokenWaBusiness", ""}, {"status", state},
			}},
			{"hash", "token-of-" + name}, {"webhook", object{}}, {"websocket", object{}},
			{"settings", object{{"rejectCall", false}}},
		}
		if wantsQR && s != nil {
			body = append(body, member{"qrcode", f.evolutionQR(e, s)})
		}
		return jsonResponse(http.StatusCreated, body)
	})
}

func evolutionConnect(f *Face, r *faceRequest) response {
	begun := false
	first := f.evolutionSession(r, func(e *Engine, s *simSession) response {
		switch e.phase(s, e.now()) {
		case Linked:
			return jsonResponse(http.StatusOK, object{{"instance", object{{"instanceName", s.name}, {"state", "open"}}}})
		case Connecting, Showing:
			return jsonResponse(http.StatusOK, f.evolutionQR(e, s))
		}
		f.begin(e, s)
		f.update(s.name, func(m *faceMemory) { m.phone = r.URL.Query().Get("number") })
		begun = true
		return response{}
	})
	if !begun {
		return first
	}
	f.settle(r, evolutionConnectDelay)
	return f.evolutionSession(r, func(e *Engine, s *simSession) response {
		return jsonResponse(http.StatusOK, f.evolutionQR(e, s))
	})
}

func evolutionState(f *Face, r *faceRequest) response {
	return f.evolutionSession(r, func(e *Engine, s *simSession) response {
		return jsonResponse(http.StatusOK, object{{"instance", object{
			{"instanceName", s.name}, {"state", evolutionStateOf(e.phase(s, e.now()))}}}})
	})
}

func evolutionList(f *Face, r *faceRequest) response {
	if r.account == "" {
		return evolutionUnauthorized()
	}
	return f.locked("", func(e *Engine, _ *simSession) response {
		rows := []object{}
		for _, s := range e.sessions {
			e.advance(s, e.now())
			wanted := r.URL.Query().Get("instanceName")
			if s.account == r.account && (wanted == "" || wanted == s.name) {
				rows = append(rows, object{
					{"id", "instance-" + s.name}, {"name", s.name}, {"connectionStatus", evolutionStateOf(e.phase(s, e.now()))},
					{"ownerJid", nil}, {"number", orNull(s.phone)}, {"token", "token-of-" + s.name},
					{"disconnectionReasonCode", nil}, {"disconnectionObject", nil}, {"createdAt", formatTime(s.createdAt)},
				})
			}
		}
		return jsonResponse(http.StatusOK, rows)
	})
}

func evolutionRestart(f *Face, r *faceRequest) response {
	return f.evolutionSession(r, func(e *Engine, s *simSession) response {
		if e.phase(s, e.now()) == Lost || e.phase(s, e.now()) == Fresh {
			return jsonResponse(http.StatusOK, object{{"error", true},
				{"message", `BadRequestException: The "` + s.name + `" instance is not connected`}})
		}
		ended := f.evolutionQR(e, s)
		s.restarts++
		s.connects++
		e.open(s, e.isStuckAfterConnect(s, true))
		return jsonResponse(http.StatusOK, ended)
	})
}

func evolutionLogout(f *Face, r *faceRequest) response {
	return f.evolutionSession(r, func(e *Engine, s *simSession) response {
		if s.socket == nil {
			return evolutionError(http.StatusBadRequest, "Bad Request", `The "`+s.name+`" instance is not connected`)
		}
		e.closeSocket(s)
		return jsonResponse(http.StatusOK, evolutionDone("Instance logged out"))
	})
}

func evolutionDelete(f *Face, r *faceRequest) response {
	return f.evolutionSession(r, func(e *Engine, s *simSession) response {
		e.remove(s)
		f.update(s.name, func(m *faceMemory) { *m = faceMemory{} })
		return jsonResponse(http.StatusOK, evolutionDone("Instance deleted"))
	})
}

func evolutionDone(message string) object {
	return object{{"status", "SUCCESS"}, {"error", false}, {"response", object{{"message", message}}}}
}
