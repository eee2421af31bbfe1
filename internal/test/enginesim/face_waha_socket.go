package enginesim

import (
	"context"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

// RouteWAHASocket is WAHA's websocket.
const RouteWAHASocket Route = "GET /ws"

// wahaTick is how soon a change is reported.
const wahaTick = 50 * time.Millisecond

// serveSocket serves WAHA's websocket: it accepts the connection, then closes it if the key in the query is wrong, and
// reports each change of a session, and each new code, as session.status.
func (f *Face) serveSocket(w http.ResponseWriter, r *http.Request) {
	e := f.engine
	e.mu.Lock()
	account := e.account(r.URL.Query().Get("x-api-key")) // no header counts here
	call := e.recordCall(r, request{rule: rule{route: RouteWAHASocket}, account: account})
	fault, isDown := e.nextFault(RouteWAHASocket), e.isDown()
	e.mu.Unlock()
	switch {
	case isDown:
		closeConnection(w)
		return
	case fault.Kind != NoFault:
		e.applyFault(w, r, fault, response{})
		return
	}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return // Accept has responded
	}
	e.finishCall(call, http.StatusSwitchingProtocols)
	if account == "" {
		_ = conn.Close(websocket.StatusPolicyViolation, "Unauthorized")
		return
	}
	f.count(1)
	defer f.count(-1)
	defer func() { _ = conn.CloseNow() }()
	f.reportChanges(conn.CloseRead(r.Context()), conn, account)
}

// reportChanges sends the changes of an account's sessions until the connection or the engine ends.
func (f *Face) reportChanges(ctx context.Context, conn *websocket.Conn, account string) {
	e := f.engine
	ticker := time.NewTicker(wahaTick)
	defer ticker.Stop()
	cut := f.cutSockets()
	seen := f.wahaStates(account)
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		case <-cut:
			return
		case <-e.done():
			return
		}
		e.mu.Lock()
		e.restartIfDue()
		isDown := e.isDown()
		e.mu.Unlock()
		if isDown {
			return
		}
		now := f.wahaStates(account)
		for name, state := range now {
			if seen[name] == state {
				continue
			}
			message := encode(object{
				{"id", "evt_1"}, {"event", "session.status"}, {"session", name}, {"me", nil},
				{"payload", object{{"status", state.status}, {"statuses", []object{{{"status", state.status}}}}}},
			})
			if conn.Write(ctx, websocket.MessageText, message) != nil {
				return
			}
		}
		seen = now
	}
}

// wahaReported is what a report is about.
type wahaReported struct{ status, code string }

func (f *Face) wahaStates(account string) map[string]wahaReported {
	e := f.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	states := map[string]wahaReported{}
	for _, s := range e.sessions {
		if s.account != account {
			continue
		}
		e.advance(s, e.now())
		c, _ := e.current(s, e.now())
		states[s.name] = wahaReported{wahaState(e.phase(s, e.now())), c.text}
	}
	return states
}

func (f *Face) count(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open += n
}

// Sockets returns how many websockets of the API are open.
func (f *Face) Sockets() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open
}

// cutSockets returns a channel that CutSockets closes.
func (f *Face) cutSockets() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cut == nil {
		f.cut = make(chan struct{})
	}
	return f.cut
}

// CutSockets closes every websocket of the API without a word, as a network does.
func (f *Face) CutSockets() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cut != nil {
		close(f.cut)
	}
	f.cut = nil
}
