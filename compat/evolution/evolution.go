// Package evolution is the API of Evolution API v2 (version 2.3.7) as a [dialect.Dialect].
package evolution

import (
	"bytes"
	"cmp"
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

// Dialect is Evolution's API.
//
//	create   POST   /instance/create
//	connect  GET    /instance/connect/{name}          state close: opens a socket, each time; else a read
//	state    GET    /instance/connectionState/{name}
//	list     GET    /instance/fetchInstances          the only place that has the reason of a disconnect
var Dialect = &dialect.Dialect{
	Kind: "evolution",
	Sign: dialect.Sign{Path: "/", Words: []string{"evolution api"}},
	Traits: dialect.Traits{
		FirstTTL: 45 * time.Second, LaterTTL: 45 * time.Second,
		ReadsQRIn: []session.State{session.Connecting},
		Settle:    6 * time.Second,

		ReasonInList: true,
		// The number goes with the connect, and each QR has a pairing code of its own.
		PairingCodeTTL: 45 * time.Second, PairingCodeBegins: true,
	},
	Authorize: func(r *http.Request, c dialect.Credential, _ dialect.Verb) {
		r.Header.Set("Apikey", c.Token())
	},
	Calls: map[dialect.Verb]dialect.Call{
		dialect.Create: {
			Method: http.MethodPost, Path: "/instance/create",
			Body: `{"instanceName":"{name}","integration":"WHATSAPP-BAILEYS","qrcode":false}`,
		},
		dialect.Connect: {Method: http.MethodGet, Path: "/instance/connect/{name}"},
		dialect.QR:      {Method: http.MethodGet, Path: "/instance/connect/{name}"},
		dialect.Status:  {Method: http.MethodGet, Path: "/instance/connectionState/{name}"},
		dialect.List:    {Method: http.MethodGet, Path: "/instance/fetchInstances"},
		dialect.Restart: {Method: http.MethodPost, Path: "/instance/restart/{name}"},
		dialect.Logout:  {Method: http.MethodDelete, Path: "/instance/logout/{name}"},
		dialect.Delete:  {Method: http.MethodDelete, Path: "/instance/delete/{name}"},
		dialect.Health:  {Method: http.MethodGet, Path: "/"},
		dialect.PairingCode: {
			Method: http.MethodGet, Path: "/instance/connect/{name}", Query: "number={phone}",
		},
	},
	Connects: map[session.State]dialect.Verb{
		session.Disconnected: dialect.Connect,
		session.Unknown:      dialect.Connect,
	},
	Native: native,
	Read:   read,
	Errors: []dialect.ErrorRule{
		{Verb: dialect.Create, Status: http.StatusForbidden, Contains: "already in use",
			Kind: dialect.KindSessionExists},
		{Status: http.StatusServiceUnavailable, Contains: "license_required",
			Kind: session.KindServerError, Code: "ENGINE_UNLICENSED"},
		{Verb: dialect.Logout, Status: http.StatusBadRequest, Contains: "not connected", Kind: session.KindNotReady},
		{Status: http.StatusOK, Contains: "exception", Kind: session.KindServerError},
		{Status: http.StatusOK, Contains: "error: ", Kind: session.KindServerError},
	},
}

var states = dialect.States{
	"close":      session.Disconnected,
	"connecting": session.Connecting,
	"open":       session.Connected,
}

// native is Evolution's API as its clients use it. A connect with a number asks for a pairing code and passes through.
var native = &dialect.Native{
	Credential: func(r *http.Request) dialect.Credential { return dialect.Credential{Key: r.Header.Get("Apikey")} },
	QR:         dialect.Call{Method: http.MethodGet, Path: "/instance/connect/{name}"},
	Splice: func(begun, qr []byte) []byte {
		if bytes.Contains(begun, []byte(`"qrcode"`)) {
			return dialect.SpliceMember(begun, "qrcode", qr)
		}
		return qr
	},
	WithoutCode: withoutCode,
	List:        dialect.ListRoute{Path: "/instance/fetchInstances"},
	Concerns: func(_ *http.Request, segments []string, _ func() compat.Object, s *dialect.Subject) {
		if s.Means == "" && len(segments) > 3 && !slices.Contains(pages, segments[1]) {
			s.Name, _ = url.PathUnescape(segments[len(segments)-1]) // what cannot be unescaped names no instance
		}
	},
	Routes: []dialect.Route{
		{
			Method: http.MethodPost, Path: "/instance/create", Means: dialect.MeansCreate,
			Name: func(_ *http.Request, body compat.Object) string {
				return strings.TrimSpace(compat.StringOf(body["instanceName"]))
			},
			WantsQR: func(body compat.Object) bool {
				wants, _ := body["qrcode"].(bool)
				return wants && compat.StringOf(body["number"]) == ""
			},
		},
		{
			Method: http.MethodGet, Path: "/instance/connect/{name}", Means: dialect.MeansBeginQR,
			Passes: func(r *http.Request) bool { return r.URL.Query().Get("number") != "" },
		},
		{Method: http.MethodPost, Path: "/instance/restart/{name}", Means: dialect.MeansRestartQR},
		{Method: http.MethodDelete, Path: "/instance/logout/{name}", Means: dialect.MeansEnd},
		{Method: http.MethodDelete, Path: "/instance/delete/{name}", Means: dialect.MeansDelete},
	},
}

// pages begin the paths of three segments and more that do not end with the name of an instance.
var pages = []string{"manager", "assets", "store", "license", "docs", "socket.io"}

// withoutCode leaves the count alone in the body of a connect or restart, as before the first code.
func withoutCode(r *compat.Response, _ string) {
	var qr struct {
		Base64 string      `json:"base64"`
		Count  json.Number `json:"count"`
	}
	if json.Unmarshal(r.Body, &qr) != nil || qr.Base64 == "" {
		return
	}
	r.Body = []byte(`{"count":` + cmp.Or(qr.Count.String(), "0") + `}`)
}

// read reads the answers of one instance, and of the list.
func read(verb dialect.Verb, body any) []dialect.Session {
	if list, ok := body.([]any); ok {
		var sessions []dialect.Session
		for _, item := range list {
			if row, ok := item.(compat.Object); ok {
				sessions = append(sessions, readRow(row))
			}
		}
		return sessions
	}
	o, _ := body.(compat.Object)
	instance, _ := o["instance"].(compat.Object)
	s := dialect.Session{
		Name:  compat.StringOf(instance["instanceName"]),
		State: states.Parse(compat.StringOf(instance["state"]) + compat.StringOf(instance["status"])),
	}
	qr := o
	if nested, ok := o["qrcode"].(compat.Object); ok {
		qr = nested
	}
	if verb != dialect.Status && verb != dialect.Restart { // a restart returns the code that it has just ended
		s.Code, s.PairingCode = compat.StringOf(qr["base64"]), compat.StringOf(qr["pairingCode"])
		if s.Code == "" {
			s.Code = compat.StringOf(qr["code"])
		}
		if s.Code != "" || s.State == session.Unknown && instance == nil {
			s.State = session.Connecting
		}
	}
	return []dialect.Session{s}
}

// readRow reads one row of the list.
func readRow(row compat.Object) dialect.Session {
	s := dialect.Session{
		Name:      compat.StringOf(row["name"]),
		State:     states.Parse(compat.StringOf(row["connectionStatus"])),
		Phone:     compat.StringOf(row["number"]),
		CreatedAt: compat.StringOf(row["createdAt"]),
	}
	if code, ok := row["disconnectionReasonCode"].(json.Number); ok {
		s.Reason = code.String() + " " + reasonIn(row["disconnectionObject"])
		s.ReasonAt, _ = time.Parse(time.RFC3339, compat.StringOf(row["disconnectionAt"]))
	}
	return s
}

// reasonIn is the message of Baileys' error, which Evolution keeps as a JSON text.
func reasonIn(object any) string {
	const normal = "connection failure"
	var e struct {
		Error struct {
			Output struct {
				Payload struct {
					Message string `json:"message"`
				} `json:"payload"`
			} `json:"output"`
		} `json:"error"`
	}
	if json.Unmarshal([]byte(compat.StringOf(object)), &e) != nil {
		return normal
	}
	return cmp.Or(e.Error.Output.Payload.Message, normal)
}
