package enginesim

// Phase is what a session is really doing. [Engine.States] spells phases on the wire.
type Phase string

// The phases of a session.
const (
	Fresh      Phase = "fresh"      // created, never connected
	Connecting Phase = "connecting" // connected, no code yet
	Showing    Phase = "showing"    // a code waits to be scanned
	Linked     Phase = "linked"     // a phone is linked
	Lost       Phase = "lost"       // once connected, now not
	Broken     Phase = "broken"     // the engine gave up
)

// observed is how the recorded engine spells a phase; a fresh session is disconnected there, not pending (quirk 5).
func observed(p Phase) string {
	switch p {
	case Connecting:
		return "connecting"
	case Showing:
		return "qr_code"
	case Linked:
		return "connected"
	case Broken:
		return "error"
	default:
		return "disconnected"
	}
}

func (e *Engine) spell(p Phase) string {
	if word, ok := e.States[p]; ok {
		return word
	}
	return observed(p)
}
