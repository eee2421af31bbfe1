package dialect

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"qrgate/compat"
	"qrgate/internal/redact"
	"qrgate/internal/session"
)

// maxBody bounds a body in bytes, in both directions.
const maxBody = 1 << 20

// Transport serves the documented session routes by calls to an engine of another API. It is a [http.RoundTripper]: an
// error of the connection to the engine is its error.
type Transport struct {
	dialect *Dialect
	engine  *url.URL
	next    http.RoundTripper
	codes   *Codes
	names   *names
}

// NewTransport makes a Transport. The next RoundTripper carries the calls to the engine.
func NewTransport(d *Dialect, engine *url.URL, next http.RoundTripper) *Transport {
	return &Transport{dialect: d, engine: engine, next: next, codes: newCodes(d.Traits), names: newNames()}
}

// Sessions are those that the engine shows to a caller.
func (t *Transport) Sessions(ctx context.Context, c Credential) ([]Session, error) {
	x := &exchange{Transport: t, ctx: ctx, credential: c}
	body, err := x.call(List)
	if err != nil {
		return nil, err
	}
	return t.dialect.sessionsIn(body), nil
}

// Codes is what the Transport remembers of the engine's codes.
func (t *Transport) Codes() *Codes { return t.codes }

// RoundTrip implements [http.RoundTripper].
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	body := []byte{}
	if r.Body != nil {
		var err error
		body, err = io.ReadAll(io.LimitReader(r.Body, maxBody))
		_ = r.Body.Close()
		if err != nil {
			return nil, err
		}
	}
	x := &exchange{Transport: t, ctx: r.Context(), credential: credentialOf(r.Header)}
	status, answer, err := x.serve(r, body)
	if f, ok := errors.AsType[*failure](err); ok {
		response := respond(r, f.status, compat.NewProblem(f.code, f.text, time.Now()))
		f.describe(response.Header)
		return response, nil
	}
	if foreign, ok := errors.AsType[*foreignResponse](err); ok {
		foreign.Request = r
		return &foreign.Response, nil
	}
	if err != nil {
		return nil, err
	}
	return respond(r, status, answer), nil
}

// Credential is what a caller presents.
type Credential struct {
	Key           string // X-API-Key
	Authorization string // the whole header
	Session       string // the session's token, where sessions have one
}

func credentialOf(h http.Header) Credential {
	return Credential{Key: h.Get("X-Api-Key"), Authorization: h.Get("Authorization")}
}

// Token is the key, or where there is none the bearer token.
func (c Credential) Token() string {
	if c.Key == "" {
		scheme, token, _ := strings.Cut(c.Authorization, " ")
		if strings.EqualFold(scheme, "bearer") {
			return token
		}
	}
	return c.Key
}

// respond makes a response of the documented API.
func respond(r *http.Request, status int, body any) *http.Response {
	b, _ := json.Marshal(body) // maps of strings and numbers cannot fail
	return &http.Response{
		Status: strconv.Itoa(status) + " " + http.StatusText(status), StatusCode: status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{
			"Content-Type": {compat.ContentType}, "Content-Length": {strconv.Itoa(len(b))},
			"Date": {time.Now().UTC().Format(http.TimeFormat)},
		},
		ContentLength: int64(len(b)), Body: io.NopCloser(bytes.NewReader(b)), Request: r,
	}
}

// exchange is one request to the documented API.
type exchange struct {
	*Transport
	ctx        context.Context
	credential Credential
	session    Session // that the path names; Name and EngineID are set
	phone      string  // of a request for a pairing code
}

// serve finds the handler of a route and calls it.
func (x *exchange) serve(r *http.Request, body []byte) (int, any, error) {
	if r.URL.Path == "/health" {
		_, err := x.call(Health)
		return http.StatusOK, compat.Object{"status": "ok", "engine": x.dialect.Kind}, err
	}
	template, id, _ := compat.MatchRoute(r.URL.Path)
	serve := handlers[compat.Route{Method: r.Method, Path: template}]
	if serve == nil {
		return 0, nil, x.notSupported()
	}
	wanted, _ := compat.Parse(body)
	if id != "" {
		if err := x.resolve(id); err != nil {
			return 0, nil, err
		}
	}
	return serve(x, wanted)
}

