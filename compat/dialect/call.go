package dialect

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"qrgate/compat"
	"qrgate/internal/redact"
	"qrgate/internal/session"
)

// Error implements error.
func (f *failure) Error() string { return f.code + ": " + f.text }

// with is the failure with a text for the client.
func (f failure) with(text string) *failure {
	f.text = text
	return &f
}

// describe sets the header that keeps the engine's own status.
func (f *failure) describe(h http.Header) {
	if f.engineStatus != 0 {
		h.Set(compat.EngineStatusHeader, strconv.Itoa(f.engineStatus))
	}
}

// foreignResponse is a response that is not the engine's own: of a proxy in front of it. It is handed on as it is.
type foreignResponse struct{ http.Response }

// Error implements error.
func (f *foreignResponse) Error() string { return "the response is not JSON" }

// call sends the request of a verb and returns the decoded body of a success. The error is a *failure, a
// *foreignResponse or an error of the connection. What the request needs of the session and is not known is read from
// the list: its id, or its token if the engine refuses the one that qrgate would have given it.
func (x *exchange) call(verb Verb) (any, error) {
	c, ok := x.dialect.Calls[verb]
	if !ok {
		return nil, x.notSupported()
	}
	isThis := func(s Session) bool { return s.Name == x.session.Name }
	if strings.Contains(c.Path, "{id}") && x.session.EngineID == "" {
		if err := x.findSession(isThis); err != nil {
			return nil, err
		}
	}
	body, err := x.callOnce(c, verb)
	foreign, isForeign := errors.AsType[*foreignResponse](err)
	if isForeign && foreign.StatusCode == http.StatusNotFound && c.OldPath != "" {
		c.Path = c.OldPath
		body, err = x.callOnce(c, verb)
	}
	f, ok := errors.AsType[*failure](err)
	isUnknown := ok && f.code == compat.CodeSessionNotFound
	if isUnknown && x.dialect.SessionToken != nil && x.session.Token == "" && verb != List && !x.isOwnToken() {
		if err := x.findSession(isThis); err != nil {
			return nil, err
		}
		return x.callOnce(c, verb)
	}
	return body, err
}

// isOwnToken reports whether the caller presents the session's own token, and so no key that reads the list.
func (x *exchange) isOwnToken() bool { return x.credential.Session == x.credential.Token() }

func (x *exchange) callOnce(c Call, verb Verb) (any, error) {
	ctx := x.ctx
	if c.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Timeout)
		defer cancel()
	}
	r, err := x.newRequest(ctx, c, verb)
	if err != nil {
		return nil, err
	}
	res, raw, err := x.send(r)
	if err != nil {
		return nil, err
	}
	body, isJSON := decode(verb, raw)
	o, _ := body.(compat.Object)
	if !isJSON && x.dialect.isForeign(verb, res.StatusCode, raw) || compat.IsCloudflare(o) {
		res.Body = io.NopCloser(bytes.NewReader(raw))
		return nil, &foreignResponse{*res}
	}
	if f := x.dialect.failureOf(verb, res.StatusCode, body); f != nil {
		return nil, f
	}
	return body, nil
}

// decode returns the JSON of a body, and otherwise its text. Some versions put the response about one session into a
// list.
func decode(verb Verb, raw []byte) (body any, isJSON bool) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&body) != nil || d.More() { // "404 page not found" begins with a number
		return string(raw), false
	}
	if list, ok := body.([]any); ok && len(list) == 1 && verb != List {
		return list[0], true
	}
	return body, true
}

func (x *exchange) send(r *http.Request) (*http.Response, []byte, error) {
	res, err := x.next.RoundTrip(r)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	return res, raw, err
}

