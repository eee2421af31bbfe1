package enginesim

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"strings"
	"time"
)

// Waits of WAHA, in a request for the QR, for a session to run and to have a code.
const (
	wahaRunWait  = 5 * time.Second
	wahaQRWait   = 10 * time.Second
	wahaInterval = 500 * time.Millisecond
	wahaRestart  = 3 * time.Second
)

// WAHA returns WAHA (2026) over the sessions of e. A session whose codes have ended stays FAILED until it is restarted.
func WAHA(e *Engine) *Face {
	key := func(r *http.Request) string {
		if key := r.Header.Get("X-Api-Key"); key != "" {
			return key
		}
		return r.URL.Query().Get("x-api-key")
	}
	f := newFace(e, key, map[string]faceRoute{
		"GET /ping": func(*Face, *faceRequest) response {
			return jsonResponse(http.StatusOK, object{{"message", "pong"}})
		},
		"POST /api/sessions":                wahaCreate,
		"GET /api/sessions":                 wahaList,
		"GET /api/sessions/{name}":          wahaGet,
		"DELETE /api/sessions/{name}":       wahaDelete,
		"POST /api/sessions/{name}/start":   wahaStart,
		"POST /api/sessions/{name}/restart": wahaRestartSession,
		"POST /api/sessions/{name}/stop":    wahaStop,
		"POST /api/sessions/{name}/logout":  wahaStop,
		"GET /api/{name}/auth/qr":           wahaQR,

		"POST /api/{name}/auth/request-code": wahaRequestCode,
		"/": func(_ *Face, r *faceRequest) response {
			return wahaError(http.StatusNotFound, "Cannot "+r.Method+" "+r.URL.Path, "Not Found")
		},
	})
	f.mux.HandleFunc(string(RouteWAHASocket), f.serveSocket)
	return f
}

func wahaError(status int, message, class string) response {
	return jsonResponse(status, object{{"message", message}, {"error", class}, {"statusCode", status}})
}

func wahaState(p Phase) string {
	switch p {
	case Connecting:
		return "STARTING"
	case Showing:
		return "SCAN_QR_CODE"
	case Linked:
		return "WORKING"
	case Lost, Broken:
		return "FAILED"
	}
	return "STOPPED"
}

// wahaSession runs do for the session in the path, after the key.
func (f *Face) wahaSession(r *faceRequest, do func(e *Engine, s *simSession) response) response {
	return f.locked(r.PathValue("name"), func(e *Engine, s *simSession) response {
		switch {
		case r.account == "":
			return jsonResponse(http.StatusUnauthorized, object{{"message", "Unauthorized"}, {"statusCode", 401}})
		case s == nil || s.account != r.account:
			return wahaError(http.StatusNotFound, "Session not found", "Not Found")
		}
		return do(e, s)
	})
}

func (f *Face) wahaObject(e *Engine, s *simSession) object {
	phase := e.phase(s, e.now())
	state := wahaState(phase)
	f.mu.Lock()
	if f.memory[s.name].isStopped && phase == Lost {
		state = "STOPPED"
	}
	f.mu.Unlock()
	var me any
	if phase == Linked {
		me = object{{"id", s.phone + "@c.us"}, {"pushName", "shop"}}
	}
	return object{{"name", s.name}, {"status", state}, {"config", object{}}, {"me", me},
		{"timestamps", object{{"activity", nil}}}, {"engine", object{{"engine", "GOWS"}}}}
}

func wahaCreate(f *Face, r *faceRequest) response {
	name := cmp.Or(r.text("name"), "session_"+rand.Text())
	if r.account == "" {
		return jsonResponse(http.StatusUnauthorized, object{{"message", "Unauthorized"}, {"statusCode", 401}})
	}
	start, _ := r.body["start"].(bool)
	return f.locked(name, func(e *Engine, s *simSession) response {
		if s != nil {
			return wahaError(http.StatusUnprocessableEntity,
				"Session '"+name+"' already exists. Use PUT to update it.", "Unprocessable Entity")
		}
		s = e.insert(r.account, createRequest{SessionID: name, SessionName: name})
		if start {
			f.begin(e, s)
		}
		return jsonResponse(http.StatusCreated, f.wahaObject(e, s))
	})
}

func wahaList(f *Face, r *faceRequest) response {
	if r.account == "" {
		return jsonResponse(http.StatusUnauthorized, object{{"message", "Unauthorized"}, {"statusCode", 401}})
	}
	return f.locked("", func(e *Engine, _ *simSession) response {
		rows := []object{}
		for _, s := range e.sessions {
			e.advance(s, e.now())
			if s.account == r.account && (s.socket != nil || r.URL.Query().Get("all") == "true") {
				rows = append(rows, f.wahaObject(e, s))
			}
		}
		return jsonResponse(http.StatusOK, rows)
	})
}

