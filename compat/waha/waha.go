// Package waha is the API of WAHA (2024 and 2026) as a [dialect.Dialect].
package waha

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"time"

	"qrgate/compat"
	"qrgate/compat/dialect"
	"qrgate/internal/session"
)

// settle is how long WAHA needs to bring a session up: it serves the calls about one session one after the other, and
// one that waits for another longer than 5 s fails.
const settle = 5 * time.Second

// Dialect is WAHA's API.
//
//	create   POST /api/sessions
//	connect  POST /api/sessions/{name}/start     422 while it runs; a FAILED session runs, and needs a restart
//	qr       GET  /api/{name}/auth/qr            a read; waits up to 15 s unless the state is SCAN_QR_CODE
//	state    GET  /api/sessions/{name}
var Dialect = &dialect.Dialect{
	Kind: "waha",
	Sign: dialect.Sign{Path: "/ping", Words: []string{`"message":"pong"`}, Absent: []string{"success"}},
	Traits: dialect.Traits{
		FirstTTL: session.FirstQRTTL, LaterTTL: session.RefreshQRTTL,
		ReadsQRIn: []session.State{session.AwaitingScan},
		Settle:    settle,

		PairingCodeTTL: session.PairingTTL,
	},
	Authorize: func(r *http.Request, c dialect.Credential, _ dialect.Verb) {
		r.Header.Set("X-Api-Key", c.Token())
	},
	Calls: map[dialect.Verb]dialect.Call{
		dialect.Create:  {Method: http.MethodPost, Path: "/api/sessions", Body: `{"name":"{name}","start":false}`},
		dialect.Connect: {Method: http.MethodPost, Path: "/api/sessions/{name}/start"},
		dialect.Restart: {Method: http.MethodPost, Path: "/api/sessions/{name}/restart"},
		dialect.QR:      {Method: http.MethodGet, Path: "/api/{name}/auth/qr", Query: "format=raw"},
		dialect.Status:  {Method: http.MethodGet, Path: "/api/sessions/{name}"},
		dialect.List:    {Method: http.MethodGet, Path: "/api/sessions", Query: "all=true"},
		dialect.Logout:  {Method: http.MethodPost, Path: "/api/sessions/{name}/logout"},
		dialect.Delete:  {Method: http.MethodDelete, Path: "/api/sessions/{name}"},
		dialect.Health:  {Method: http.MethodGet, Path: "/ping"},
		dialect.PairingCode: {
			Method: http.MethodPost, Path: "/api/{name}/auth/request-code", Body: `{"phoneNumber":"{phone}"}`,
		},
	},
	Connects: map[session.State]dialect.Verb{
		session.Disconnected: dialect.Connect,
		session.Failed:       dialect.Restart,
		session.Unknown:      dialect.Connect,
	},
	Read:   read,
	Push:   push,
	Native: native,
	Errors: []dialect.ErrorRule{
		{Status: http.StatusUnprocessableEntity, Contains: "core support only", // one session, named default
			Kind: dialect.KindInvalid, Code: "SESSION_LIMIT"},
		{Verb: dialect.Create, Status: http.StatusUnprocessableEntity, Contains: "already exists",
			Kind: dialect.KindSessionExists},
		{Verb: dialect.Connect, Status: http.StatusUnprocessableEntity, Contains: "already started"}, // it runs: a success
		{Status: http.StatusUnprocessableEntity, Contains: "does not exist", Kind: session.KindSessionNotFound},
		// A session that is stopped, or not known.
		{Verb: dialect.QR, Status: http.StatusNotFound, Contains: "start it first", Kind: session.KindNotReady},
		{Verb: dialect.PairingCode, Status: http.StatusNotFound, Contains: "start it first", Kind: session.KindNotReady},
		{Verb: dialect.QR, Status: http.StatusUnprocessableEntity, Contains: "working", Kind: session.KindAlreadyPaired},
		{Verb: dialect.QR, Status: http.StatusUnprocessableEntity, Kind: session.KindNotReady},
		{Verb: dialect.PairingCode, Status: http.StatusUnprocessableEntity, Contains: "working",
			Kind: session.KindAlreadyPaired},
		{Verb: dialect.PairingCode, Status: http.StatusUnprocessableEntity, Kind: session.KindNotReady},
		{Status: http.StatusInternalServerError, Contains: "async-lock timed out",
			Kind: session.KindServerError, Code: "ENGINE_STUCK"},
	},
}

