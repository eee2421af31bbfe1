// Package gowa is the API of GOWA (go-whatsapp-web-multidevice) v9 as a [dialect.Dialect].
package gowa

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"qrgate/compat"
	"qrgate/compat/dialect"
	"qrgate/internal/session"
)

// loginTimeout is above GOWA's own limit of 45 s for a login whose code does not come.
const loginTimeout = 50 * time.Second

// Dialect is GOWA's API. A login blocks until the first code, is the only call that shows a code, and ends the pairing
// before it: qrgate logs in once and keeps the code.
//
//	create   POST /devices
//	connect  GET  /devices/{name}/login     also creates a device that is not known
//	state    GET  /devices/{name}
//	list     GET  /devices
var Dialect = &dialect.Dialect{
	Kind: "gowa",
	Sign: dialect.Sign{Path: "/devices", Words: []string{`"code":"success"`, `"results"`}}, // with a key that it accepts
	Traits: dialect.Traits{
		FirstTTL: session.FirstQRTTL, LaterTTL: session.FirstQRTTL,
		QRBegins: true,
		Settle:   12 * time.Second,

		PairingCodeTTL: session.PairingTTL,
	},
	Authorize: func(r *http.Request, c dialect.Credential, _ dialect.Verb) {
		authorization := c.Authorization
		if token := c.Token(); token != "" { // a client of the documented API has user:password as its key
			authorization = "Basic " + base64.StdEncoding.EncodeToString([]byte(token))
		}
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
	},
	Calls: map[dialect.Verb]dialect.Call{
		dialect.Create:  {Method: http.MethodPost, Path: "/devices", Body: `{"device_id":"{name}"}`},
		dialect.Connect: {Method: http.MethodGet, Path: "/devices/{name}/login", Timeout: loginTimeout},
		dialect.Restart: {Method: http.MethodGet, Path: "/devices/{name}/login", Timeout: loginTimeout},
		dialect.Status:  {Method: http.MethodGet, Path: "/devices/{name}"},
		dialect.List:    {Method: http.MethodGet, Path: "/devices"},
		dialect.Logout:  {Method: http.MethodPost, Path: "/devices/{name}/logout"},
		dialect.Delete:  {Method: http.MethodDelete, Path: "/devices/{name}"},
		dialect.Health:  {Method: http.MethodGet, Path: "/devices"},
		dialect.PairingCode: {
			Method: http.MethodPost, Path: "/devices/{name}/login/code", Query: "phone={phone}",
		},
	},
	Connects: map[session.State]dialect.Verb{
		session.Disconnected: dialect.Connect,
		session.Connecting:   dialect.Connect, // without a code that is good: the device waits for a code that nobody sees
		session.Unknown:      dialect.Connect,
	},
	Read:   read,
	Native: native,
	Errors: []dialect.ErrorRule{
		{Contains: "already_logged_in", Kind: session.KindAlreadyPaired},
		{Contains: "device_not_found", Kind: session.KindSessionNotFound},
		{Verb: dialect.Status, Status: http.StatusInternalServerError, Contains: " not found",
			Kind: session.KindSessionNotFound},
		{Verb: dialect.Logout, Status: http.StatusInternalServerError, Contains: " not found",
			Kind: session.KindSessionNotFound},
		// The error of logging out what is not paired, after it was deleted (before version 9).
		{Verb: dialect.Delete, Contains: "store doesn't contain a device jid"},
		{Contains: "session_saved_error"}, // a paired device that is offline: it connects
		{Status: http.StatusUnauthorized, Contains: "authentication_error", // no credential is meant
			Kind: session.KindServerError, Code: "WHATSAPP_UNREACHABLE"},
		{Status: http.StatusUnauthorized, Contains: "unauthorized", Kind: session.KindKeyRefused}, // plain text
		{Contains: "qr channel closed", Kind: session.KindServerError, Code: "WHATSAPP_REFUSED"},
		{Status: http.StatusGatewayTimeout, Contains: "gateway_timeout", Kind: session.KindNotReady},
		{Verb: dialect.Create, Contains: "already exists", Kind: dialect.KindSessionExists},
	},
}

