// Package enginesim is a session engine in memory that speaks the documented API over HTTP.
//
// The zero value works: it accepts any key, a session has a QR as soon as it is connected, and there are no rate
// limits. Each fault that was observed at an engine is an exported field:
//
//	engine := &enginesim.Engine{QRDelay: 4 * time.Second} // the incident: /qr returns 500 until then
//	defer engine.Close()
//	server := httptest.NewServer(engine)
//
// A test that needs minutes runs the engine in a testing/synctest bubble, reached over a [Wire].
//
// The engine has no timer and no goroutine: it computes a session's state from the time of its connect and the current
// time. It shares no code with the gateway, so that the same mistake cannot be in both. Section numbers in comments are
// those of docs/CONTRACT.md.
package enginesim

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Engine is a simulated session engine, an [net/http.Handler]. Set its fields before the first request,
// or later inside [Engine.Change]. The default of a duration is 0 unless its comment names another.
type Engine struct {
	// Keys lists the accepted X-API-Key values. nil: any non-empty key is its own account.
	Keys map[string]string // :: key -> account
	// Limits are the rate limits; the zero value has none, see [RecordedLimits].
	Limits Limits
	// Origins that browsers may call from. nil: every origin is echoed, as recorded (5.2).
	Origins []string
	// FirstID is the id of the first session; 0 means 1. Ids grow by one.
	FirstID int64

	// QRDelay is the time from an accepted connect to its first code.
	QRDelay time.Duration
	// QRTTL is the time from qrCodeGeneratedAt to expiresAt; 0 means 60 s (C19).
	QRTTL time.Duration
	// Rotation is how long each code of one connect really stays the current one, independent of
	// expiresAt. After the last code the connect ends and the session is disconnected. nil: a new
	// code follows after each QRTTL, without end. See [WhatsAppRotation].
	Rotation []time.Duration
	// Codes makes the text of a code; sequence counts from 1 over the whole life of a session.
	// nil: random and realistic.
	Codes func(session string, sequence int) string
	// Begin, if set, supplies codes instead of Codes and Rotation. It runs in a goroutine of its own
	// for each accepted connect; ctx ends when that connect ends or the engine is closed.
	// QRDelay still applies: an earlier code stays invisible until then.
	Begin func(ctx context.Context, session string, socket *Socket)

	// Latency of every response, added to the two below. Recorded: 73 to 131 ms.
	Latency time.Duration
	// ConnectLatency of /connect and /restart.
	ConnectLatency time.Duration
	// QRLatency of /qr.
	QRLatency time.Duration

	// ConnectFailures is how many first connects of each session fail with 500 CONNECTION_ERROR;
	// negative: all of them.
	ConnectFailures int
	// StuckUntilReconnect: the first accepted connect of a session never produces a QR, the second does.
	StuckUntilReconnect bool
	// StuckUntilForce: no connect produces a QR unless its body sets force.
	StuckUntilForce bool
	// StuckUntilRestart: no connect produces a QR before POST /restart.
	StuckUntilRestart bool
	// Silent are accounts whose sessions never produce a QR.
	Silent []string
	// EveryConnectStartsOver: a connect discards the code of the previous one. Otherwise a connect
	// during another is idempotent, unless forced.
	EveryConnectStartsOver bool
	// ErrorInsteadOfQR: after QRDelay the session's state is error instead of a QR.
	ErrorInsteadOfQR bool
	// QRAfterRequests is how many requests for the QR of one connect fail before one succeeds. Status
	// and list report the code all the same.
	QRAfterRequests int
	// NotYet is the HTTP status of /qr while there is no QR; 0 means 500 QR_GENERATION_ERROR.
	// 200 and 202 carry success:false, 204 has no body, 502 and 504 are HTML.
	NotYet int
	// NotYetNull: with NotYet 200, the response carries success:true and a null code.
	NotYetNull bool

	// CreateConnects: creating a session connects it too.
	CreateConnects bool
	// CreateCarriesQR: the response to a create carries the code, if there is one by then.
	CreateCarriesQR bool
	// CreateShape is where the response to a create carries the session.
	CreateShape CreateShape

	// Status404UntilLinked: /status knows a session only once it is linked.
	Status404UntilLinked bool
	// Status404WithoutSocket: /status knows only sessions that are connected or connecting.
	Status404WithoutSocket bool
	// StaleDatabase: a session that lost its phone stays connected in lists, with isConnected false.
	StaleDatabase bool
	// ContactsDropSession: reading contacts within a minute of linking unlinks (quirk 11).
	ContactsDropSession bool

	// States spells the states differently. Absent phases keep the observed spelling.
	States map[Phase]string
	// QRFieldName replaces qrCode in every response.
	QRFieldName string
	// BareBase64: the image comes without its data URL prefix.
	BareBase64 bool
	// RawCode: the text comes instead of an image.
	RawCode bool
	// NoExpiry: no response carries the expiry of a code.
	NoExpiry bool
	// ListHidesQR: lists never carry a code.
	ListHidesQR bool
	// ListLags: lists still show connecting for a session that has a code (quirk 7).
	ListLags bool
	// NumericIDsOnly: a sessionId in a path is unknown (C9).
	NumericIDsOnly bool
	// StringIDsOnly: an integer in a path is unknown.
	StringIDsOnly bool
	// NullLastActivity: lastActivity is null.
	NullLastActivity bool
	// NumericBooleans: 1 and 0 stand for true and false.
	NumericBooleans bool
	// Dates writes every date but the error timestamp; nil: ISO 8601 in UTC with milliseconds.
	Dates func(time.Time) any
	// ClockSkew is how far the engine's clock, with its Date header, is ahead of the real one.
	ClockSkew time.Duration
	// PageSize of lists that name no limit; 0 means 10 (C13).
	PageSize int
	// StrictLimit: a limit above 100 gets 400 instead of being reduced.
	StrictLimit bool

	// Faults replaces the responses of routes by wrong ones; [AnyRoute] stands for all other routes.
	Faults map[Route]Fault
	// DiesAt is when the engine loses its sockets, as [Engine.Restart] does. Zero: never.
	DiesAt time.Time
	// DownFor is how long after DiesAt the engine closes every connection.
	DownFor time.Duration

	mu          sync.Mutex
	closed      chan struct{}  // made on first use, closed by Close
	routes      []compiledRule // made on first use
	died        bool
	lastID      int64
	sessions    []*simSession // by growing id
	calls       []*Call
	faultCounts map[Route]int     // :: route -> how many faults it has served
	windows     map[string]window // :: limiter and key -> the current window
	begins      sync.WaitGroup    // the running Begins
}