// push is WAHA's websocket, which reads the key from the query alone. A message with SCAN_QR_CODE follows each new
// code.
var push = &dialect.Push{
	Path: "/ws",
	Query: func(c dialect.Credential) url.Values {
		return url.Values{"session": {"*"}, "events": {"session.status"}, "x-api-key": {c.Token()}}
	},
	Session: func(message compat.Object) string {
		if compat.StringOf(message["event"]) != "session.status" {
			return ""
		}
		return compat.StringOf(message["session"])
	},
}

// native is WAHA's API as its clients use it. Its old routes name the session in the body.
var native = &dialect.Native{
	Credential: func(r *http.Request) dialect.Credential {
		key := r.Header.Get("X-Api-Key")
		if key == "" {
			key = r.URL.Query().Get("x-api-key")
		}
		return dialect.Credential{Key: key}
	},
	WithoutCode: withoutCode,
	List:        dialect.ListRoute{Path: "/api/sessions"},
	Concerns:    concerns,
	Routes: []dialect.Route{
		{Method: http.MethodPost, Path: "/api/sessions", Means: dialect.MeansCreate, Name: nameIn},
		{Method: http.MethodPost, Path: "/api/sessions/start", Means: dialect.MeansBegin, Name: nameIn},
		{Method: http.MethodPost, Path: "/api/sessions/stop", Means: dialect.MeansEnd, Name: nameIn},
		{Method: http.MethodPost, Path: "/api/sessions/logout", Means: dialect.MeansEnd, Name: nameIn},
		{Method: http.MethodPost, Path: "/api/sessions/{name}/start", Means: dialect.MeansBegin},
		{Method: http.MethodPost, Path: "/api/sessions/{name}/restart", Means: dialect.MeansRestart},
		{Method: http.MethodPost, Path: "/api/sessions/{name}/stop", Means: dialect.MeansEnd},
		{Method: http.MethodPost, Path: "/api/sessions/{name}/logout", Means: dialect.MeansEnd},
		{Method: http.MethodDelete, Path: "/api/sessions/{name}", Means: dialect.MeansDelete},
		{Method: http.MethodGet, Path: "/api/{name}/auth/qr", Means: dialect.MeansQR},
	},
}

// withoutCode is the response before the first code. WAHA repeats the last picture while its state is SCAN_QR_CODE.
func withoutCode(r *compat.Response, name string) {
	r.Status = http.StatusUnprocessableEntity
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	r.Body, _ = json.Marshal(map[string]any{ // strings alone
		"error":   "Session status is not as expected. Try again later or restart the session",
		"session": name, "status": "STARTING", "expected": []string{"SCAN_QR_CODE"},
	})
}

func nameIn(_ *http.Request, body compat.Object) string { return compat.StringOf(body["name"]) }

// concerns finds the session that a request names in its path, its query or, as most requests that send do, its body.
func concerns(r *http.Request, segments []string, body func() compat.Object, s *dialect.Subject) {
	if s.Means != "" {
		return
	}
	if len(segments) > 3 && segments[1] == "api" {
		named := segments[2]
		if named == "sessions" || named == "files" {
			named = segments[3]
		}
		if !slices.Contains(noSessions, named) {
			s.Name, _ = url.PathUnescape(named) // what cannot be unescaped names no session
		}
	}
	if query := r.URL.Query().Get("session"); s.Name == "" && query != "*" {
		s.Name = query
	}
	if s.Name == "" && segments[1] == "api" && r.Method != http.MethodGet {
		s.Name = compat.StringOf(body()["session"])
	}
}

// noSessions are the segments after /api/ that are no session's name.
var noSessions = []string{"server", "keys", "apps", "contacts"}

var states = dialect.States{
	"stopped":      session.Disconnected,
	"starting":     session.Connecting,
	"scan_qr_code": session.AwaitingScan,
	"working":      session.Connected,
	"failed":       session.Failed,
}

// read reads a session, the list, and the three forms of a QR.
func read(_ dialect.Verb, body any) (sessions []dialect.Session) {
	if list, ok := body.([]any); ok {
		for _, item := range list {
			sessions = append(sessions, read(dialect.Status, item)...)
		}
		return sessions
	}
	o, _ := body.(compat.Object)
	me, _ := o["me"].(compat.Object)
	return []dialect.Session{{
		Name:  compat.StringOf(o["name"]),
		State: states.Parse(compat.StringOf(o["status"])),
		Code:  compat.StringOf(o["value"]) + compat.StringOf(o["data"]),
		Phone: compat.StringOf(me["id"]),

		PairingCode: compat.StringOf(o["code"]),
	}}
}
