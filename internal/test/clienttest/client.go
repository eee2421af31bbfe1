package clienttest

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// Client is one existing client as a simulated user. It returns when the client would have, or when ctx
// ends.
type Client func(ctx context.Context, at Target) Result

// Target is what a client is configured with.
type Target struct {
	HTTP *http.Client // its own Timeout should be unset: every client brings its own
	Base string       // such as http://127.0.0.1:8080, without a slash at the end
	Key  string       // the X-API-Key
	// Session is the sessionId to create. Empty: a random one, which never contains 429, because
	// some clients take that for a rate limit.
	Session string
}

// How a client ends when it does not end well. Both may wrap more.
var (
	// ErrAborted says that the client gave up by a rule of its own.
	ErrAborted = errors.New("the client gave up")
	// ErrCrashed says that the client met what it cannot read, or a time-out that it does not catch.
	ErrCrashed = errors.New("the client crashed")
)

// Result is what became of a client.
type Result struct {
	Session string // the sessionId it used
	ID      string // the id it read from the create's answer
	GotQR   bool   // the client holds a QR
	QR      string // as the client holds it: some strip the data URL's prefix
	Broken  bool   // it shows the QR behind two prefixes, so that nobody can scan it (C7)
	Claims  bool   // it reports success, rightly or not
	Linked  bool   // it saw that a phone was linked
	Steps   []Step // every request, in the order in which they were sent
	Took    time.Duration
	Err     error // why it ended early; nil if it ran to its end, with or without a QR
}

// Requests is how many requests the client made.
func (r Result) Requests() int { return len(r.Steps) }

// Step is one request of a client.
type Step struct {
	At     time.Duration // since the client began
	Took   time.Duration
	Method string
	Path   string
	Status int    // 0: no answer
	Err    string // of the call or of reading the body
}

// Named is a client with the name that docs/CONTRACT.md gives it.
type Named struct {
	Name string
	Run  Client
}

// All lists every client that ends by itself, the production ones first.
func All() []Named {
	return []Named{
		{"create_session", CreateSession},
		{"wizard", Wizard},
		{"session_status", SessionStatus},
		{"test_rapido_final", SimRapidoFinal},
		{"quick_test_baileys_fix", QuickTestBaileysFix},
		{"test_correct_qr_flow", TestCorrectQRFlow},
		{"test_session_flow_updated", TestSessionFlowUpdated},
		{"baileys_issue_analysis", BaileysIssueAnalysis},
		{"quick_qr_debug", QuickQRDebug},
		{"diagnose_qr_issue", DiagnoseQRIssue},
		{"debug_qr_issue", DebugQRIssue},
		{"fix_qr_generation", FixQRGeneration},
		{"test_qr_generation_wait", TestQRGenerationWait},
		{"gs_class", GSClass},
	}
}
