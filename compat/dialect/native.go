package dialect

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"qrgate/compat"
	"qrgate/internal/session"
)

// Native is the engine's own API as its clients use it: the few routes that have a meaning for qrgate. Every other
// request passes through byte for byte.
type Native struct {
	Routes []Route
	// Credential is what a request presents.
	Credential func(r *http.Request) Credential
	// Concerns adds what Routes do not say about the session that a request concerns. segments are those of the path.
	Concerns func(r *http.Request, segments []string, body func() compat.Object, s *Subject)
	List     ListRoute
	// NoName is the engine's response to a request that names no session where there are several. Its status is 0 where
	// every such request names one.
	NoName compat.Response
	// Session names the session where the credential is the session's own. nil: the request names it.
	Session func(c Credential) string
	// KeepsHost: the engine makes links from the client's Host.
	KeepsHost bool
	// Render is the body that shows a code where each call for one begins a pairing: link leads to its picture, for so
	// many seconds.
	Render func(name, link string, seconds int) []byte
	// Pictures begins the paths of the pictures that links lead to.
	Pictures string
	// QR is the request that reads the code in the form that the other routes show it in. {name} is the session's.
	QR Call
	// Splice puts the body of QR into that of a create or restart. nil: the body of QR is the response.
	Splice func(begun, qr []byte) []byte
	// WithoutCode makes of a response with an old code what the engine returns while the session has none. nil: the
	// engine never shows an old code.
	WithoutCode func(r *compat.Response, name string)
}

// Meaning is what a route of an engine's own API does.
type Meaning string

// The meanings. A client of a route with QR expects the code in the response.
const (
	MeansCreate    Meaning = "create"
	MeansBegin     Meaning = "begin"
	MeansBeginQR   Meaning = "begin_qr" // begins a pairing unless one is under way
	MeansQR        Meaning = "qr"       // reads, whatever the state
	MeansRestart   Meaning = "restart"
	MeansRestartQR Meaning = "restart_qr" // its own response may show the code that it ended
	MeansEnd       Meaning = "end"        // logout or stop
	MeansDelete    Meaning = "delete"
	// MeansDeleteByID deletes a session that the request names by an id that only the engine can resolve.
	MeansDeleteByID Meaning = "delete_by_id"
)

// Route is one route of an engine's own API.
type Route struct {
	Method, Path string // a path of segments; {name} stands for the session's name
	Means        Meaning
	// Name finds the session's name where the path has none. nil: the path has it.
	Name func(r *http.Request, body compat.Object) string
	// Passes reports that a request on the route is none of qrgate's: it passes through. nil: none is.
	Passes func(r *http.Request) bool
	// WantsQR reports that the client of a create expects the code in its response. nil: no client does.
	WantsQR func(body compat.Object) bool
}

// Match finds the route of a request by its method and its path as it was sent. The name is unescaped. As most engines
// do, it ignores case and a slash at the end.
func (n *Native) Match(method, rawPath string) (route *Route, name string) {
	segments := strings.Split(strings.TrimSuffix(rawPath, "/"), "/")
	for i := range n.Routes {
		r := &n.Routes[i]
		if name, ok := matchPath(r.Path, segments); ok && r.Method == method {
			return r, name
		}
	}
	return nil, ""
}

func matchPath(pattern string, segments []string) (name string, ok bool) {
	wanted := strings.Split(pattern, "/")
	if len(wanted) != len(segments) {
		return "", false
	}
	for i, segment := range segments {
		switch {
		case wanted[i] == "{name}" && segment != "":
			unescaped, err := url.PathUnescape(segment)
			if err != nil {
				return "", false
			}
			name = unescaped
		case !strings.EqualFold(wanted[i], segment):
			return "", false
		}
	}
	return name, true
}

// Outcome is what a response to a client means.
type Outcome struct {
	Session   Session
	IsError   bool
	IsTaken   bool // an error: the session exists
	IsRefused bool // an error: the engine does not accept the credential, or does not know the session

	err  *failure
	page *compat.Response // an error that is not the engine's own
}

// BeginError is why the engine did not begin a pairing, as the documented API reports it. It is nil if the engine began
// one, has no code yet or needs none.
func (o Outcome) BeginError(now time.Time) *session.EngineError {
	if o.page != nil {
		return o.page.EngineError(session.OpConnect)
	}
	if o.err == nil || o.err.code == compat.CodeQRNotReady || o.err.code == compat.CodeSessionAlreadyConnected {
		return nil
	}
	body, _ := json.Marshal(compat.NewProblem(o.err.code, o.err.text, now)) // a struct of strings cannot fail
	r := compat.Response{Status: o.err.status, Header: http.Header{}, Body: body, Complete: true, At: now}
	o.err.describe(r.Header)
	return r.EngineError(session.OpConnect)
}

// HasCode reports whether the response shows a code, good or not.
func (o Outcome) HasCode() bool { return o.Session.Code != "" || o.Session.CodeURL != "" }

// Outcome reads a response to a client.
func (d *Dialect) Outcome(verb Verb, r compat.Response) (o Outcome) {
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), "/"); kind == "image" && r.Status/100 == 2 {
		o.Session.Code = base64.StdEncoding.EncodeToString(r.Body)
		return o
	}
	body, isJSON := decode(verb, r.Body)
	if !isJSON && r.Status >= 400 && d.isForeign(verb, r.Status, r.Body) {
		return Outcome{IsError: true, page: &r}
	}
	if f := d.failureOf(verb, r.Status, body); f != nil {
		isRefused := f.code == compat.CodeInvalidAPIKey || f.code == compat.CodeSessionNotFound
		return Outcome{IsError: true, IsTaken: f.code == compat.CodeConflict, IsRefused: isRefused, err: f}
	}
	if !isJSON {
		return o
	}
	if read := d.Read(verb, body); len(read) > 0 {
		o.Session = read[0]
	}
	return o
}

// ReadList reads the body of a list; no session if that is none.
func (d *Dialect) ReadList(raw []byte) []Session {
	body, isJSON := decode(List, raw)
	if !isJSON {
		return nil
	}
	return d.sessionsIn(body)
}

// sessionsIn are the sessions in the body of a list. What the engine wrote in place of an empty list is none.
func (d *Dialect) sessionsIn(body any) []Session {
	return slices.DeleteFunc(d.Read(List, body), func(s Session) bool { return s.Name == "" && s.EngineID == "" })
}

// SpliceMember replaces the value of a top-level member of a JSON object by another value, and leaves every other byte
// as it is. Without the member the object stays as it is.
func SpliceMember(object []byte, name string, value []byte) []byte {
	d := json.NewDecoder(bytes.NewReader(object))
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		return object
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return object
		}
		var old json.RawMessage
		if d.Decode(&old) != nil {
			return object
		}
		if end := int(d.InputOffset()); key == name {
			start := end - len(old)
			return bytes.Join([][]byte{object[:start], bytes.TrimSpace(value), object[end:]}, nil)
		}
	}
	return object
}
