package enginesim

import (
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	gowaLoginLimit  = 45 * time.Second
	gowaInterval    = 100 * time.Millisecond
	gowaQRDuration  = 30 * time.Second // after which the picture is deleted
	gowaPictureRoot = "/statics/qrcode/"
)

// GOWA returns GOWA 9.2 over the sessions of e. The password of an account is its key. A login blocks until the first
// code and ends the pairing before it; only the first code of a pairing is ever shown.
func GOWA(e *Engine) *Face {
	key := func(r *http.Request) string {
		_, payload, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		pair, _ := base64.StdEncoding.DecodeString(payload)
		_, password, hasUser := strings.Cut(string(pair), ":")
		if !hasUser {
			return string(pair)
		}
		return password
	}
	return newFace(e, key, map[string]faceRoute{
		"POST /devices":             gowaCreate,
		"GET /devices":              gowaList,
		"GET /devices/{name}":       gowaDevice,
		"DELETE /devices/{name}":    gowaDelete,
		"GET /devices/{name}/login": func(f *Face, r *faceRequest) response { return gowaLogin(f, r, r.PathValue("name")) },
		"POST /devices/{name}/logout": func(f *Face, r *faceRequest) response {
			return gowaLogout(f, r, r.PathValue("name"))
		},
		"POST /devices/{name}/login/code": gowaLoginCode,

		"GET /app/login":             func(f *Face, r *faceRequest) response { return gowaLogin(f, r, gowaNamed(f, r)) },
		"GET /app/logout":            func(f *Face, r *faceRequest) response { return gowaLogout(f, r, gowaNamed(f, r)) },
		"GET /statics/qrcode/{file}": gowaPicture,
		"/": func(_ *Face, r *faceRequest) response {
			return gowaError(http.StatusNotFound, "NOT_FOUND", "Cannot "+r.Method+" "+r.URL.Path)
		},
	})
}

func gowaDone(message string, results any) response {
	return jsonResponse(http.StatusOK, object{{"code", "SUCCESS"}, {"message", message}, {"results", results}})
}

func gowaError(status int, code, message string) response {
	return jsonResponse(status, object{{"code", code}, {"message", message}, {"results", nil}})
}

func gowaUnauthorized() response {
	return response{http.StatusUnauthorized, "text/plain; charset=utf-8", []byte("Unauthorized")}
}

// gowaNamed is the device that a request names, or the only one.
func gowaNamed(f *Face, r *faceRequest) string {
	if id := r.Header.Get("X-Device-Id"); id != "" {
		return id
	}
	if id := r.URL.Query().Get("device_id"); id != "" {
		return id
	}
	f.engine.mu.Lock()
	defer f.engine.mu.Unlock()
	if len(f.engine.sessions) == 1 {
		return f.engine.sessions[0].name
	}
	return ""
}

func (f *Face) gowaObject(e *Engine, s *simSession) object {
	state, jid := "disconnected", ""
	switch e.phase(s, e.now()) {
	case Connecting, Showing:
		state = "connected"
	case Linked:
		state, jid = "logged_in", s.phone+"@s.whatsapp.net"
	}
	return object{{"id", s.name}, {"display_name", s.title}, {"jid", jid}, {"state", state},
		{"created_at", formatTime(s.createdAt)}}
}

// gowaSession runs do for a device of the account.
func (f *Face) gowaSession(r *faceRequest, name string, do func(e *Engine, s *simSession) response) response {
	if r.account == "" {
		return gowaUnauthorized()
	}
	return f.locked(name, func(e *Engine, s *simSession) response {
		switch {
		case s == nil && strings.HasPrefix(r.URL.Path, "/app/"):
			return gowaError(http.StatusNotFound, "DEVICE_NOT_FOUND", "device not found; create a device first")
		case s == nil:
			return gowaError(http.StatusInternalServerError, "INTERNAL_SERVER_ERROR", "device "+name+" not found")
		}
		return do(e, s)
	})
}

func gowaCreate(f *Face, r *faceRequest) response {
	name := r.text("device_id")
	if r.account == "" {
		return gowaUnauthorized()
	}
	return f.locked(name, func(e *Engine, s *simSession) response {
		if s != nil {
			return gowaError(http.StatusInternalServerError, "INTERNAL_SERVER_ERROR", "device "+name+" already exists")
		}
		s = e.insert(r.account, createRequest{SessionID: name, SessionName: name})
		return gowaDone("Device added", f.gowaObject(e, s))
	})
}