// handlers serve the documented session routes.
var handlers = map[compat.Route]func(x *exchange, body compat.Object) (int, any, error){
	{Method: http.MethodPost, Path: compat.SessionsPath}:                      (*exchange).create,
	{Method: http.MethodGet, Path: compat.SessionsPath}:                       (*exchange).list,
	{Method: http.MethodGet, Path: compat.SessionsPath + "/{id}"}:             (*exchange).get,
	{Method: http.MethodDelete, Path: compat.SessionsPath + "/{id}"}:          (*exchange).delete,
	{Method: http.MethodGet, Path: compat.SessionsPath + "/{id}/qr"}:          (*exchange).qr,
	{Method: http.MethodGet, Path: compat.SessionsPath + "/{id}/status"}:      (*exchange).status,
	{Method: http.MethodPost, Path: compat.SessionsPath + "/{id}/connect"}:    (*exchange).connect,
	{Method: http.MethodPost, Path: compat.SessionsPath + "/{id}/disconnect"}: (*exchange).disconnect,
	{Method: http.MethodPost, Path: compat.SessionsPath + "/{id}/restart"}:    (*exchange).restart,

	{Method: http.MethodPost, Path: compat.SessionsPath + "/{id}/pairing-code"}: (*exchange).pairingCode,
}

// codeNotSupported is the code of a 501.
const codeNotSupported = "NOT_SUPPORTED_BY_ENGINE"

func (x *exchange) notSupported() error {
	return &failure{
		status: http.StatusNotImplemented, code: codeNotSupported,
		text: "qrgate serves sessions, QRs and states in front of " + x.dialect.Kind +
			". Call the engine's own API for everything else.",
	}
}

func (x *exchange) create(body compat.Object) (int, any, error) {
	name := DecodeName(compat.StringOf(body["sessionId"]))
	if name == "" {
		const text = "sessionId is missing. Send one."
		return 0, nil, &failure{status: http.StatusBadRequest, code: compat.CodeValidationError, text: text}
	}
	x.setSession(Session{Name: name})
	if err := x.refuseSecond(); err != nil {
		return 0, nil, err
	}
	created, err := x.callOne(Create)
	if err != nil {
		return 0, nil, err
	}
	s := x.object(created)
	return http.StatusCreated, compat.NormalizeSessionBody(compat.Object{"message": compat.TextCreated}, s), nil
}

// refuseSecond refuses to create a session whose name another one has, at an engine that compares the tokens alone.
func (x *exchange) refuseSecond() error {
	if x.dialect.SessionToken == nil {
		return nil
	}
	name := x.session.Name
	err := x.findSession(func(s Session) bool { return s.Name == name })
	if f, ok := errors.AsType[*failure](err); ok && f.code == compat.CodeSessionNotFound {
		return nil
	}
	return cmp.Or[error](err, failures[KindSessionExists].with("The engine has a session with this name."))
}

func (x *exchange) list(compat.Object) (int, any, error) {
	body, err := x.call(List)
	if err != nil {
		return 0, nil, err
	}
	sessions := []compat.Object{}
	for _, s := range x.dialect.sessionsIn(body) {
		sessions = append(sessions, x.object(s))
	}
	return http.StatusOK, compat.NormalizeListBody(nil, sessions, 1, max(len(sessions), 1)), nil
}

func (x *exchange) get(compat.Object) (int, any, error) {
	s, err := x.callOne(Status)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, compat.NormalizeSessionBody(nil, x.object(s)), nil
}

func (x *exchange) status(compat.Object) (int, any, error) {
	s, err := x.callOne(Status)
	if err != nil {
		return 0, nil, err
	}
	x.codes.recordState(s.Name, s.State, time.Now())
	isSilent := s.State != session.Connected && x.codes.Present(s.Name, time.Now()) == ""
	if isSilent && x.dialect.Traits.ReasonInList {
		if x.findSession(func(listed Session) bool { return listed.Name == s.Name }) == nil {
			s.Reason = x.codes.presentReason(x.session, time.Now())
		}
	}
	return http.StatusOK, compat.NormalizeStatusBody(nil, x.object(s)), nil
}