func wahaGet(f *Face, r *faceRequest) response {
	return f.wahaSession(r, func(e *Engine, s *simSession) response {
		return jsonResponse(http.StatusOK, f.wahaObject(e, s))
	})
}

func wahaStart(f *Face, r *faceRequest) response {
	return f.wahaSession(r, func(e *Engine, s *simSession) response {
		if phase := e.phase(s, e.now()); phase != Fresh && !f.update(s.name, func(*faceMemory) {}).isStopped {
			return wahaError(http.StatusUnprocessableEntity, "Session '"+s.name+"' is already started.", "Unprocessable Entity")
		}
		f.update(s.name, func(m *faceMemory) { m.isStopped = false })
		f.begin(e, s)
		return jsonResponse(http.StatusCreated, f.wahaObject(e, s))
	})
}

func wahaRestartSession(f *Face, r *faceRequest) response {
	if a := wahaGet(f, r); a.status != http.StatusOK {
		return a
	}
	f.settle(r, wahaRestart)
	return f.wahaSession(r, func(e *Engine, s *simSession) response {
		s.restarts++
		s.connects++
		e.open(s, e.isStuckAfterConnect(s, true))
		return jsonResponse(http.StatusCreated, f.wahaObject(e, s))
	})
}

func wahaStop(f *Face, r *faceRequest) response {
	return f.wahaSession(r, func(e *Engine, s *simSession) response {
		e.closeSocket(s)
		f.update(s.name, func(m *faceMemory) { m.isStopped = true })
		return jsonResponse(http.StatusCreated, f.wahaObject(e, s))
	})
}

func wahaDelete(f *Face, r *faceRequest) response {
	return f.wahaSession(r, func(e *Engine, s *simSession) response {
		e.remove(s)
		f.update(s.name, func(m *faceMemory) { *m = faceMemory{} })
		return response{http.StatusOK, jsonType, nil}
	})
}

// wahaQR waits for the session to run and to have a code, as the real one does.
func wahaQR(f *Face, r *faceRequest) response {
	for waited := time.Duration(0); ; waited += wahaInterval {
		isLast := waited >= wahaRunWait+wahaQRWait
		a := f.wahaSession(r, func(e *Engine, s *simSession) response {
			c, ok := f.shown(e, s)
			switch {
			case ok:
				return wahaCode(r, c.text)
			case f.wahaIsStopped(e, s):
				return wahaStopped(s.name)
			case isLast, e.phase(s, e.now()) != Connecting && waited >= wahaRunWait:
				return wahaNotReady(s.name, wahaState(e.phase(s, e.now())))
			}
			return response{}
		})
		if a.status == http.StatusNotFound && !bytes.Contains(a.body, []byte("start it first")) {
			name := r.PathValue("name")
			return jsonResponse(http.StatusUnprocessableEntity, object{
				{"error", `Session "` + name + `" does not exist`}, {"session", name}})
		}
		if a.status != 0 {
			return a
		}
		f.settle(r, wahaInterval)
	}
}

// wahaRequestCode responds at once: in another state than SCAN_QR_CODE there is no code.
func wahaRequestCode(f *Face, r *faceRequest) response {
	return f.wahaSession(r, func(e *Engine, s *simSession) response {
		if f.wahaIsStopped(e, s) {
			return wahaStopped(s.name)
		}
		if _, ok := e.current(s, e.now()); !ok {
			return wahaNotReady(s.name, wahaState(e.phase(s, e.now())))
		}
		code := f.pair(s, r.text("phoneNumber"))
		return jsonResponse(http.StatusCreated, object{{"code", code[:4] + "-" + code[4:]}})
	})
}

// wahaIsStopped reports whether a session was not started, or stopped.
func (f *Face) wahaIsStopped(e *Engine, s *simSession) bool {
	return e.phase(s, e.now()) == Fresh || f.update(s.name, func(*faceMemory) {}).isStopped
}

func wahaStopped(name string) response {
	return wahaError(http.StatusNotFound, "We didn't find a session with name '"+name+"'.\n"+
		"Please start it first by using POST /api/sessions/"+name+"/start request", "Not Found")
}

func wahaNotReady(name, state string) response {
	return jsonResponse(http.StatusUnprocessableEntity, object{
		{"error", "Session status is not as expected. Try again later or restart the session"},
		{"session", name}, {"status", state}, {"expected", []string{"SCAN_QR_CODE"}}})
}

// wahaCode is the code in the form that the client asked for: the text, a JSON object with the picture, or the picture.
func wahaCode(r *faceRequest, text string) response {
	if r.URL.Query().Get("format") == "raw" {
		return jsonResponse(http.StatusOK, object{{"value", text}})
	}
	picture := renderQR(text)
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		return jsonResponse(http.StatusOK, object{{"mimetype", "image/png"}, {"data", picture}})
	}
	raw, _ := base64.StdEncoding.DecodeString(picture) // renderQR encoded it
	return response{http.StatusOK, "image/png", raw}
}
