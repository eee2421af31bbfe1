// Package wuzapi is the API of wuzapi (2025 and 2026) as a [dialect.Dialect].
//
// A session's token is its only name in most calls; the key of a client of the documented API is the admin's token.
package wuzapi

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"qrgate/compat"
	"qrgate/compat/dialect"
	"qrgate/internal/session"
)

// Dialect is wuzapi's API. It has no restart: a disconnect leaves the old socket open, which goes on writing codes.
// Without /full, a delete leaves the client running and the token valid: a new session with it would get no code.
//
//	create   POST   /admin/users
//	connect  POST   /session/connect    waits 10 s without Immediate; 500 "already connected" while a client lives
//	qr       GET    /session/qr         a read; an empty QRCode until the code is there
//	state    GET    /session/status     200 with two booleans
var Dialect = &dialect.Dialect{
	Kind: "wuzapi",
	Sign: dialect.Sign{Path: "/health", Words: []string{"active_connections"}},
	Traits: dialect.Traits{
		FirstTTL: session.FirstQRTTL, LaterTTL: session.RefreshQRTTL,
		ReadsQRIn: []session.State{session.Connecting},
		Settle:    3 * time.Second,

		PairingCodeTTL: session.PairingTTL,
	},
	Authorize:    authorize,
	SessionToken: tokenOf,
	Calls: map[dialect.Verb]dialect.Call{
		dialect.Create: {Method: http.MethodPost, Path: "/admin/users",
			Body: `{"name":"{name}","token":"{token}","events":"All"}`},
		dialect.Connect: {Method: http.MethodPost, Path: "/session/connect",
			Body: `{"Subscribe":["All"],"Immediate":true}`},
		dialect.QR:     {Method: http.MethodGet, Path: "/session/qr"},
		dialect.Status: {Method: http.MethodGet, Path: "/session/status"},
		dialect.List:   {Method: http.MethodGet, Path: "/admin/users"},
		dialect.Logout: {Method: http.MethodPost, Path: "/session/logout"},
		dialect.Delete: {Method: http.MethodDelete, Path: "/admin/users/{id}/full", OldPath: "/admin/users/{id}"},
		dialect.Health: {Method: http.MethodGet, Path: "/health"},
		dialect.PairingCode: {
			Method: http.MethodPost, Path: "/session/pairphone", Body: `{"Phone":"{phone}"}`,
		},
	},
	Connects: map[session.State]dialect.Verb{
		session.Disconnected: dialect.Connect,
		session.Unknown:      dialect.Connect,
	},
	Read:   read,
	Native: native,
	Errors: []dialect.ErrorRule{
		{Verb: dialect.Create, Status: http.StatusConflict, Kind: dialect.KindSessionExists},
		{Verb: dialect.Create, Status: http.StatusUnauthorized, Kind: session.KindKeyRefused},
		{Verb: dialect.List, Status: http.StatusUnauthorized, Kind: session.KindKeyRefused},
		{Verb: dialect.Delete, Status: http.StatusUnauthorized, Kind: session.KindKeyRefused},
		{Status: http.StatusUnauthorized, Kind: session.KindSessionNotFound}, // the token is the session
		{Verb: dialect.Connect, Contains: "already connected"},               // a client lives: a success
		{Contains: "already logged in", Kind: session.KindAlreadyPaired},
		{Contains: "already paired", Kind: session.KindAlreadyPaired},
		{Verb: dialect.Status, Contains: "no session"}, // before the first connect, until 2025
		{Verb: dialect.QR, Contains: "no session", Kind: session.KindNotReady},
		{Verb: dialect.QR, Contains: "not connected", Kind: session.KindNotReady},
		{Verb: dialect.Logout, Status: http.StatusInternalServerError}, // an unpaired session has nothing to log out of
	},
}

func authorize(r *http.Request, c dialect.Credential, verb dialect.Verb) {
	switch verb {
	case dialect.Create, dialect.List, dialect.Delete:
		r.Header.Set("Authorization", c.Token())
	case dialect.Health:
	default:
		r.Header.Set("Token", c.Session)
	}
}