// qr reads the code where that changes nothing at the engine. Without a code it reports the state. A code that the
// engine showed before is shown again only where no response of the engine denies it.
func (x *exchange) qr(compat.Object) (_ int, _ any, err error) {
	s := Session{Name: x.session.Name, State: session.Connecting}
	traits := x.dialect.Traits
	if !slices.Contains(traits.ReadsQRIn, session.Connecting) || !x.codes.isConnecting(s.Name, time.Now()) {
		if s, err = x.callOne(Status); err != nil {
			return 0, nil, err
		}
		x.codes.recordState(s.Name, s.State, time.Now())
	}
	isKept := s.State == session.Unknown || traits.QRBegins && s.State != session.Disconnected
	if !traits.QRBegins && slices.Contains(traits.ReadsQRIn, s.State) {
		if s, err = x.readQR(s); err != nil {
			return 0, nil, err
		}
	}
	if s.State == session.Connected {
		return 0, nil, alreadyPaired()
	}
	if s.Code == "" && !isKept && !x.isStale(s) {
		x.codes.Lose(s.Name)
	}
	o := x.object(s)
	if expiresAt, image, ok := x.codes.Code(s.Name, time.Now()); ok {
		o["qrCode"], o["expiresAt"], o["status"] = image.Reveal(), compat.Millis(expiresAt), compat.WireQR
	} else {
		o["qrCode"] = nil
		if o["status"] == compat.WireQR {
			o["status"] = compat.WireConnecting
		}
	}
	return http.StatusOK, compat.Object{"success": true, "data": o}, nil
}

// isStale reports whether the engine reports the session as disconnected although the last begin brought a code, and
// names no reason since then: the state is from before the begin.
func (x *exchange) isStale(s Session) bool {
	if s.State != session.Disconnected || !x.codes.isAhead(s.Name, time.Now()) {
		return false
	}
	if x.dialect.Traits.ReasonInList {
		err := x.findSession(func(listed Session) bool { return listed.Name == s.Name })
		return err != nil || x.codes.presentReason(x.session, time.Now()) == ""
	}
	return true
}

