package session

import (
	"strings"

	"qrgate/internal/diagnosis"
)

// findingOf is what the words mean for a session. A connection that WhatsApp ends after it sent codes was not
// silent. The engine's text itself stays out of the evidence: the words that decided say enough.
func findingOf(t diagnosis.Pattern, at *input) finding {
	code := t.Code
	if t.Words[0] == diagnosis.RestartRequired && !at.passed(at.Since.Add(SymptomDelay)) {
		return finding{}
	}
	if code == diagnosis.WhatsAppSilent && at.Sequence > 0 {
		code = diagnosis.WhatsAppUnavailable
	}
	return finding{code: code, confirmed: true, evidence: []string{"the engine names this cause itself: " + strings.Join(t.Words, ", ")}}
}

// ruleEngineSaysCause: the words of the engine's present error, or of the one with which it refuses to connect.
func ruleEngineSaysCause(at *input) finding {
	heard := []FailureStreak{at.currentFailure()}
	if at.connectRejected() {
		heard = append(heard, at.History.ConnectFailure)
	}
	for _, trouble := range heard {
		if trouble.Kind == KindBadResponse && trouble.Code == codeQRInvalid {
			return finding{code: diagnosis.QRInvalid, confirmed: true, evidence: []string{"what the engine hands out as a QR is too large, no image, or no code"}}
		}
		if _, gone := unreachableKinds[trouble.Kind]; gone {
			return finding{}
		}
		if t, ok := diagnosis.MatchCause(trouble.Text + " " + trouble.Code); ok {
			return findingOf(t, at)
		}
	}
	return finding{}
}

// codeQRInvalid is what an engine adapter says of a QR that is no image.
const codeQRInvalid = "QR_INVALID"

// ruleDisconnectReason: what the engine says of the session's last disconnect.
func ruleDisconnectReason(at *input) finding {
	if at.State == AwaitingScan && !at.codeDead() {
		return finding{} // a newer connect brought a code
	}
	if t, ok := diagnosis.MatchCause(at.Reason); ok {
		return findingOf(t, at)
	}
	return finding{}
}

// ruleLastNamedCause: the engine named a cause before the gate connected again by itself, and nothing has come of
// that yet. Without this the diagnosis would vanish at each attempt and come back seconds later.
func ruleLastNamedCause(at *input) finding {
	n := at.History.Named
	if n.Code == "" || at.State != Connecting || at.Sequence > 0 || !at.isRecoveryConnect() ||
		n.LastAt.Before(at.Since) || at.passed(n.LastAt.Add(restartTime)) {
		return finding{}
	}
	return finding{code: n.Code, confirmed: true, evidence: []string{
		"the engine named this cause before it was asked to connect again, and no QR has come since"}}
}
