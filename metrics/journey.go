package metrics

import (
	"slices"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// outcomeLabels is the tuple of how something ended: a journey, a hold, a probe's run.
type outcomeLabels struct {
	who     string // origin of a journey, name of a probe, "" for a hold
	outcome session.Outcome
	why     diagnosis.Code
}

func (e outcomeLabels) values() []string {
	if e.who == "" {
		return []string{string(e.outcome), string(e.why)}
	}
	return []string{e.who, string(e.outcome), string(e.why)}
}

// isNeutral are the causes that make an ending neither good nor bad.
func isNeutral(why diagnosis.Code) bool {
	return why == diagnosis.ClientGone || why == diagnosis.AlreadyPaired
}

// normalizeOutcome makes any outcome and cause a legal pair: success exactly with none, abandoned only with a cause
// that excuses, failure with every other cause of the closed list. What is not on the list, and a failure
// that names no cause, becomes undetermined.
func normalizeOutcome(out session.Outcome, why diagnosis.Code) (session.Outcome, diagnosis.Code) {
	switch {
	case out == session.Success:
		return session.Success, diagnosis.None
	case isNeutral(why):
		return session.Abandoned, why
	case out == session.Abandoned:
		return session.Abandoned, diagnosis.ClientGone
	}
	return session.Failure, diagnosis.New(why).Code
}

// journeyEndings lists the legal endings of one origin's journeys.
func journeyEndings(who string) []outcomeLabels {
	legal := []outcomeLabels{{who, session.Success, diagnosis.None}}
	for _, why := range causes() {
		out := session.Failure
		if isNeutral(why) {
			out = session.Abandoned
		}
		legal = append(legal, outcomeLabels{who, out, why})
	}
	return legal
}

// waitLabels makes the ending of a hold legal. Unlike a journey, a hold may fail without a cause: nothing is
// wrong, and the QR is not there yet. A session that is linked already is an answer too, no excuse.
func waitLabels(out session.Outcome, why diagnosis.Code) outcomeLabels {
	switch {
	case out == session.Success:
		return outcomeLabels{"", session.Success, diagnosis.None}
	case out == session.Abandoned || why == diagnosis.ClientGone:
		return outcomeLabels{"", session.Abandoned, diagnosis.ClientGone}
	case why == "" || why == diagnosis.None:
		return outcomeLabels{"", session.Failure, diagnosis.None}
	}
	return outcomeLabels{"", session.Failure, diagnosis.New(why).Code}
}

func holdEndings() []outcomeLabels {
	legal := []outcomeLabels{{"", session.Success, diagnosis.None}, {"", session.Failure, diagnosis.None}, {"", session.Abandoned, diagnosis.ClientGone}}
	for _, why := range causes() {
		if why != diagnosis.ClientGone {
			legal = append(legal, outcomeLabels{"", session.Failure, why})
		}
	}
	return legal
}

// probeLabels makes the ending of a probe's run legal. A run is never abandoned: when the prober gives one up,
// that is an error of the prober and no run.
func probeLabels(probe string, why diagnosis.Code) outcomeLabels {
	switch {
	case why == "" || why == diagnosis.None:
		return outcomeLabels{probe, session.Success, diagnosis.None}
	case why == diagnosis.ClientGone:
		return outcomeLabels{probe, session.Failure, diagnosis.Undetermined}
	}
	return outcomeLabels{probe, session.Failure, diagnosis.New(why).Code}
}

func runEndings(probe string) []outcomeLabels {
	legal := []outcomeLabels{{probe, session.Success, diagnosis.None}}
	for _, why := range causes() {
		if why != diagnosis.ClientGone {
			legal = append(legal, outcomeLabels{probe, session.Failure, why})
		}
	}
	return legal
}

// causes is the closed list of diagnoses in a fixed order, without none.
func causes() []diagnosis.Code {
	all := diagnosis.Codes()
	slices.Sort(all)
	return all
}
