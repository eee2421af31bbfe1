package proxy

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"qrgate/compat"
	"qrgate/compat/dialect"
	"qrgate/internal/diagnosis"
	"qrgate/internal/pairpage"
	"qrgate/internal/session"
)

// Pairing configures the pages on which people link a phone by a link that needs no key.
type Pairing struct {
	Links *pairpage.Links
	// PublicURL begins every link, as https://qr.example. Default: what the request for the link names.
	PublicURL string
	// FrameAncestors are the origins whose pages may frame the page. Default: none.
	FrameAncestors []string
	// PairsByPhone: the engine serves POST …/pairing-code. Otherwise qrgate asks it.
	PairsByPhone bool
	// Documented serves the calls of the page when clients speak the engine's own API. Default: the Handler itself.
	Documented *Handler
}

// Codes of problems with links.
const (
	codeNoLink   = "LINK_NOT_FOUND"
	codeLinkUsed = "LINK_USED"
)

// PairLink is the body of a new link, under data.
type PairLink struct {
	ID        int64  `json:"id,omitempty"`
	SessionID string `json:"sessionId"`
	URL       string `json:"url"`
	EventsURL string `json:"eventsUrl"` // for an EventSource
	Token     string `json:"token"`
	ExpiresAt string `json:"expiresAt"`
	ExpiresIn int    `json:"expiresIn"` // whole seconds
}

func (h *Handler) pairPrefix() string {
	if h.config.Native != nil {
		return dialect.NativePrefix + "pair/"
	}
	return "/pair/"
}

// issueLink handles POST …/qr/link. The engine decides whether the caller may see the session.
func (s *sessionRequest) issueLink() {
	links := s.handler.config.Pairing.Links
	if links == nil {
		s.passThrough()
		return
	}
	link, base, ok := s.parseLink()
	if !ok {
		return
	}
	v, err := s.acquirer.Get(s.ctx(), s.caller, s.id)
	s.ref = v.Session.Ref
	switch {
	case s.hasLeft():
		return
	case err != nil:
		s.reply(engineProblem(err))
		return
	case !v.Authorized:
		s.reply(notAuthorized(v))
		return
	case v.Session.State == session.Connected:
		s.reply(problem(http.StatusConflict, compat.CodeSessionAlreadyConnected, textPaired))
		return
	}
	link.Ref, link.ByPhone = s.ref, s.pairsByPhone()
	token, err := links.Issue(s.ctx(), s.caller, link)
	if err != nil {
		s.reply(problem(http.StatusServiceUnavailable, compat.CodeInternalError, textNoStore))
		return
	}
	page := base + s.handler.pairPrefix() + token
	s.writeJSON(http.StatusCreated, compat.Envelope{Success: true, Data: PairLink{
		ID: s.ref.ID, SessionID: cmp.Or(s.ref.Name, s.id), URL: page, EventsURL: page + "/events", Token: token,
		ExpiresAt: compat.Millis(link.ExpiresAt), ExpiresIn: int(link.ExpiresAt.Sub(link.IssuedAt) / time.Second),
	}}, nil)
}

// parseLink reads what a caller wants of a link, and where its page will be. It responds 400 if it cannot.
func (s *sessionRequest) parseLink() (link pairpage.Link, base string, ok bool) {
	wanted, ok := s.jsonBody()
	if !ok {
		return link, "", false
	}
	link.RedirectURL, link.Locale = compat.StringOf(wanted["redirectUrl"]), compat.StringOf(wanted["locale"])
	ttl := pairpage.DefaultTTL
	if _, isSet := wanted["expiresIn"]; isSet {
		ttl = time.Duration(compat.Int(wanted["expiresIn"])) * time.Second
	}
	base, isHost := s.publicURL()
	text := ""
	switch {
	case ttl <= 0 || ttl > pairpage.MaxTTL:
		text = textBadExpiry
	case !isText(wanted["redirectUrl"]), link.RedirectURL != "" && !isRedirectable(link.RedirectURL):
		text = textBadRedirect
	case !isText(wanted["locale"]), link.Locale != "" && !pairpage.IsLocale(link.Locale):
		text = textBadLocale
	case !isHost:
		text = textBadHost
	}
	if text != "" {
		s.reply(validationProblem(text))
		return link, "", false
	}
	link.IssuedAt = time.Now()
	link.ExpiresAt = link.IssuedAt.Add(ttl)
	return link, base, true
}

