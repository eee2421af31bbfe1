package enginesim

import (
	"net/http"
	"time"
)

const maxCalls = 20_000 // remembered; the older half goes when there are more

// Call is one request that reached the engine, whatever became of it.
type Call struct {
	Route   Route
	Method  string
	Path    string // as it was sent, still escaped
	Query   string // raw
	Account string // "" if the key was missing or not accepted
	Status  int    // of the answer; 0 while there is none, or if the connection was cut
	At      time.Time
	Header  http.Header
	Body    []byte // of session routes
}

// Calls returns what has reached the engine, oldest first.
func (e *Engine) Calls() []Call {
	e.mu.Lock()
	defer e.mu.Unlock()
	calls := make([]Call, len(e.calls))
	for i, c := range e.calls {
		calls[i] = *c
	}
	return calls
}

// CountSince counts the calls of a route at or after a moment. [AnyRoute] counts all, the zero time since ever.
func (e *Engine) CountSince(route Route, since time.Time) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for _, c := range e.calls {
		if (route == AnyRoute || c.Route == route) && !c.At.Before(since) {
			n++
		}
	}
	return n
}

func (e *Engine) record(r *http.Request, v request) *Call {
	if len(e.calls) >= maxCalls {
		e.calls = append([]*Call(nil), e.calls[maxCalls/2:]...)
	}
	c := &Call{
		Route: v.route, Method: r.Method, Path: rawPath(r), Query: r.URL.RawQuery,
		Account: v.account, At: time.Now(), Header: r.Header.Clone(),
	}
	e.calls = append(e.calls, c)
	return c
}

func (e *Engine) leave(c *Call, status int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c.Status = status
}