// native is GOWA's API as its clients use it. The link to the picture is made from the request's Host.
var native = &dialect.Native{
	Credential: func(r *http.Request) dialect.Credential {
		return dialect.Credential{Authorization: r.Header.Get("Authorization")}
	},
	KeepsHost: true,
	Render: func(name, link string, seconds int) []byte {
		results := compat.Object{"device_id": name, "qr_link": link, "qr_duration": seconds}
		body, _ := json.Marshal(compat.Object{"code": "SUCCESS", "message": "Login success", "results": results})
		return body
	},
	Pictures: "/statics/qrcode/",
	List:     dialect.ListRoute{Path: "/devices", Member: "results"},
	Concerns: func(r *http.Request, segments []string, _ func() compat.Object, s *dialect.Subject) {
		if s.Means != "" {
			return
		}
		if s.Name = deviceOf(r, nil); s.Name == "" && len(segments) > 2 && segments[1] == "devices" {
			s.Name, _ = url.PathUnescape(segments[2]) // what cannot be unescaped names no device
		}
		s.IsOnly = s.Name == "" && slices.Contains(ofDevice, segments[1])
	},
	NoName: compat.Response{
		Status: http.StatusBadRequest, Header: http.Header{"Content-Type": {"application/json"}},
		Body: []byte(`{"code":"DEVICE_ID_REQUIRED","message":"device_id is required","results":null}`),
	},
	Routes: []dialect.Route{
		{Method: http.MethodPost, Path: "/devices", Means: dialect.MeansCreate,
			Name: func(_ *http.Request, body compat.Object) string { return compat.StringOf(body["device_id"]) }},
		{Method: http.MethodGet, Path: "/devices/{name}/login", Means: dialect.MeansBeginQR},
		{Method: http.MethodGet, Path: "/app/login", Means: dialect.MeansBeginQR, Name: deviceOf},
		{Method: http.MethodPost, Path: "/devices/{name}/logout", Means: dialect.MeansEnd},
		{Method: http.MethodGet, Path: "/app/logout", Means: dialect.MeansEnd, Name: deviceOf},
		{Method: http.MethodDelete, Path: "/devices/{name}", Means: dialect.MeansDelete},
	},
}

// ofDevice begin the paths of requests that concern a device.
var ofDevice = []string{"app", "send", "user", "message", "chat", "chats", "group", "newsletter", "call"}

// deviceOf is the device that a request names; "" for the only one.
func deviceOf(r *http.Request, _ compat.Object) string {
	if id, err := url.PathUnescape(r.Header.Get("X-Device-Id")); err == nil && id != "" {
		return id
	}
	return r.URL.Query().Get("device_id")
}

// states are the words of GET /devices. A connected device that is not logged in waits for a scan.
var states = dialect.States{
	"disconnected": session.Disconnected,
	"connecting":   session.Connecting,
	"connected":    session.Connecting,
	"logged_in":    session.Connected,
}

// read reads a device, the list, and a login.
func read(verb dialect.Verb, body any) (sessions []dialect.Session) {
	o, _ := body.(compat.Object)
	if rows, ok := o["results"].([]any); ok {
		for _, row := range rows {
			o, _ := row.(compat.Object)
			sessions = append(sessions, readDevice(o))
		}
		return sessions
	}
	results, _ := o["results"].(compat.Object)
	s := readDevice(results)
	if verb == dialect.Connect || verb == dialect.Restart {
		s.State = session.Connecting
	}
	return []dialect.Session{s}
}

func readDevice(o compat.Object) dialect.Session {
	s := dialect.Session{
		Name:    compat.StringOf(o["id"]) + compat.StringOf(o["device_id"]),
		State:   states.Parse(compat.StringOf(o["state"])),
		CodeURL: compat.StringOf(o["qr_link"]),

		PairingCode: compat.StringOf(o["pair_code"]),
	}
	s.Phone, _, _ = strings.Cut(compat.StringOf(o["jid"]), "@")
	return s
}