// isText reports whether a member is a string, null or absent.
func isText(v any) bool {
	_, isString := v.(string)
	return v == nil || isString
}

// isRedirectable reports whether the page may lead to a URL: by https, or by http to this host for development.
func isRedirectable(text string) bool {
	const maxSize = 2000
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || len(text) > maxSize {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}

// publicURL is what clients put before the path of the page: what is configured, else what the client itself called. A
// proxy's X-Forwarded-* count only if the proxy is trusted. ok is false for a Host header that names no host.
func (s *sessionRequest) publicURL() (base string, ok bool) {
	if base := s.handler.config.Pairing.PublicURL; base != "" {
		return strings.TrimSuffix(base, "/"), true
	}
	r, scheme := &s.request, "http"
	host := r.Host
	if r.TLS != nil {
		scheme = "https"
	}
	if s.handler.isTrusted(r.RemoteAddr) {
		host = cmp.Or(r.Header.Get("X-Forwarded-Host"), host)
		if r.Header.Get("X-Forwarded-Proto") == "https" {
			scheme = "https"
		}
	}
	u, err := url.Parse(scheme + "://" + host)
	return scheme + "://" + host, err == nil && u.Host == host && u.Hostname() != "" && u.User == nil
}

// revokeLinks handles DELETE …/qr/link: all links of the session that the caller issued. It works without the engine.
func (s *sessionRequest) revokeLinks() {
	links := s.handler.config.Pairing.Links
	if links == nil {
		s.passThrough()
		return
	}
	v, err := s.acquirer.Get(s.ctx(), s.caller, s.id)
	s.ref = v.Session.Ref
	if kind := session.KindOf(err); kind == session.KindKeyRefused || kind == session.KindSessionNotFound {
		s.reply(engineProblem(err))
		return
	}
	if err := links.Revoke(context.WithoutCancel(s.ctx()), s.caller, s.ref); err != nil {
		s.reply(problem(http.StatusServiceUnavailable, compat.CodeInternalError, textNoStore))
		return
	}
	s.writeJSON(http.StatusOK, s.actionBody(nil, s.ref, compat.Wire(v.Session.State), textRevoked), nil)
}

// pairRequest is one request by the holder of a link.
type pairRequest struct {
	sessionRequest
	link *pairpage.Link
}

// pairHandlers serve the routes of a link.
var pairHandlers = map[compat.Route]func(*pairRequest){
	{Method: http.MethodGet, Path: compat.PairPath}:               (*pairRequest).page,
	{Method: http.MethodGet, Path: compat.PairPath + "/events"}:   (*pairRequest).events,
	{Method: http.MethodPost, Path: compat.PairPath + "/connect"}: (*pairRequest).connectSession,
	{Method: http.MethodPost, Path: compat.PairPath + "/code"}:    (*pairRequest).pairingCode,
}

// servePairing serves everything below the prefix of links. Nothing of it reaches the engine: a path has a token in it.
func (h *Handler) servePairing(w *responseWriter, rest string) {
	token, _, hasVerb := strings.Cut(rest, "/")
	method := w.request.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	route := compat.PairPath + strings.TrimPrefix(rest, token)
	serve := pairHandlers[compat.Route{Method: method, Path: route}]
	allow := "" // each of these paths has one method
	for _, r := range compat.PairRoutes() {
		if r.Path == route {
			w.route, allow = route, r.Method
		}
	}
	header := w.Header()
	header["Cache-Control"], header["X-Content-Type-Options"] = headerNoStore, headerNoSniff
	header["Referrer-Policy"] = headerNoReferrer
	header.Set("Vary", "Accept, Accept-Language")
	switch {
	case w.replyPreflight():
		return
	case allow == "":
		w.reply(problem(http.StatusNotFound, compat.CodeNotFound, textNoPairRoute))
		return
	case serve == nil:
		header.Set("Allow", strings.Replace(allow, "GET", "GET, HEAD", 1))
		w.reply(problem(http.StatusMethodNotAllowed, compat.CodeMethodNotAllowed, textMethod))
		return
	case !w.bufferBody():
		return
	}
	if d := h.config.Pairing.Documented; d != nil {
		w.handler = d
	}
	p := &pairRequest{sessionRequest: sessionRequest{responseWriter: w, acquirer: h.config.Acquirer}}
	switch isPage := !hasVerb; {
	case !p.findLink(h.config.Pairing.Links, token):
		p.refuse(isPage)
	case p.link.IsUsed && !isPage:
		p.reply(problem(http.StatusGone, codeLinkUsed, textLinkUsed))
	default:
		serve(p)
	}
	w.session = p.ref.Name
}

// HasLink reports whether a request is made with a link that this Handler issued, and that is valid: to a pairing page,
// or to the picture of a code.
func (h *Handler) HasLink(r *http.Request) bool {
	if h.config.Native != nil && h.config.Native.hasPicture(r.URL.Path) {
		return true
	}
	rest, ok := strings.CutPrefix(r.URL.Path, h.pairPrefix())
	token, _, _ := strings.Cut(rest, "/")
	if !ok || !pairpage.IsToken(token) || h.config.Pairing.Links == nil {
		return false
	}
	_, err := h.config.Pairing.Links.Find(r.Context(), token)
	return err == nil
}

// findLink finds the link of a token, and the caller who issued it.
func (p *pairRequest) findLink(links *pairpage.Links, token string) bool {
	if !pairpage.IsToken(token) {
		return false
	}
	link, err := links.Find(p.ctx(), token)
	if err != nil {
		return false
	}
	p.link, p.ref, p.id = link, link.Ref, link.Ref.URLSegment()
	p.caller = link.Caller()
	p.caller.Tenant = p.handler.config.Sealer.Tenant(p.caller.Credential())
	p.caller.Traffic = p.handler.config.TrafficClass(p.caller.Key)
	p.caller.RequestMeta = session.Request{ID: p.requestID, Trace: p.handler.traceparent(p.ctx())}
	p.traffic = p.caller.Traffic
	return true
}

// refuse responds that the link is not valid.
func (p *pairRequest) refuse(isPage bool) {
	p.code = codeNoLink
	if isPage {
		p.writePage(http.StatusNotFound, pairpage.View{Status: pairpage.Status{Phase: pairpage.Ended}})
		return
	}
	p.reply(problem(http.StatusNotFound, codeNoLink, textNoLink))
}

// isOver ends the link if the session was linked since its issue. It reports true, and has responded, if the session is
// no longer linked: the phone has removed it.
func (p *pairRequest) isOver(v *session.Snapshot) bool {
	isLinked := v.Authorized && v.Session.State == session.Connected
	if !isLinked && !v.Session.PairedAt.After(p.link.IssuedAt) {
		return false
	}
	p.use()
	if !isLinked {
		p.reply(problem(http.StatusGone, codeLinkUsed, textLinkUsed))
	}
	return !isLinked
}

// use ends the link.
func (p *pairRequest) use() {
	if !p.link.IsUsed {
		_ = p.links().Use(context.WithoutCancel(p.ctx()), p.link) // else another request with the link does it
	}
	p.link.IsUsed = true
}

func (p *pairRequest) links() *pairpage.Links { return p.handler.config.Pairing.Links }

// page handles GET /pair/{token}. It never waits: what is not known at once comes by the stream.
func (p *pairRequest) page() {
	view := pairpage.View{
		SessionID: cmp.Or(p.ref.Name, p.id), RedirectURL: p.link.RedirectURL, IsUsed: p.link.IsUsed,
		Status: pairpage.Status{Phase: pairpage.Linked},
	}
	if !p.link.IsUsed {
		v := p.acquirer.Cached(p.caller, []session.Ref{p.ref})[0]
		if v.Authorized {
			if fresh, err := p.acquirer.Get(p.ctx(), p.caller, p.id); err == nil {
				v = fresh
			}
		}
		view.Status = p.status(v, time.Now())
		if view.Status.Phase == pairpage.Linked {
			p.use()
		}
		if view.Status.Phase == pairpage.Idle && !v.Authorized {
			view.Status.Phase = pairpage.Preparing // the stream reports what follows
		}
	}
	p.writePage(http.StatusOK, view)
}

func (p *pairRequest) writePage(status int, view pairpage.View) {
	locale := ""
	if p.link != nil {
		locale = p.link.Locale
	}
	pairing := &p.handler.config.Pairing
	view.Language = pairpage.LanguageOf(locale, p.request.Header.Get("Accept-Language"))
	view.FrameAncestors, view.PairsByPhone = pairing.FrameAncestors, p.link != nil && p.link.ByPhone
	if err := pairpage.Write(p, status, view); err != nil && p.responseWriter.status == 0 {
		p.reply(problem(http.StatusServiceUnavailable, compat.CodeInternalError, textInternal))
	}
}

// events handles GET /pair/{token}/events: what the page shows, as a stream of changes or, for a client that does not
// accept one, once.
func (p *pairRequest) events() {
	v, err := p.acquirer.Get(p.ctx(), p.caller, p.id)
	if err != nil && !p.hasLeft() {
		p.replyError(err)
		return
	}
	if p.hasLeft() || p.isOver(v) {
		return
	}
	if !strings.Contains(p.request.Header.Get("Accept"), "text/event-stream") || p.request.Method == http.MethodHead {
		p.writeJSON(http.StatusOK, compat.Envelope{Success: true, Data: p.status(v, time.Now())}, nil)
		return
	}
	f, err := p.acquirer.Follow(p.ctx(), p.caller, p.id)
	if err != nil {
		p.replyError(err)
		return
	}
	defer f.Close()
	p.beginStream()
	ctx, cancel := p.untilRevoked()
	defer cancel()
	p.follow(ctx, f, v, func(v *session.Snapshot) string {
		if v.Session.State == session.Connected {
			p.use()
		}
		return statusEvent(v.At, p.status(v, time.Now()))
	})
	if ctx.Err() != nil && !p.hasLeft() {
		p.send(statusEvent(time.Now(), pairpage.Status{Phase: pairpage.Ended}))
	}
}

// replyError is the response to an error of the Acquirer, without the engine's own words.
func (p *pairRequest) replyError(err error) {
	r := engineProblem(err)
	if _, ok := errors.AsType[*session.EngineError](err); ok {
		r.text, r.reason = textNoSessionOfLink, ""
	}
	p.reply(r)
}

// untilRevoked returns a context that ends with the link.
func (p *pairRequest) untilRevoked() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithDeadline(p.ctx(), p.link.ExpiresAt)
	changed, stop := p.links().Watch(p.link)
	go func() {
		defer stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-changed:
			}
			if _, err := p.links().Find(ctx, p.link.Token()); errors.Is(err, pairpage.ErrNoLink) {
				cancel()
			}
		}
	}()
	return ctx, cancel
}

