package clienttest

import (
	"context"
	"fmt"
	"time"
)

// SessionStatus is session_status.get_session_status, which runs before every sync and every send: it looks the session
// up in a list of 200 through the base client, and crashes if the session is not in it or its
// lastActivity is null (4.3). Here it first creates a session to look for.
func SessionStatus(ctx context.Context, at Target) Result {
	u := newUser(at, "sync")
	body := `{"sessionId":` + quote(u.result.Session) + `,"sessionName":"Sync"}`
	created := u.base(ctx, call{method: "POST", path: "/api/sessions", body: body})
	if err := u.created(created, 200, 201); err != nil {
		return u.end(err)
	}
	r := u.base(ctx, call{method: "GET", path: "/api/sessions?page=1&limit=200"})
	d, err := r.json()
	if err != nil || r.status != 200 {
		return u.end(fmt.Errorf("%w: the list answers %d", ErrAborted, r.status))
	}
	item := u.own(d)
	if item == nil {
		return u.end(fmt.Errorf("%w: the session is not in the list", ErrCrashed))
	}
	if item["lastActivity"] == nil && item["lastSeen"] == nil {
		return u.end(fmt.Errorf("%w: lastActivity is null", ErrCrashed))
	}
	u.result.Claims, u.result.Linked = true, item.text("status") == "connected"
	return u.end(nil)
}

// Send is the base client sending a message to a session: by the rule of three attempts, it may be sent three
// times.
func Send(ctx context.Context, at Target) Result {
	u := newUser(at, "send")
	r := u.base(ctx, call{
		method: "POST", path: "/api/messages/" + u.result.Session + "/send", body: `{"to":"5550100","message":"hola"}`,
	})
	u.result.Claims = r.err == nil && (r.status == 200 || r.status == 201)
	return u.end(nil)
}

// base is WhatsAppAPIClient's request: three attempts. Only 200 and 201 are good; a 4xx other than 429 is final; after
// 5xx and 429 it asks again without a pause; after anything else with pauses of 1 and 2 s. That the last
// holds for time-outs and cut connections is assumed.
func (u *user) base(ctx context.Context, c call) reply {
	c.timeout = 30 * time.Second
	var r reply
	for attempt := range 3 {
		r = u.do(ctx, c)
		switch {
		case r.err == nil && (r.status == 200 || r.status == 201):
			return r
		case r.err == nil && r.status >= 400 && r.status < 500 && r.status != 429:
			return r
		case r.err == nil && (r.status >= 500 || r.status == 429):
			continue
		}
		if attempt < 2 && !sleep(ctx, time.Duration(1<<attempt)*time.Second) {
			return r
		}
	}
	return r
}
