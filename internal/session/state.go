package session

// State is what a session is doing. These words are qrgate's own; the documented wire knows fewer, and compat
// translates (contract.md 3.2).
type State string

// The states of a session.
const (
	Unknown      State = "unknown"       // nothing is known
	Created      State = "created"       // it exists at the engine; it was not connected yet
	Connecting   State = "connecting"    // a QR is being obtained
	AwaitingScan State = "awaiting_scan" // a QR is there and waits for a phone
	Connected    State = "connected"     // linked to a phone
	Disconnected State = "disconnected"  // not paired, and no QR is being obtained
	Failed       State = "failed"        // the engine gave up, or qrgate did; the diagnosis says why
)

// States lists every state, in the order in which a session usually passes through them.
func States() []State {
	return []State{Unknown, Created, Connecting, AwaitingScan, Connected, Disconnected, Failed}
}

// Acquiring reports whether a QR is wanted and not yet scanned.
func (s State) Acquiring() bool { return s == Connecting || s == AwaitingScan }