// readQR calls for the code and remembers it. An engine that has none reports so in its own way: no error here.
func (x *exchange) readQR(s Session) (Session, error) {
	read, err := x.callOne(QR)
	if f, ok := errors.AsType[*failure](err); ok && f.code == compat.CodeQRNotReady {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	if read.State == session.Unknown {
		read.State = s.State
	}
	return read, nil
}

// connect begins a pairing, if the session's state asks for it.
func (x *exchange) connect(body compat.Object) (int, any, error) {
	force, _ := body["force"].(bool)
	return x.beginIf(compat.TextConnecting, func(s Session) (Verb, bool) {
		if force && s.State.Acquiring() && x.dialect.Has(Restart) {
			return Restart, true
		}
		verb, ok := x.dialect.Connects[s.State]
		return verb, ok && (verb != Connect || !x.codes.MustNotBegin(s.Name, time.Now()))
	})
}

// restart begins a pairing anew. What does not run is started; an engine may have no way to restart what runs.
func (x *exchange) restart(compat.Object) (int, any, error) {
	return x.beginIf(compat.TextRestarting, func(s Session) (Verb, bool) {
		if verb, ok := x.dialect.Connects[s.State]; ok {
			return verb, true
		}
		return Restart, x.dialect.Has(Restart)
	})
}

// beginIf sends the call that choose names for the session's state, if it names one. Other calls that begin a pairing
// of the session wait meanwhile.
func (x *exchange) beginIf(text string, choose func(Session) (Verb, bool)) (int, any, error) {
	unlock, isBeginning, err := x.lock()
	switch {
	case err != nil:
		return 0, nil, err
	case isBeginning, x.codes.isPairingByPhone(x.session.Name, time.Now()):
		if unlock != nil {
			unlock()
		}
		return x.moved(Session{Name: x.session.Name, State: session.Connecting}, text)
	}
	s, err := x.callOne(Status)
	if f, ok := errors.AsType[*failure](err); ok && slices.Contains(unknownState, f.code) {
		s, err = Session{Name: x.session.Name, State: session.Unknown}, nil
	}
	if err != nil {
		unlock()
		return 0, nil, err
	}
	verb, ok := choose(s)
	if !ok {
		unlock()
		_, isIdle := x.dialect.Connects[s.State]
		if err := x.codes.lastFailure(s.Name, time.Now()); err != nil && isIdle {
			return 0, nil, err
		}
		return x.moved(s, text)
	}
	if s, err = x.begin(verb, unlock); err != nil {
		return 0, nil, err
	}
	return x.moved(s, text)
}

// unknownState are the codes of errors of an engine that does not report the state: a begin shows whether it works.
var unknownState = []string{compat.CodeConnectionError, compat.CodeEngineBadAnswer}

// beginTimeout is how long a connect waits for an engine that responds to a begin with the code alone: then it is one
// that the engine accepted and that has no code yet.
const beginTimeout = 5 * time.Second

// lock waits until no other call decides about a begin. Where such a call lasts until the code is there, it reports
// after a while that one is under way.
func (x *exchange) lock() (unlock func(), isBeginning bool, err error) {
	if !x.dialect.Traits.QRBegins {
		unlock, err = x.codes.Lock(x.ctx, x.session.Name)
		return unlock, false, err
	}
	ctx, cancel := context.WithTimeout(x.ctx, beginTimeout)
	defer cancel()
	unlock, err = x.codes.Lock(ctx, x.session.Name)
	if err != nil && x.ctx.Err() == nil {
		return nil, true, nil
	}
	return unlock, false, err
}

// begin sends a call that begins a pairing, and unlocks the session after it. Where the response is all that ever shows
// the code, the call goes on when the caller gives up.
func (x *exchange) begin(verb Verb, unlock func()) (Session, error) {
	call := func(ctx context.Context) (Session, error) {
		defer unlock()
		y := *x
		y.ctx = ctx
		sentAt := time.Now()
		s, err := y.callOne(verb)
		if f, ok := errors.AsType[*failure](err); ok && f.code == compat.CodeQRNotReady {
			s, err = Session{Name: x.session.Name, State: session.Connecting}, nil
		}
		if err != nil {
			x.codes.Try(x.session.Name, err, time.Now())
			return s, err
		}
		x.codes.Begin(x.session.Name, sentAt)
		return s, nil
	}
	if !x.dialect.Traits.QRBegins {
		return call(x.ctx)
	}
	done := make(chan Session, 1)
	failed := make(chan error, 1)
	go func() {
		if s, err := call(context.WithoutCancel(x.ctx)); err != nil { // the call has a timeout
			failed <- err
		} else {
			done <- s
		}
	}()
	timer := time.NewTimer(beginTimeout)
	defer timer.Stop()
	select {
	case s := <-done:
		return s, nil
	case err := <-failed:
		return Session{}, err
	case <-timer.C:
		return Session{Name: x.session.Name, State: session.Connecting}, nil
	case <-x.ctx.Done():
		return Session{}, context.Cause(x.ctx)
	}
}

// moved is the response of connect, restart, disconnect and delete.
func (x *exchange) moved(s Session, text string) (int, any, error) {
	state := s.State
	if state != session.Connected && text != compat.TextDisconnected && text != compat.TextDeleted {
		state = session.Connecting
	}
	return http.StatusOK, compat.NormalizeActionBody(nil, x.ref(s), compat.Wire(state), text), nil
}

func (x *exchange) disconnect(compat.Object) (int, any, error) {
	return x.end(Logout, compat.TextDisconnected)
}

func (x *exchange) delete(compat.Object) (int, any, error) {
	return x.end(Delete, compat.TextDeleted)
}

// end logs a session out or deletes it. Some versions of an engine delete only what is logged out.
func (x *exchange) end(verb Verb, text string) (int, any, error) {
	_, err := x.call(verb)
	if f, ok := errors.AsType[*failure](err); ok && f.engineStatus == http.StatusBadRequest && verb == Delete {
		_, _ = x.call(Logout) // the next call tells
		_, err = x.call(verb)
	}
	if err != nil {
		return 0, nil, err
	}
	x.codes.Forget(x.session.Name)
	return x.moved(Session{Name: x.session.Name, State: session.Disconnected}, text)
}

// callOne makes a call about one session and remembers the code in its response.
func (x *exchange) callOne(verb Verb) (Session, error) {
	body, err := x.call(verb)
	if err != nil {
		return Session{}, err
	}
	s := Session{Name: x.session.Name}
	if read := x.dialect.Read(verb, body); len(read) > 0 {
		s = read[0]
		s.Name = x.session.Name
	}
	if s.Code == "" && s.CodeURL != "" {
		if s.Code, err = x.fetchPicture(s.CodeURL); err != nil {
			return Session{}, err
		}
	}
	if s.Code != "" {
		at := time.Now()
		if _, err := x.codes.Record(s.Name, s.Code, at, at); err != nil {
			return Session{}, failures[session.KindBadResponse].with("The engine's QR is not readable.")
		}
	}
	return s, nil
}

// ref names a session in both documented ways.
func (x *exchange) ref(s Session) session.Ref {
	id := s.ID
	if id == 0 {
		id = hashID(s.Name)
	}
	x.names.add(id, s.Name)
	return session.Ref{ID: id, Name: EncodeName(s.Name)}
}

// object is a session in the documented API.
func (x *exchange) object(s Session) compat.Object {
	ref := x.ref(s)
	now := time.Now()
	_, _, hasCode := x.codes.Code(s.Name, now)
	if hasCode && (s.State == session.Connecting || s.State == session.Disconnected && x.codes.isAhead(s.Name, now)) {
		s.State = session.AwaitingScan
	}
	o := compat.Object{
		"id": ref.ID, "sessionId": ref.Name, "sessionName": s.Name, "status": compat.Wire(s.State),
		"isConnected": s.State == session.Connected, "hasQR": s.State == session.AwaitingScan, "phoneNumber": nil,
	}
	if s.State == session.Unknown {
		delete(o, "status")
	}
	if s.Phone != "" {
		o["phoneNumber"] = s.Phone
	}
	if s.Reason != "" && s.State != session.Connected {
		o["lastDisconnect"] = compat.Object{"message": redact.Line(s.Reason)}
	}
	return o
}

// resolve finds the engine's name of the session that a path names by its name or by its integer.
func (x *exchange) resolve(id string) error {
	x.setSession(Session{Name: DecodeName(id)})
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return nil
	}
	if name, ok := x.names.find(n); ok {
		x.setSession(Session{Name: name})
		return nil
	}
	return x.findSession(func(s Session) bool { return x.ref(s).ID == n })
}

// findSession finds the session in the list. Where sessions have tokens, several can have one name: the one with the
// token that qrgate gave it comes first.
func (x *exchange) findSession(isWanted func(Session) bool) error {
	body, err := x.call(List)
	if err != nil {
		return err
	}
	var found *Session
	for _, s := range x.dialect.sessionsIn(body) {
		isOwn := s.Token != "" && s.Token == x.credential.Session
		if isWanted(s) && (found == nil || isOwn) {
			found = &s
		}
	}
	if found == nil {
		return failures[session.KindSessionNotFound].with("The engine has no such session.")
	}
	x.setSession(*found)
	return nil
}

// setSession makes s the session of the calls that follow.
func (x *exchange) setSession(s Session) {
	x.session = s
	if x.dialect.SessionToken != nil {
		x.credential.Session = cmp.Or(s.Token, x.dialect.SessionToken(x.credential, s.Name))
	}
}

// Cold is a Transport to the same engine that remembers nothing, as a process that just started.
func (t *Transport) Cold() *Transport { return NewTransport(t.dialect, t.engine, t.next) }