// tokenOf is the token of a session: the presented one if the session is named after it, else one that only the admin's
// key gives.
func tokenOf(c dialect.Credential, name string) string {
	if name == nameOf(c) {
		return c.Token()
	}
	mac := hmac.New(sha256.New, []byte(c.Token()))
	_, _ = mac.Write([]byte("qrgate:" + name)) // never fails
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))[:32]
}

// nameOf names a session after its token, which must not be stored or logged.
func nameOf(c dialect.Credential) string {
	sum := sha256.Sum256([]byte("qrgate name " + c.Token()))
	return "token-" + hex.EncodeToString(sum[:10])
}

// native is wuzapi's API as its clients use it: one session, named by its token.
var native = &dialect.Native{
	Credential: func(r *http.Request) dialect.Credential {
		key := r.Header.Get("Token")
		if key == "" {
			key = r.URL.Query().Get("token")
		}
		return dialect.Credential{Key: key}
	},
	Session: nameOf,
	WithoutCode: func(r *compat.Response, _ string) {
		r.Body = []byte(`{"code":200,"data":{"QRCode":""},"success":true}`)
	},
	List:     dialect.ListRoute{Path: "/admin/users", Member: "data"},
	Concerns: concerns,
	Routes: []dialect.Route{
		{Method: http.MethodPost, Path: "/session/connect", Means: dialect.MeansBegin},
		{Method: http.MethodGet, Path: "/session/qr", Means: dialect.MeansQR},
		{Method: http.MethodPost, Path: "/session/disconnect", Means: dialect.MeansEnd},
		{Method: http.MethodPost, Path: "/session/logout", Means: dialect.MeansEnd},
		{Method: http.MethodDelete, Path: "/admin/users/{name}", Means: dialect.MeansDeleteByID},
		{Method: http.MethodDelete, Path: "/admin/users/{name}/full", Means: dialect.MeansDeleteByID},
	},
}

// concerns finds the session that an admin's request concerns: a new one has its token in the body, another one is
// named by the engine's own id.
func concerns(r *http.Request, segments []string, body func() compat.Object, s *dialect.Subject) {
	if len(segments) < 3 || segments[1] != "admin" {
		return
	}
	s.Name, s.Credential = "", dialect.Credential{Key: r.Header.Get("Authorization")}
	switch {
	case len(segments) > 3:
		s.EngineID, _ = url.PathUnescape(segments[3]) // what cannot be unescaped is no id
	case r.Method == http.MethodPost:
		s.Means, s.Credential = dialect.MeansCreate, dialect.Credential{Key: compat.StringOf(body()["token"])}
		if s.Credential.Key != "" {
			s.Name = nameOf(s.Credential)
		}
	}
}

// read reads one session's data, or the rows of the list.
func read(_ dialect.Verb, body any) (sessions []dialect.Session) {
	o, _ := body.(compat.Object)
	if rows, ok := o["data"].([]any); ok {
		for _, row := range rows {
			o, _ := row.(compat.Object)
			sessions = append(sessions, readRow(o))
		}
		return sessions
	}
	return []dialect.Session{readRow(compat.Data(o))}
}

// readRow reads a row. Older versions write the members with a capital letter.
func readRow(o compat.Object) dialect.Session {
	s := dialect.Session{
		Name: compat.StringOf(o["name"]), Token: compat.StringOf(o["token"]), State: session.Unknown,
		Code: compat.StringOf(o["QRCode"]) + compat.StringOf(o["qrcode"]), PairingCode: compat.StringOf(o["LinkingCode"]),
	}
	s.Phone, _, _ = strings.Cut(compat.StringOf(o["jid"]), "@")
	switch id := o["id"].(type) {
	case string:
		s.EngineID = id
	case json.Number:
		s.EngineID = id.String()
	}
	isConnected, hasConnected := firstBool(o, "connected", "Connected")
	isLoggedIn, _ := firstBool(o, "loggedIn", "LoggedIn")
	switch {
	case isLoggedIn:
		s.State, s.Code = session.Connected, ""
	case isConnected:
		s.State = session.Connecting
	case hasConnected:
		s.State, s.Code = session.Disconnected, "" // the row keeps the code of a client that is gone
	}
	return s
}

func firstBool(o compat.Object, names ...string) (value, ok bool) {
	for _, name := range names {
		if value, ok = o[name].(bool); ok {
			return value, true
		}
	}
	return false, false
}
