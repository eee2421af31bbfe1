package proxy

import (
	"context"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"

	"qrgate/compat"
	"qrgate/compat/dialect"
	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// NativeFront serves the clients of another engine's own API: they keep their URLs, headers and bodies. Everything
// passes through but the few routes of the dialect's table. A request for a code waits until there is one, and the
// response is the engine's own, in the form in which the client asked for it. Only headers are added to it.
type NativeFront struct {
	dialect      *dialect.Dialect
	engine       *dialect.Transport
	codes        *dialect.Codes
	wait         time.Duration
	calls        singleflight.Group
	qrResponses  *lru.Cache[string, qrResponse]          // by the request
	pictures     *lru.Cache[string, qrResponse]          // by their path
	withoutQR    *lru.Cache[string, compat.Response]     // by the request: the engine's last response without a code
	onlySessions *lru.Cache[session.Tenant, onlySession] // of callers that the engine accepts
}

// NewNativeFront makes a NativeFront beside the engine that the acquisition calls. A request that states no preference
// waits for a code as long as wait.
func NewNativeFront(d *dialect.Dialect, engine *dialect.Transport, wait time.Duration) *NativeFront {
	return &NativeFront{
		dialect: d, engine: engine, codes: engine.Codes(), wait: wait,
		qrResponses: newCache[string, qrResponse](maxCachedResponses),
		pictures:    newCache[string, qrResponse](maxCachedResponses),

		withoutQR:    newCache[string, compat.Response](maxCachedResponses),
		onlySessions: newCache[session.Tenant, onlySession](maxCachedResponses),
	}
}

// Headers that qrgate adds to responses of another engine's API.
const (
	headerCause     = "QRGate-Cause"
	headerExpiresIn = "QRGate-Expires-In"
)

const (
	nativeTimeout = 60 * time.Second // the slowest engine responds to a login within 45 s
	textNoRoute   = "Not found. qrgate adds /_qrgate/sessions/{name}/qr, …/qr.png, …/qr/status and …/qr/link."
)

// nativeRequest is one request on a route that the dialect's table names.
type nativeRequest struct {
	sessionRequest
	front *NativeFront
	route *dialect.Route
	name  string // the session's, as the engine knows it
}

// serveNative serves one request of a client of another engine's API.
func (h *Handler) serveNative(w *responseWriter) {
	front := h.config.Native
	path := w.request.URL.EscapedPath()
	if rest, ok := strings.CutPrefix(path, dialect.NativePrefix); ok {
		h.serveOwnRoute(w, rest)
		return
	}
	if front.servePicture(w, path) {
		return
	}
	route, name := front.dialect.Native.Match(w.request.Method, path)
	if route == nil || route.Passes != nil && route.Passes(&w.request) {
		w.passThrough()
		return
	}
	if !w.bufferBody() {
		return
	}
	n := &nativeRequest{sessionRequest: h.nativeSession(w), front: front, route: route, name: name}
	if route.Name != nil {
		body, _ := compat.Parse(n.buffered)
		if n.name = route.Name(&w.request, body); n.name == "" && route.Means != dialect.MeansCreate {
			n.name = n.onlySession()
		}
	} else if own := front.sessionOf(w); own != "" {
		n.name = own
	}
	n.id = dialect.EncodeName(n.name)
	if n.name == "" || !session.ValidID(n.id) {
		n.writeThrough() // a name that qrgate cannot keep
		return
	}
	n.ref = session.Ref{Name: n.id}
	w.route, w.session = route.Path, n.id
	nativeHandlers[route.Means](n)
}

// onlySession is the session that a request without a name means: the caller's only one. Clients that ask within a few
// seconds share one call.
func (n *nativeRequest) onlySession() string {
	const ttl = 5 * time.Second
	tenant := n.caller.Tenant
	v, _, _ := n.front.calls.Do("only\x00"+string(tenant), func() (any, error) {
		if known, ok := n.front.onlySessions.Get(tenant); ok && time.Since(known.at) < ttl {
			return known, nil
		}
		found := onlySession{at: time.Now()}
		sessions, err := n.front.engine.Sessions(n.ctx(), n.front.dialect.Native.Credential(&n.request))
		if err == nil && len(sessions) == 1 { // the engine accepts the caller, so callers cannot fill the memory
			found.name = sessions[0].Name
			n.front.onlySessions.Add(tenant, found)
		}
		return found, nil
	})
	return v.(onlySession).name
}

// onlySession is the only session of a caller, at a time.
type onlySession struct {
	name string
	at   time.Time
}

// nativeHandlers serve the meanings of routes.
var nativeHandlers = map[dialect.Meaning]func(*nativeRequest){
	dialect.MeansCreate:    (*nativeRequest).create,
	dialect.MeansBegin:     (*nativeRequest).begin,
	dialect.MeansBeginQR:   (*nativeRequest).beginQR,
	dialect.MeansQR:        (*nativeRequest).readQR,
	dialect.MeansRestart:   (*nativeRequest).restart,
	dialect.MeansRestartQR: (*nativeRequest).restartQR,
	dialect.MeansEnd:       func(n *nativeRequest) { n.end(false) },
	dialect.MeansDelete:    func(n *nativeRequest) { n.end(true) },

	dialect.MeansDeleteByID: (*nativeRequest).deleteByID,
}

// nativeSession identifies the caller by the credential that the engine's API takes.
func (h *Handler) nativeSession(w *responseWriter) sessionRequest {
	credential := h.config.Native.dialect.Native.Credential(&w.request)
	caller := session.Caller{
		Key: secret.NewSecret(credential.Key), Bearer: secret.NewSecret(credential.Authorization), Traffic: w.traffic,
		RequestMeta: session.Request{ID: w.requestID, Trace: h.traceparent(w.request.Context())},
	}
	caller.Tenant = h.config.Sealer.Tenant(caller.Credential())
	return sessionRequest{responseWriter: w, acquirer: h.config.Acquirer, caller: caller}
}

// sessionOf is the name of the session whose own token the request presents, where sessions have tokens.
func (f *NativeFront) sessionOf(w *responseWriter) string {
	native := f.dialect.Native
	if native.Session == nil {
		return ""
	}
	return native.Session(native.Credential(&w.request))
}

// ownRoutes are the routes that qrgate adds, by method and what follows the session's name.
var ownRoutes = map[compat.Route]func(*sessionRequest){
	{Method: http.MethodGet, Path: "/qr"}:         (*sessionRequest).qr,
	{Method: http.MethodGet, Path: "/qr.png"}:     (*sessionRequest).qrPicture,
	{Method: http.MethodGet, Path: "/qr/status"}:  (*sessionRequest).qrStatus,
	{Method: http.MethodPost, Path: "/qr/link"}:   (*sessionRequest).issueLink,
	{Method: http.MethodDelete, Path: "/qr/link"}: (*sessionRequest).revokeLinks,
}

// serveOwnRoute serves the routes that qrgate adds.
func (h *Handler) serveOwnRoute(w *responseWriter, rest string) {
	s := h.nativeSession(w)
	name, verb, _ := strings.Cut(strings.TrimPrefix(rest, "sessions/"), "/")
	name, err := url.PathUnescape(name)
	if own := h.config.Native.sessionOf(w); own != "" {
		name = own
	}
	s.id = dialect.EncodeName(name)
	serve := ownRoutes[compat.Route{Method: w.request.Method, Path: "/" + verb}]
	if serve == nil || !strings.HasPrefix(rest, "sessions/") || err != nil || !session.ValidID(s.id) {
		w.reply(problem(http.StatusNotFound, compat.CodeNotFound, textNoRoute))
		return
	}
	if !w.bufferBody() {
		return
	}
	w.route, w.session = compat.SessionsPath+"/{id}/"+verb, s.id
	w.Header()["Cache-Control"], w.Header()["Vary"] = headerNoStore, headerVary
	serve(&s)
}

// create forwards a create. If its client asked for the code, the request waits, and the code goes where the engine
// itself would have put it.
func (n *nativeRequest) create() {
	body, _ := compat.Parse(n.buffered)
	wantsQR := n.route.WantsQR != nil && n.route.WantsQR(body)
	sentAt := time.Now()
	response, ok := n.send()
	if !ok {
		return
	}
	outcome := n.outcome(dialect.Create, response)
	if wantsQR && !outcome.IsError {
		n.front.codes.Begin(n.name, sentAt)
	}
	if outcome.IsError {
		n.write(response)
		return
	}
	n.front.onlySessions.Remove(n.caller.Tenant) // there is another session now
	report := n.report(outcome, response)
	n.acquirer.OnSessions(n.ctx(), n.caller, []session.SessionReport{report}, true)
	if wantsQR {
		n.onBegun(report, session.Connect)
		if report.Image.Empty() {
			n.splice(&response)
		}
	}
	n.write(response)
}

// splice waits for the code and puts it into the response to a create or restart.
func (n *nativeRequest) splice(begun *compat.Response) {
	native := n.front.dialect.Native
	var qr compat.Response
	hasCode, _ := n.waitQR()
	if hasCode {
		qr, hasCode = n.fetchQR(n.qrRequest())
	}
	switch {
	case hasCode && native.Splice != nil:
		begun.Body = native.Splice(begun.Body, qr.Body)
	case hasCode:
		begun.Body = qr.Body
	case native.WithoutCode != nil:
		native.WithoutCode(begun, n.name)
	default:
		return
	}
	begun.Header.Del("Etag") // of another body
}

// begin forwards a request that begins a pairing and shows no code.
func (n *nativeRequest) begin() {
	unlock, err := n.front.codes.Lock(n.ctx(), n.name)
	if err != nil {
		return // the client has left
	}
	defer unlock()
	isRunning := n.front.codes.MustNotBegin(n.name, time.Now())
	sentAt := time.Now()
	response, ok := n.send()
	if !ok {
		return
	}
	outcome := n.outcome(dialect.Connect, response)
	if !isRunning {
		n.recordBegin(outcome, sentAt)
	}
	if !outcome.IsError && response.Status/100 == 2 {
		n.onBegun(n.report(outcome, response), session.Connect)
	}
	n.write(response)
}

// recordBegin records what became of a request that begins a pairing. A caller that the engine refuses changes nothing:
// it could otherwise end the codes of others.
func (n *nativeRequest) recordBegin(o dialect.Outcome, sentAt time.Time) {
	switch {
	case o.IsRefused:
	case o.IsError:
		n.front.codes.Try(n.name, nil, time.Now())
		if e := o.BeginError(time.Now()); e != nil {
			n.acquirer.OnConnectRefused(context.WithoutCancel(n.ctx()), n.caller, n.ref, e)
		}
	default:
		n.front.codes.Begin(n.name, sentAt)
	}
}

// beginQR serves a request that begins a pairing, unless one is under way, and expects the code. The engine gets such a
// request once for all clients: each one might begin another pairing.
func (n *nativeRequest) beginQR() {
	last, isDone := n.beginOnce()
	if !isDone {
		n.waitAndShow(last)
	}
}

// beginOnce sends the client's request unless a code is good or a pairing was begun a moment ago. It responds if that
// settles the matter; otherwise it returns the engine's response, if there is one.
func (n *nativeRequest) beginOnce() (last *compat.Response, isDone bool) {
	unlock, err := n.front.codes.Lock(n.ctx(), n.name)
	if err != nil {
		return nil, true // the client has left
	}
	defer unlock()
	if n.front.codes.MustNotBegin(n.name, time.Now()) {
		return nil, false
	}
	sentAt := time.Now()
	response, ok := n.send()
	if !ok {
		return nil, true
	}
	outcome := n.outcome(dialect.Connect, response)
	n.recordBegin(outcome, sentAt)
	if !outcome.IsRefused && !outcome.HasCode() && outcome.Session.State != session.Connected {
		n.front.withoutQR.Add(n.cacheKey(&n.request), response)
	}
	if response.Status/100 != 2 || outcome.Session.State == session.Connected {
		n.write(response)
		return nil, true
	}
	if !outcome.IsError {
		report := n.report(outcome, response)
		n.onBegun(report, session.Connect)
		if !report.Image.Empty() {
			n.front.cache(n.front.qrResponses, n.cacheKey(&n.request), n.name, response)
			n.write(response)
			return nil, true
		}
	}
	return &response, false
}

// readQR serves a request that reads the code and changes nothing.
func (n *nativeRequest) readQR() { n.waitAndShow(nil) }

// waitAndShow waits for the code and responds with the engine's own response that has it. Without a code it responds
// with last, or with the engine's response now.
func (n *nativeRequest) waitAndShow(last *compat.Response) {
	isReady, isRefusedOrLinked := n.waitQR()
	if n.hasLeft() {
		return
	}
	if isReady {
		if response, ok := n.fetchQR(&n.request); ok {
			n.write(response)
			return
		}
	}
	if last == nil {
		response, ok := n.responseWithoutQR(isRefusedOrLinked)
		if !ok {
			return
		}
		last = &response
	}
	native, outcome := n.front.dialect.Native, n.outcome(dialect.QR, *last)
	if native.WithoutCode != nil && outcome.HasCode() && n.report(outcome, *last).Image.Empty() {
		last.Header = last.Header.Clone()
		last.Header.Del("Etag") // of another body
		native.WithoutCode(last, n.name)
	}
	n.write(*last)
}

// lastResponseTTL is above the default wait: a client that waited for another's request gets what that one got.
const lastResponseTTL = 30 * time.Second

// responseWithoutQR is the engine's response to a client whose wait has ended without a code. Where another request
// could begin another pairing, it is the engine's last response without a code, which any accepted client may read;
// without one the client's own request begins a pairing, unless another client's has.
func (n *nativeRequest) responseWithoutQR(isRefusedOrLinked bool) (compat.Response, bool) {
	if n.route.Means != dialect.MeansBeginQR || isRefusedOrLinked {
		return n.send()
	}
	response, ok := n.front.withoutQR.Get(n.cacheKey(&n.request))
	if ok && time.Since(response.At) <= lastResponseTTL {
		return response, true
	}
	switch last, isDone := n.beginOnce(); {
	case isDone:
		return compat.Response{}, false
	case last != nil:
		return *last, true
	case n.front.codes.Present(n.name, time.Now()) != "":
		if response, ok := n.fetchQR(&n.request); ok {
			return response, true
		}
	}
	return n.send()
}

// restart forwards a restart that shows no code.
func (n *nativeRequest) restart() {
	if response, ok := n.sendRestart(); ok {
		n.write(response)
	}
}

// restartQR forwards a restart and waits for the first code after it.
func (n *nativeRequest) restartQR() {
	response, ok := n.sendRestart()
	if !ok {
		return
	}
	if response.Status/100 == 2 && !n.outcome(dialect.Restart, response).IsError {
		n.splice(&response)
	}
	n.write(response)
}

func (n *nativeRequest) sendRestart() (compat.Response, bool) {
	unlock, err := n.front.codes.Lock(n.ctx(), n.name)
	if err != nil {
		return compat.Response{}, false
	}
	defer unlock()
	sentAt := time.Now()
	response, ok := n.send()
	if !ok {
		return response, false
	}
	outcome := n.outcome(dialect.Restart, response)
	n.recordBegin(outcome, sentAt)
	if response.Status/100 == 2 && !outcome.IsError {
		n.forget(false)
		n.onBegun(n.report(outcome, response), session.Restart)
	}
	return response, ok
}

// end forwards a logout or a deletion.
func (n *nativeRequest) end(isDeleted bool) {
	response, ok := n.send()
	if !ok {
		return
	}
	if response.Status/100 == 2 {
		n.front.onlySessions.Remove(n.caller.Tenant)
		n.front.codes.Forget(n.name)
		n.forget(isDeleted)
	}
	n.write(response)
}

// deleteByID forwards a deletion of a session that qrgate cannot name: every code is confirmed before it is shown
// again.
func (n *nativeRequest) deleteByID() {
	response, ok := n.send()
	if !ok {
		return
	}
	if response.Status/100 == 2 {
		n.acquirer.OnEngineUnreachable()
	}
	n.write(response)
}

// writeThrough forwards the request and responds with the engine's response.
func (n *nativeRequest) writeThrough() {
	if response, ok := n.send(); ok {
		n.write(response)
	}
}

// onBegun records that a pairing was begun.
func (n *nativeRequest) onBegun(report session.SessionReport, mode session.ConnectMode) {
	_ = n.acquirer.OnConnect(context.WithoutCancel(n.ctx()), n.caller, report, mode)
}

func (n *nativeRequest) outcome(verb dialect.Verb, r compat.Response) dialect.Outcome {
	return n.front.dialect.Outcome(verb, r)
}

// report is what a response to the client reports of the session. Its image is empty if the code in it is an old one.
func (n *nativeRequest) report(o dialect.Outcome, r compat.Response) session.SessionReport {
	report := session.SessionReport{Ref: n.ref, State: o.Session.State, At: r.At}
	picture := compat.Response{}
	if o.Session.CodeURL != "" {
		picture, o.Session.Code = n.fetchPicture(o.Session.CodeURL)
	}
	if o.Session.Code != "" {
		if isGood, err := n.front.codes.Record(n.name, o.Session.Code, r.At, r.At); err == nil && isGood {
			expiresAt, image, _ := n.front.codes.Code(n.name, r.At)
			report.Image = image
			report.Expiry = session.Expiry{
				Known: true, In: expiresAt.Sub(r.At), Limit: n.front.dialect.Traits.CodeTTL(),
			}
			if picture.Status != 0 {
				n.front.cache(n.front.pictures, pathOf(o.Session.CodeURL), n.name, picture)
			}
		}
	}
	return report
}

// waitQR waits for a code and reports whether this caller may read it. isRefusedOrLinked: no code will come, and a
// request to the engine begins no pairing, because the engine refuses the caller or the session is linked.
func (n *nativeRequest) waitQR() (isReady, isRefusedOrLinked bool) {
	preferred, ok := parseWait(&n.request)
	if !ok || !preferred.Set {
		preferred = session.WaitPreference{Set: true, For: n.front.wait}
	}
	v, err := n.acquirer.WaitQR(n.ctx(), n.caller, n.id, preferred)
	if err != nil || v.Session.State == session.Connected || !v.Ready {
		if !v.Diagnosis.Healthy() {
			n.Header().Set(headerCause, string(v.Diagnosis.Code))
		}
		kind := session.KindOf(err)
		isRefused := !v.Authorized || kind == session.KindKeyRefused || kind == session.KindSessionNotFound
		return false, isRefused || v.Session.State == session.Connected
	}
	q := v.Session.QR
	isGood, err := n.front.codes.Record(n.name, q.Image.Reveal(), q.SeenAt, time.Now())
	return err == nil && isGood, false
}

// send forwards the client's own request and reads the response. If there is none, it responds and reports false.
func (n *nativeRequest) send() (compat.Response, bool) {
	n.setBody(n.buffered)
	response, err := n.capture(&n.request)
	if err != nil {
		if !n.hasLeft() {
			n.reply(engineProblem(err))
		}
		return response, false
	}
	return response, true
}

// capture sends a request to the engine as the client wrote it, but for ?wait=N, and reads the response.
func (n *nativeRequest) capture(in *http.Request) (compat.Response, error) {
	parent := in.Context()
	if n.front.dialect.Traits.QRBegins {
		parent = context.WithoutCancel(parent) // the response may be all that ever shows the code
	}
	ctx, cancel := context.WithTimeout(parent, nativeTimeout)
	defer cancel()
	out := in.Clone(ctx)
	removeHopByHop(out.Header)
	n.rewrite(&httputil.ProxyRequest{In: in, Out: out})
	out.URL.RawQuery = withoutWait(in.URL.RawQuery)
	if n.front.dialect.Native.KeepsHost {
		out.Host = in.Host
	}
	for _, name := range conditionalHeaders {
		out.Header.Del(name)
	}
	response, err := n.handler.read(out)
	if err != nil {
		return response, compat.TransportError(ctx, session.OpQR, err)
	}
	return response, nil
}

// withoutWait is a query without its wait parameter, which is qrgate's own; every other byte stays.
func withoutWait(query string) string {
	if !strings.Contains(query, "wait=") {
		return query
	}
	var kept []string
	for part := range strings.SplitSeq(query, "&") {
		if !strings.HasPrefix(part, "wait=") {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, "&")
}

// write responds with the engine's response as it is. A header states how long the code in it lasts.
func (n *nativeRequest) write(r compat.Response) {
	expiresIn := ""
	if expiresAt, _, ok := n.front.codes.Code(n.name, time.Now()); ok && r.Status/100 == 2 {
		expiresIn = strconv.Itoa(secondsUntil(expiresAt, time.Now()))
	}
	writeResponse(n.responseWriter, r, expiresIn)
}

func writeResponse(w *responseWriter, r compat.Response, expiresIn string) {
	h := w.Header()
	for name, values := range r.Header {
		if !slices.Contains(hopByHopHeaders, name) {
			h[name] = values
		}
	}
	if expiresIn != "" {
		h["Cache-Control"] = headerNoStore
		h.Set(headerExpiresIn, expiresIn)
	}
	h["Content-Length"] = []string{strconv.Itoa(len(r.Body))}
	w.fromEngine = true
	w.closeConn = w.boundDrain() || w.closeConn
	w.WriteHeader(r.Status)
	_, _ = w.Write(r.Body)
}
