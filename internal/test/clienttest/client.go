// Package clienttest replays the existing clients of the engine, request by request: their timeouts and pauses, how
// they read status codes, and where they give up or crash. A change that breaks a client breaks its replay first.
//
// Each replay is a [Client]. It calls any base URL with the given HTTP client and waits with plain timers, so that five
// minutes of a wizard take no time in a testing/synctest bubble.
//
// docs/CONTRACT.md describes the clients in sections 4.1 to 4.4; the names here are the same. A comment marks what is
// assumed, because that page does not specify it.
package clienttest

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// Client replays one client. It returns when the client would end, or when ctx ends.
type Client func(ctx context.Context, at Target) Result

// Target is the configuration of a client.
type Target struct {
	HTTP *http.Client // without a Timeout: every client has its own
	Base string       // such as http://127.0.0.1:8080, without a slash at the end
	Key  string       // the X-API-Key
	// Session is the sessionId to create. Empty: a random one, which never contains 429, because
	// some clients read that as a rate limit.
	Session string
}

// Errors of a client. Both may wrap another error.
var (
	// ErrAborted means that the client gave up by its own rule.
	ErrAborted = errors.New("the client gave up")
	// ErrCrashed means that the client got a response that it cannot read, or a timeout that it does not catch.
	ErrCrashed = errors.New("the client crashed")
)

// Result is the outcome of a client.
type Result struct {
	Session string // the sessionId it used
	ID      string // the id from the response to the create
	GotQR   bool   // the client has a QR
	QR      string // as the client stores it: some strip the data URL's prefix
	Broken  bool   // it shows the QR with two prefixes, which no phone can scan (C7)
	Claims  bool   // it reports success, correct or not
	Linked  bool   // it detected that a phone was linked
	Steps   []Step // every request, in the order of sending
	Took    time.Duration
	Err     error // why it ended early; nil if it completed, with or without a QR
}

// Requests returns the number of requests.
func (r Result) Requests() int { return len(r.Steps) }

// Step is one request of a client.
type Step struct {
	At     time.Duration // since the start of the client
	Took   time.Duration
	Method string
	Path   string
	Status int    // 0: no response
	Err    string // of the call or of reading the body
}

// Named is a client with its name in docs/CONTRACT.md.
type Named struct {
	Name string
	Run  Client
}

// All returns every client that ends by itself, the production ones first.
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