func (x *exchange) newRequest(ctx context.Context, c Call, verb Verb) (*http.Request, error) {
	fill := func(template string, escape func(string) string) string {
		return strings.NewReplacer("{name}", escape(x.session.Name), "{id}", escape(x.session.EngineID),
			"{token}", escape(x.credential.Session), "{phone}", escape(x.phone)).Replace(template)
	}
	target := *x.engine
	base := strings.TrimSuffix(target.EscapedPath(), "/")
	raw := base + fill(c.Path, url.PathEscape)
	path, err := url.PathUnescape(raw)
	if err != nil {
		return nil, err
	}
	target.Path, target.RawPath, target.RawQuery = path, raw, fill(c.Query, url.QueryEscape)
	var body io.Reader
	if c.Body != "" {
		body = strings.NewReader(fill(c.Body, jsonEscape))
	}
	r, err := http.NewRequestWithContext(ctx, c.Method, target.String(), body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json")
	if c.Accept != "" {
		r.Header.Set("Accept", c.Accept)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("User-Agent", "qrgate")
	r.Header.Set("Cache-Control", "no-cache") // a cache in front of the engine must not return an old code
	x.dialect.Authorize(r, x.credential, verb)
	return r, nil
}

// jsonEscape escapes a text for a place inside a JSON string.
func jsonEscape(text string) string {
	b, _ := json.Marshal(text) // a string cannot fail
	return string(b[1 : len(b)-1])
}

// fetchPicture reads the picture of a code from where the engine serves it, as a data URL. Only the path counts: the
// engine may know itself by another address.
func (x *exchange) fetchPicture(location string) (string, error) {
	u, err := url.Parse(location)
	if err != nil {
		return "", failures[session.KindBadResponse].with("The engine's link to the QR is not a URL.")
	}
	path := strings.TrimPrefix(u.EscapedPath(), strings.TrimSuffix(x.engine.EscapedPath(), "/"))
	r, err := x.newRequest(x.ctx, Call{Method: http.MethodGet, Path: path, Accept: "image/png"}, QR)
	if err != nil {
		return "", err
	}
	res, raw, err := x.send(r)
	switch {
	case err != nil:
		return "", err
	case res.StatusCode != http.StatusOK:
		return "", failures[session.KindBadResponse].with("The engine's link to the QR leads to no picture.")
	}
	return base64.StdEncoding.EncodeToString(raw), nil
}

// rule is the first rule about an error. Words are in lower case.
func (d *Dialect) rule(verb Verb, status int, words string) *ErrorRule {
	for i, r := range d.Errors {
		isStatus := r.Status == status || r.Status == 0 && status >= 400
		if isStatus && (r.Verb == "" || r.Verb == verb) && strings.Contains(words, r.Contains) {
			return &d.Errors[i]
		}
	}
	return nil
}

// isForeign reports whether a body that is no JSON is not the engine's own: it has text that no rule knows, or nothing,
// as servers in front of an engine respond that is down.
func (d *Dialect) isForeign(verb Verb, status int, raw []byte) bool {
	isEmpty := len(bytes.TrimSpace(raw)) == 0
	return (!isEmpty || status >= 500) && d.rule(verb, status, strings.ToLower(string(raw))) == nil
}

// failureOf is what a response means; nil for a success.
func (d *Dialect) failureOf(verb Verb, status int, body any) *failure {
	text := strings.Join(wordsOf(body, 0), ": ")
	words := strings.ToLower(text)
	kind, code := cmp.Or(compat.KindInFront(status, words), kindOf(verb, status)), ""
	o, _ := body.(compat.Object)
	switch r := d.rule(verb, status, words); {
	case r != nil:
		kind, code = r.Kind, r.Code
	case compat.IsCloudflare(o):
		kind = session.KindBadResponse
	case kind == session.KindKeyRefused && !compat.IsRefusedKey(status, words),
		kind == "" && slices.Contains(sessionVerbs, verb) && compat.IsFailure(o) && !d.describesSession(verb, body):
		kind = session.KindServerError
	}
	if kind == "" {
		return nil
	}
	f := failures[kind]
	f.engineStatus = status
	if status >= 400 && (kind == session.KindBadResponse || kind == KindInvalid) {
		f.status = status
	}
	if code != "" {
		f.code = code
	}
	if text == "" {
		text = "The engine responded " + http.StatusText(status) + "."
	}
	return f.with(redact.Line(text))
}

// describesSession reports whether a response names the session that it is about.
func (d *Dialect) describesSession(verb Verb, body any) bool {
	read := d.Read(verb, body)
	return len(read) > 0 && read[0].Name != ""
}

// sessionVerbs are those whose response is about a session, or an error.
var sessionVerbs = []Verb{Create, Connect, Restart, Status}

// kindOf is what a status means where no rule says otherwise.
func kindOf(verb Verb, status int) session.ErrorKind {
	isInvalid := status == http.StatusBadRequest || status == http.StatusUnprocessableEntity
	switch {
	case isInvalid && slices.Contains([]Verb{Create, Connect, Restart, PairingCode, Logout, Delete}, verb):
		return KindInvalid
	case status/100 == 2:
		return ""
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return session.KindKeyRefused
	case status == http.StatusNotFound:
		return session.KindSessionNotFound
	case status == http.StatusTooManyRequests:
		return session.KindRateLimited
	case status/100 == 3, status == http.StatusMethodNotAllowed:
		return session.KindBadResponse
	}
	return session.KindServerError
}

// wordMembers are the members of an error body that hold its code and its words.
var wordMembers = []string{"code", "status", "error", "message", "response", "exception", "details", "detail", "msg",
	"error_msg"}

// wordsOf collects the code and the words of an error body, at most three levels deep.
func wordsOf(body any, depth int) (words []string) {
	switch v := body.(type) {
	case string:
		return []string{v}
	case []any:
		for _, item := range v {
			words = append(words, wordsOf(item, depth+1)...)
		}
	case compat.Object:
		for _, name := range wordMembers {
			if member, ok := v[name]; ok && depth < 3 {
				words = append(words, wordsOf(member, depth+1)...)
			}
		}
	}
	return words
}
