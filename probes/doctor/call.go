package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"qrgate/compat"
	"qrgate/internal/session"
)

// Bounds of one call.
const (
	callTime  = 10 * time.Second
	maxAnswer = 1 << 20 // bytes
)

// call makes a request that the engine's interface does not know.
func (e *run) call(ctx context.Context, op, method, path, body string) (compat.Response, *session.EngineError) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	path, query, _ := strings.Cut(path, "?")
	at := e.Base.JoinPath(path)
	at.RawQuery = query
	req, err := http.NewRequestWithContext(ctx, method, at.String(), strings.NewReader(body))
	if err != nil {
		return compat.Response{}, &session.EngineError{Op: op, Kind: session.KindBadResponse, Err: err}
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "qrgate-doctor")
	if !e.Key.Empty() {
		req.Header.Set("X-API-Key", e.Key.Reveal())
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := e.Transport.RoundTrip(req)
	if err != nil {
		return compat.Response{}, compat.TransportError(ctx, op, err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		f := compat.TransportError(ctx, op, err)
		f.Status = res.StatusCode
		return compat.Response{}, f
	}
	return compat.Response{Status: res.StatusCode, Header: res.Header, Body: text, Complete: len(text) <= maxAnswer, At: time.Now()}, nil
}

// made is what is known after a create.
type made struct {
	ref  session.Ref
	none bool // certainly no session: the request never left, or was declined
}

func (e *run) create(ctx context.Context, name string) (made, *session.EngineError) {
	var left compat.SendTracker
	a, f := e.call(left.Watch(ctx), "create", http.MethodPost, "api/sessions", `{"sessionId":"`+name+`","sessionName":"qrgate doctor"}`)
	if f == nil {
		f = a.EngineError("create")
	}
	if f != nil {
		return made{none: left.NotSent() || compat.Rejected(f.Status)}, f
	}
	body, _ := compat.Parse(a.Body) // a body without a fault parses
	return made{ref: compat.RefOf(compat.SessionOf(body))}, nil
}

// erase deletes the session of this examination until it is gone. Whether a create that failed made one all
// the same is not known, so it is tried, and then "no such session" is as good: absent.
func (e *run) erase(ctx context.Context, ref session.Ref, created bool) (absent bool, f *session.EngineError) {
	for pause := 250 * time.Millisecond; ; pause *= 2 {
		f = e.eraseOnce(ctx, ref)
		switch {
		case f == nil:
			return false, nil
		case f.Kind == session.KindSessionNotFound && (!created || ref.ID > 0):
			return true, nil
		case f.Kind == session.KindKeyRefused:
			return false, f
		case f.Kind == session.KindSessionNotFound: // known by its integer alone
			ref = ref.Merge(e.seek(ctx, ref))
		}
		if !wait(ctx, pause) {
			return false, f
		}
	}
}

func (e *run) eraseOnce(ctx context.Context, ref session.Ref) *session.EngineError {
	a, f := e.call(ctx, "delete", http.MethodDelete, "api/sessions/"+ref.URLSegment(), "")
	if f != nil || a.Status/100 == 2 {
		return f
	}
	return a.EngineError("delete")
}

// seek finds the integer of the session of this examination.
func (e *run) seek(ctx context.Context, ref session.Ref) session.Ref {
	roll, _ := e.Engine.List(ctx, e.caller())
	for _, o := range roll.Sessions {
		if o.Ref.Name == ref.Name {
			return o.Ref
		}
	}
	return session.Ref{}
}

// faultOf is err as a fault; nil for none.
func faultOf(err error) *session.EngineError {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*session.EngineError](err); ok {
		return f
	}
	return &session.EngineError{Kind: session.KindOf(err), Err: err}
}

// words are a fault for a person, without URLs and credentials.
func words(f *session.EngineError) string {
	text := strings.ReplaceAll(string(f.Kind), "_", " ")
	if f.Status != 0 {
		text += fmt.Sprintf(", HTTP %d", f.Status)
	}
	for _, more := range []string{f.Code, f.Text, f.Reason} {
		if more != "" {
			text += ", " + more
		}
	}
	return text
}