// status is what the page shows of a snapshot.
func (p *pairRequest) status(v *session.Snapshot, now time.Time) pairpage.Status {
	s := &v.Session
	status := pairpage.Status{Phase: phaseOf(v, now), Sequence: s.Sequence}
	status.CanRetry = canRetry(v, status.Phase)
	switch status.Phase {
	case pairpage.Scan:
		status.QRCode = s.QR.Image.Reveal()
		status.ExpiresAt = new(compat.Millis(s.QR.ExpiresAt))
		status.ExpiresIn, status.ExpiresInMs = secondsUntil(s.QR.ExpiresAt, now), s.QR.TTL(now).Milliseconds()
		status.LifeMs = s.QR.ExpiresAt.Sub(s.QR.SeenAt).Milliseconds()
	case pairpage.Problem:
		locale := pairpage.LanguageOf(p.link.Locale, p.request.Header.Get("Accept-Language"))
		status.Cause = pairpage.NewCause(v.Diagnosis, locale)
	case pairpage.Preparing:
		if v.QueuePosition > 0 {
			status.Queue = &pairpage.Queue{Place: v.QueuePosition}
		}
	}
	return status
}

// phaseOf decides what the page shows. A problem is what makes a request for the QR fail, or what ended the last
// acquisition.
func phaseOf(v *session.Snapshot, now time.Time) pairpage.Phase {
	s, code := &v.Session, v.Diagnosis.Code
	switch {
	case !v.Authorized && isEngineBroken(v, now):
		return pairpage.Problem
	case !v.Authorized:
		return pairpage.Preparing
	case s.State == session.Connected:
		return pairpage.Linked
	case s.QRLive(now):
		return pairpage.Scan
	case v.Diagnosis.NeedsPerson(), isEngineBroken(v, now):
		return pairpage.Problem
	case s.WasScanned(now):
		return pairpage.Scanned
	case code == diagnosis.QRExpired: // even if another client requests the QR, which connects nothing
		return pairpage.Expired
	case isAcquiring(s) && s.ConnectedAt.Before(s.AcquiringSince) && !s.History.DisconnectedSince.IsZero():
		return pairpage.Idle // a client requests the QR of a session that is not connected
	case isAcquiring(s):
		return pairpage.Preparing
	case s.Sequence > 0 && v.Diagnosis.Healthy():
		return pairpage.Expired
	case !v.Diagnosis.Healthy() && code != diagnosis.AlreadyPaired:
		return pairpage.Problem
	}
	return pairpage.Idle
}

