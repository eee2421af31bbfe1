package enginesim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Face is another engine's API over the sessions of an [Engine], with its delays and faults. It is an [http.Handler].
// The API's responses are written from the engines' sources and from recordings of the real programs.
type Face struct {
	engine *Engine
	mux    *http.ServeMux
	dress  func(http.Header) // the headers of every response

	mu     sync.Mutex
	memory map[string]faceMemory // :: session -> what the API keeps beside the engine
	cut    chan struct{}         // closed to close websockets; nil: none was opened
	open   int                   // websockets
}

// Faces are the APIs of other engines, by the name of their kind.
func Faces() map[string]func(*Engine) *Face {
	return map[string]func(*Engine) *Face{"evolution": Evolution, "gowa": GOWA, "waha": WAHA, "wuzapi": Wuzapi}
}

// faceMemory is what an API keeps of a session beside the engine.
type faceMemory struct {
	code      code     // the last one that was shown
	forks     int      // sockets that the API opened and forgot
	isStopped bool     // a client stopped the session
	phone     string   // for which the API requests pairing codes
	pairing   string   // the last pairing code
	token     string   // the session's own
	ghosts    []string // tokens of deleted sessions that the API still accepts
}

// faceRoute serves one route. The engine is not locked.
type faceRoute func(f *Face, r *faceRequest) response

// faceRequest is one request to a face.
type faceRequest struct {
	*http.Request
	account string
	key     string
	body    map[string]any
}

func newFace(e *Engine, key func(*http.Request) string, routes map[string]faceRoute) *Face {
	f := &Face{engine: e, mux: http.NewServeMux(), memory: map[string]faceMemory{}}
	for pattern, serve := range routes {
		f.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { f.serve(w, r, pattern, key, serve) })
	}
	return f
}

// ServeHTTP implements [http.Handler].
func (f *Face) ServeHTTP(w http.ResponseWriter, r *http.Request) { f.mux.ServeHTTP(w, r) }

func (f *Face) serve(
	w http.ResponseWriter, r *http.Request, pattern string, key func(*http.Request) string, serve faceRoute,
) {
	e := f.engine
	q := &faceRequest{Request: r, key: key(r)}
	raw, _ := io.ReadAll(io.LimitReader(r.Body, maxBody))
	d := json.NewDecoder(bytes.NewReader(raw))
	_ = d.Decode(&q.body) // a body that is no JSON has no members
	e.mu.Lock()
	e.restartIfDue()
	q.account = e.account(q.key)
	call := e.recordCall(r, request{rule: rule{route: Route(pattern)}, account: q.account})
	call.Body = raw
	fault, isDown, latency := e.nextFault(Route(pattern)), e.isDown(), e.Latency
	e.mu.Unlock()
	seen := &statusWriter{ResponseWriter: w}
	defer func() { e.finishCall(call, seen.status) }()
	switch {
	case isDown, !e.wait(r.Context(), latency):
		closeConnection(seen)
	case fault.Kind != NoFault && !fault.runsRequest():
		e.applyFault(seen, r, fault, response{})
	default:
		a := serve(f, q)
		if f.dress != nil {
			f.dress(seen.Header())
		}
		if fault.Kind != NoFault {
			e.applyFault(seen, r, fault, a)
			return
		}
		a.write(seen, r)
	}
}

// locked runs do with a session of the given name, nil if there is none, while the engine is locked.
func (f *Face) locked(name string, do func(e *Engine, s *simSession) response) response {
	e := f.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.sessions {
		if s.name == name {
			e.advance(s, e.now())
			return do(e, s)
		}
	}
	return do(e, nil)
}

// begin opens a socket for a session, whatever there is already.
func (f *Face) begin(e *Engine, s *simSession) {
	s.connects++
	f.update(s.name, func(m *faceMemory) { m.phone, m.pairing = "", "" })
	if s.socket != nil && !s.socket.linked {
		f.update(s.name, func(m *faceMemory) { m.forks++ })
	}
	e.open(s, e.isStuckAfterConnect(s, false))
}

// shown is the session's present code, which the face remembers as the last one.
func (f *Face) shown(e *Engine, s *simSession) (code, bool) {
	c, ok := e.current(s, e.now())
	if ok {
		f.update(s.name, func(m *faceMemory) { m.code = c })
	}
	return c, ok
}

func (f *Face) update(name string, change func(*faceMemory)) faceMemory {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.memory[name]
	change(&m)
	f.memory[name] = m
	return m
}

// pair requests a pairing code for a number. The caller has locked the engine.
func (f *Face) pair(s *simSession, phone string) string {
	return f.update(s.name, func(m *faceMemory) {
		h := fnv.New64a()
		_, _ = h.Write([]byte(s.name + phone + strconv.Itoa(s.connects) + m.pairing)) // never fails
		m.pairing = strings.ToUpper(strconv.FormatUint(h.Sum64()|1<<63, 36))[:8]
	}).pairing
}

// EnterCode links a session as its phone's owner does who types a pairing code in. It fails if the code is not the
// session's present one.
func (f *Face) EnterCode(name, code string) error {
	m := f.update(name, func(*faceMemory) {})
	if m.pairing == "" || strings.ReplaceAll(code, "-", "") != m.pairing {
		return fmt.Errorf("%s is not the code of session %s", code, name)
	}
	return f.engine.withSession(name, func(s *simSession) error {
		if s.socket == nil || s.socket.linked {
			return fmt.Errorf("session %s is not being paired", name)
		}
		f.engine.link(s, "15550123")
		return nil
	})
}

// Forks returns how many sockets the API opened for a session while it had one.
func (f *Face) Forks(name string) int { return f.update(name, func(*faceMemory) {}).forks }

func jsonResponse(status int, body any) response { return response{status, jsonType, encode(body)} }

func (r *faceRequest) text(member string) string {
	text, _ := r.body[member].(string)
	return text
}

// settle waits as long as an API does before it looks for the code.
func (f *Face) settle(r *faceRequest, d time.Duration) { f.engine.wait(r.Context(), d) }