// Incident is the engine of the incident report: everything works, but the QR comes four seconds after the
// connect and until then /qr returns 500 at once. Its limits are the recorded ones.
func Incident() *Engine {
	return &Engine{
		QRDelay:        4 * time.Second,
		ConnectLatency: 131 * time.Millisecond,
		QRLatency:      73 * time.Millisecond,
		Limits:         RecordedLimits(),
	}
}

// WhatsAppRotation is how long WhatsApp's own client shows each code: a minute the first, and twenty seconds each
// of the next five.
func WhatsAppRotation() []time.Duration {
	const later = 20 * time.Second
	return []time.Duration{time.Minute, later, later, later, later, later}
}

func (e *Engine) now() time.Time { return time.Now().Add(e.ClockSkew) }

func (e *Engine) qrTTL() time.Duration {
	if e.QRTTL > 0 {
		return e.QRTTL
	}
	return time.Minute
}

// Change runs f while no request reads or changes the engine. f may set fields; it must not call methods.
func (e *Engine) Change(f func(*Engine)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f(e)
}

// Link scans the current code of a session, found by its id or sessionId; if accounts share a name, the oldest session.
// It fails when there is no such session or the session has no code.
func (e *Engine) Link(id string) error {
	return e.withSession(id, func(s *simSession) error {
		if _, ok := e.current(s, e.now()); !ok {
			return fmt.Errorf("session %s has no code", id)
		}
		e.link(s, "5550100"+strconv.FormatInt(s.id, 10))
		return nil
	})
}

// Unlink removes the phone of a session, as a logout or a conflict does. It fails when there is no such session or no
// phone is linked to it.
func (e *Engine) Unlink(id string) error {
	return e.withSession(id, func(s *simSession) error {
		if s.socket == nil || !s.socket.linked {
			return fmt.Errorf("session %s is not linked", id)
		}
		e.closeSocket(s)
		return nil
	})
}

func (e *Engine) withSession(name string, f func(*simSession) error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.sessions {
		if s.name == name || strconv.FormatInt(s.id, 10) == name {
			e.advance(s, e.now())
			return f(s)
		}
	}
	return fmt.Errorf("there is no session %s", name)
}

// Restart clears the engine's memory: it closes every socket and disconnects every session, linked or not. The
// database keeps the sessions.
func (e *Engine) Restart() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closeSockets()
}

func (e *Engine) closeSockets() {
	for _, s := range e.sessions {
		e.advance(s, e.now())
		e.closeSocket(s)
	}
}

// Reset deletes sessions, calls, rate limit windows and fault counts. Ids restart; fields stay.
func (e *Engine) Reset() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closeSockets()
	e.sessions, e.calls, e.lastID = nil, nil, 0
	e.windows, e.faultCounts, e.died = nil, nil, false
}

func (e *Engine) remove(s *simSession) {
	e.closeSocket(s)
	e.sessions = slices.DeleteFunc(e.sessions, func(other *simSession) bool { return other == s })
}

// Close ends every response that hangs, every websocket and every Begin, and waits for the latter. Call it last.
func (e *Engine) Close() {
	e.mu.Lock()
	if !e.isClosed() {
		close(e.doneLocked())
	}
	e.closeSockets()
	e.mu.Unlock()
	e.begins.Wait()
}

func (e *Engine) doneLocked() chan struct{} {
	if e.closed == nil {
		e.closed = make(chan struct{})
	}
	return e.closed
}

func (e *Engine) done() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.doneLocked()
}

func (e *Engine) isClosed() bool {
	select {
	case <-e.doneLocked():
		return true
	default:
		return false
	}
}

func (e *Engine) isOver() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.isClosed()
}

// restartIfDue restarts the engine once at DiesAt.
func (e *Engine) restartIfDue() {
	if !e.died && !e.DiesAt.IsZero() && !time.Now().Before(e.DiesAt) {
		e.died = true
		e.closeSockets()
	}
}

func (e *Engine) isDown() bool {
	return !e.DiesAt.IsZero() && !time.Now().Before(e.DiesAt) && time.Now().Before(e.DiesAt.Add(e.DownFor))
}