// isAcquiring reports whether a code is being obtained.
func isAcquiring(s *session.Session) bool { return s.State.Acquiring() && !s.AcquiringSince.IsZero() }

// canRetry reports whether a connect may lead to a code where none is shown.
func canRetry(v *session.Snapshot, phase pairpage.Phase) bool {
	switch phase {
	case pairpage.Idle, pairpage.Expired:
		return true
	case pairpage.Problem:
		return v.Authorized && !isAcquiring(&v.Session)
	}
	return false
}

// engineRequest is a request in the name of the caller who issued the link, without anything that the browser sent but
// its address.
func (p *pairRequest) engineRequest(body []byte) *http.Request {
	r := p.request.Clone(p.ctx())
	r.Method, r.URL = http.MethodPost, &url.URL{Path: compat.SessionsPath}
	r.Header = http.Header{"Content-Type": {compat.ContentType}}
	for _, name := range []string{"X-Forwarded-For", "Accept-Language"} {
		if values := p.request.Header[name]; values != nil {
			r.Header[name] = values
		}
	}
	for name, value := range map[string]string{"X-Api-Key": p.link.Key, "Authorization": p.link.Bearer} {
		if value != "" {
			r.Header[name] = []string{value}
		}
	}
	inner := responseWriter{request: *r}
	inner.setBody(body)
	return &inner.request
}