func gowaList(f *Face, r *faceRequest) response {
	if r.account == "" {
		return gowaUnauthorized()
	}
	return f.locked("", func(e *Engine, _ *simSession) response {
		var rows []object // null without devices
		for _, s := range e.sessions {
			e.advance(s, e.now())
			rows = append(rows, f.gowaObject(e, s))
		}
		return gowaDone("List devices", rows)
	})
}

func gowaDevice(f *Face, r *faceRequest) response {
	return f.gowaSession(r, r.PathValue("name"), func(e *Engine, s *simSession) response {
		return gowaDone("Device info", f.gowaObject(e, s))
	})
}

// gowaDelete succeeds for a device that is not known, too.
func gowaDelete(f *Face, r *faceRequest) response {
	if r.account == "" {
		return gowaUnauthorized()
	}
	return f.locked(r.PathValue("name"), func(e *Engine, s *simSession) response {
		if s != nil {
			e.remove(s)
		}
		return gowaDone("Device removed", nil)
	})
}

func gowaLogout(f *Face, r *faceRequest, name string) response {
	return f.gowaSession(r, name, func(e *Engine, s *simSession) response {
		e.closeSocket(s)
		return gowaDone("Success logout", nil)
	})
}

// gowaLogin opens a socket, whatever there is already, and waits for its first code. It creates a device that is not
// known.
func gowaLogin(f *Face, r *faceRequest, name string) response {
	switch {
	case r.account == "":
		return gowaUnauthorized()
	case name == "":
		return gowaError(http.StatusBadRequest, "DEVICE_ID_REQUIRED", "device_id is required")
	}
	refusal := f.locked(name, func(e *Engine, s *simSession) response {
		if s == nil {
			s = e.insert(r.account, createRequest{SessionID: name, SessionName: name})
		}
		if e.phase(s, e.now()) == Linked {
			return gowaError(http.StatusBadRequest, "ALREADY_LOGGED_IN", "you are already logged in")
		}
		f.begin(e, s)
		return response{}
	})
	if refusal.status != 0 {
		return refusal
	}
	for waited := time.Duration(0); waited < gowaLoginLimit; waited += gowaInterval {
		a := f.locked(name, func(e *Engine, s *simSession) response {
			if s == nil {
				return gowaError(http.StatusInternalServerError, "INTERNAL_SERVER_ERROR",
					"QR channel closed without receiving image")
			}
			c, ok := f.shown(e, s)
			if !ok {
				return response{}
			}
			base, _, _ := strings.Cut(r.RequestURI, r.URL.RequestURI()) // a handler before this one has stripped it
			link := "http://" + r.Host + base + gowaPictureRoot + gowaFile(s.name, c)
			return gowaDone("Login success", object{
				{"device_id", s.name}, {"qr_link", link}, {"qr_duration", int(gowaQRDuration / time.Second)}})
		})
		if a.status != 0 {
			return a
		}
		f.settle(r, gowaInterval)
	}
	return gowaError(http.StatusGatewayTimeout, "GATEWAY_TIMEOUT", "request timed out")
}

// gowaLoginCode opens a socket if there is none, and leaves one alone that is there.
func gowaLoginCode(f *Face, r *faceRequest) response {
	return f.gowaSession(r, r.PathValue("name"), func(e *Engine, s *simSession) response {
		phone := r.URL.Query().Get("phone")
		switch {
		case phone == "":
			return gowaError(http.StatusBadRequest, "VALIDATION_ERROR", "phone_number(0): cannot be blank.")
		case e.phase(s, e.now()) == Linked:
			return gowaError(http.StatusBadRequest, "ALREADY_LOGGED_IN", "you are already logged in")
		case s.socket == nil:
			f.begin(e, s)
		}
		code := f.pair(s, phone)
		return gowaDone("Login with code started", object{
			{"device_id", s.name}, {"pair_code", code[:4] + "-" + code[4:]}})
	})
}

// gowaFile is the name of the file with the picture of a code.
func gowaFile(name string, c code) string {
	return "scan-qr-" + hex.EncodeToString([]byte(name)) + "-" + strconv.FormatInt(c.generated.UnixMilli(), 16) + ".png"
}

// gowaPicture serves a picture without a key, until half of its code's life is over.
func gowaPicture(f *Face, r *faceRequest) response {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, m := range f.memory {
		if gowaFile(name, m.code) == r.PathValue("file") && f.engine.now().Before(m.code.generated.Add(gowaQRDuration)) {
			raw, _ := base64.StdEncoding.DecodeString(renderQR(m.code.text)) // renderQR encoded it
			return response{http.StatusOK, "image/png", raw}
		}
	}
	return response{http.StatusNotFound, "text/plain; charset=utf-8", []byte("Cannot GET " + r.URL.Path)}
}
