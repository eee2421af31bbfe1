package enginesim

import (
	"context"
	"sync"
	"time"
)

// Engine is a simulated session engine, an [net/http.Handler]. Set its fields before the first request,
// or later inside [Engine.Change]. Fields with a duration default to nothing unless they say otherwise.
type Engine struct {
	// Keys lists the accepted X-API-Key values. nil: any non-empty key is its own account.
	Keys map[string]string // :: key -> account
	// Limits are the rate limits; the zero value has none, see [RecordedLimits].
	Limits Limits
	// Origins that browsers may call from. nil: every origin is echoed, as recorded (5.2).
	Origins []string
	// FirstID is the id of the first session; 0 means 1. Ids grow by one.
	FirstID int64

	// QRDelay passes between an accepted connect and its first code.
	QRDelay time.Duration
	// QRLife is what expiresAt promises after qrCodeGeneratedAt; 0 means 60 s (C19).
	QRLife time.Duration
	// Rotation says how long each code of one connect is really the current one, whatever expiresAt
	// promises. After the last the connect is over and the session disconnected. nil: a new code
	// follows every QRLife, for ever. See [WhatsAppRotation].
	Rotation []time.Duration
	// Codes makes the text of a code; sequence counts from 1 over the whole life of a session.
	// nil: random and realistic.
	Codes func(session string, sequence int) string
	// Begin, if set, supplies codes from outside instead of Codes and Rotation. It runs in a goroutine
	// of its own for every accepted connect; ctx ends when that connect is over or the engine closed.
	// QRDelay still applies: an earlier code stays invisible until then.
	Begin func(ctx context.Context, session string, socket *Socket)

	// Latency of every answer, added to the two below. Recorded: 73 to 131 ms.
	Latency time.Duration
	// ConnectLatency of /connect and /restart.
	ConnectLatency time.Duration
	// QRLatency of /qr.
	QRLatency time.Duration

	// ConnectFailures is how many connects of each session answer 500 CONNECTION_ERROR at first;
	// negative: all of them.
	ConnectFailures int
	// StuckUntilReconnect: the first accepted connect of a session never brings a QR, a second does.
	StuckUntilReconnect bool
	// StuckUntilForce: no connect brings a QR unless its body says force.
	StuckUntilForce bool
	// StuckUntilRestart: no connect brings a QR before POST /restart (debug_qr_issue).
	StuckUntilRestart bool
	// EveryConnectStartsOver: a connect throws away the code that the last one brought. Otherwise a
	// connect during another is idempotent, unless forced.
	EveryConnectStartsOver bool
	// ErrorInsteadOfQR: when the QR should be there, the session's state is error.
	ErrorInsteadOfQR bool
	// QRAfterAsks is how many requests for the QR of one connect are refused before one succeeds. Status
	// and list tell of the code all the same.
	QRAfterAsks int
	// NotYet is the HTTP status of /qr while there is no QR; 0 means 500 QR_GENERATION_ERROR.
	// 200 and 202 say success:false, 204 has no body, 502 and 504 are HTML.
	NotYet int
	// NotYetNull: with NotYet 200, the answer says success:true and the code is null.
	NotYetNull bool

	// CreateConnects: creating a session connects it too (AD:24).
	CreateConnects bool
	// CreateCarriesQR: the answer to a create carries the code, if there is one by then.
	CreateCarriesQR bool
	// CreateShape is where a create's answer carries the session.
	CreateShape CreateShape

	// Status404UntilLinked: /status knows a session only once it is linked (FX:10-17).
	Status404UntilLinked bool
	// Status404WithoutSocket: /status knows only sessions that are connected or connecting.
	Status404WithoutSocket bool
	// StaleDatabase: a session that lost its phone stays connected in lists, with isConnected false.
	StaleDatabase bool
	// ContactsDropSession: reading contacts within a minute of linking unlinks (quirk 11).
	ContactsDropSession bool

	// States spells the states differently. Absent phases keep the observed spelling.
	States map[Phase]string
	// QRFieldName replaces qrCode in every answer.
	QRFieldName string
	// BareBase64: the image comes without its data URL prefix.
	BareBase64 bool
	// RawCode: the text comes instead of an image.
	RawCode bool
	// NoExpiry: no answer says when a code expires.
	NoExpiry bool
	// ListHidesQR: lists never carry a code.
	ListHidesQR bool
	// ListLags: lists say of a session that waits for its scan that it is connecting still (quirk 7).
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
	// StrictLimit: a limit above 100 is refused with 400 instead of being cut.
	StrictLimit bool

	// Faults replaces the answers of routes by wrong ones; [AnyRoute] stands for all others.
	Faults map[Route]Fault
	// DiesAt is when the engine forgets its sockets, as [Engine.Restart] does. Zero: never.
	DiesAt time.Time
	// DownFor is how long after DiesAt every connection is cut.
	DownFor time.Duration

	mu        sync.Mutex
	closed    chan struct{} // made on first use, closed by Close
	routes    []entry       // made on first use
	died      bool
	lastID    int64
	sessions  []*simSession // by growing id
	calls     []*Call
	faulted   map[Route]int     // :: route -> how many faults it has answered
	windows   map[string]window // :: limiter and key -> the current window
	beginners sync.WaitGroup    // every Begin that runs
}

// Incident is the engine of the incident report: everything works, but the QR comes four seconds after the
// connect and until then /qr answers 500 at once. Its limits are the recorded ones.
func Incident() *Engine {
	return &Engine{
		QRDelay:        4 * time.Second,
		ConnectLatency: 131 * time.Millisecond,
		QRLatency:      73 * time.Millisecond,
		Limits:         RecordedLimits(),
	}
}

// WhatsAppRotation is how long WhatsApp's own client shows its codes: a minute for the first and twenty
// seconds for each of the five after it.
func WhatsAppRotation() []time.Duration {
	const later = 20 * time.Second
	return []time.Duration{time.Minute, later, later, later, later, later}
}

func (e *Engine) now() time.Time { return time.Now().Add(e.ClockSkew) }

func (e *Engine) qrLife() time.Duration {
	if e.QRLife > 0 {
		return e.QRLife
	}
	return time.Minute
}