// connectSession handles POST /pair/{token}/connect: what a client's own connect does, unless a code is being obtained
// or shown.
func (p *pairRequest) connectSession() {
	v, err := p.acquirer.Get(p.ctx(), p.caller, p.id)
	switch {
	case p.hasLeft() || err == nil && p.isOver(v):
		return
	case err != nil:
		p.replyError(err)
		return
	case !canRetry(v, phaseOf(v, time.Now())):
		p.WriteHeader(http.StatusNoContent)
		return
	}
	inner := &responseWriter{
		ResponseWriter: discard{}, handler: p.handler, startedAt: p.startedAt, requestID: p.requestID, traffic: p.traffic,
		request: *p.engineRequest(nil),
	}
	inner.conn = http.NewResponseController(inner.ResponseWriter)
	s := p.sessionRequest
	s.responseWriter = inner
	s.connect()
	if inner.status >= http.StatusBadRequest { // the stream reports the cause
		p.reply(problem(http.StatusServiceUnavailable, cmp.Or(inner.code, compat.CodeEngineUnreachable), textNoConnect))
		return
	}
	p.WriteHeader(http.StatusNoContent)
}

// discard is the writer of a response that is not sent: it may contain more of the engine than a customer may see.
type discard struct{}

// Header implements [http.ResponseWriter].
func (discard) Header() http.Header { return http.Header{} }

// Write implements [http.ResponseWriter].
func (discard) Write(p []byte) (int, error) { return len(p), nil }

// WriteHeader implements [http.ResponseWriter].
func (discard) WriteHeader(int) {}
