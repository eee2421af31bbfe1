package metrics

import (
	"slices"

	"qrgate"
)

// outcomeLabels is the tuple of how something ended: a journey, a hold, a probe's run.
type outcomeLabels struct {
	who     string // origin of a journey, name of a probe, "" for a hold
	outcome qrgate.Outcome
	why     qrgate.Code
}

func (e outcomeLabels) values() []string {
	if e.who == "" {
		return []string{string(e.outcome), string(e.why)}
	}
	return []string{e.who, string(e.outcome), string(e.why)}
}

// isNeutral are the causes that make an ending neither good nor bad.
func isNeutral(why qrgate.Code) bool { return why == qrgate.ClientGone || why == qrgate.AlreadyPaired }

// normalizeOutcome makes any outcome and cause a legal pair: success exactly with none, abandoned only with a cause
// that excuses, failure with every other cause of the closed list. What is not on the list, and a failure
// that names no cause, becomes undetermined.
func normalizeOutcome(out qrgate.Outcome, why qrgate.Code) (qrgate.Outcome, qrgate.Code) {
	switch {
	case out == qrgate.Success:
		return qrgate.Success, qrgate.None
	case isNeutral(why):
		return qrgate.Abandoned, why
	case out == qrgate.Abandoned:
		return qrgate.Abandoned, qrgate.ClientGone
	}
	return qrgate.Failure, qrgate.New(why).Code
}

// journeyEndings lists the legal endings of one origin's journeys.
func journeyEndings(who string) []outcomeLabels {
	legal := []outcomeLabels{{who, qrgate.Success, qrgate.None}}
	for _, why := range causes() {
		out := qrgate.Failure
		if isNeutral(why) {
			out = qrgate.Abandoned
		}
		legal = append(legal, outcomeLabels{who, out, why})
	}
	return legal
}

// waitLabels makes the ending of a hold legal. Unlike a journey, a hold may fail without a cause: nothing is
// wrong, and the QR is not there yet. A session that is linked already is an answer too, no excuse.
func waitLabels(out qrgate.Outcome, why qrgate.Code) outcomeLabels {
	switch {
	case out == qrgate.Success:
		return outcomeLabels{"", qrgate.Success, qrgate.None}
	case out == qrgate.Abandoned || why == qrgate.ClientGone:
		return outcomeLabels{"", qrgate.Abandoned, qrgate.ClientGone}
	case why == "" || why == qrgate.None:
		return outcomeLabels{"", qrgate.Failure, qrgate.None}
	}
	return outcomeLabels{"", qrgate.Failure, qrgate.New(why).Code}
}

func holdEndings() []outcomeLabels {
	legal := []outcomeLabels{{"", qrgate.Success, qrgate.None}, {"", qrgate.Failure, qrgate.None}, {"", qrgate.Abandoned, qrgate.ClientGone}}
	for _, why := range causes() {
		if why != qrgate.ClientGone {
			legal = append(legal, outcomeLabels{"", qrgate.Failure, why})
		}
	}
	return legal
}

// probeLabels makes the ending of a probe's run legal. A run is never abandoned: when the prober gives one up,
// that is an error of the prober and no run.
func probeLabels(probe string, why qrgate.Code) outcomeLabels {
	switch {
	case why == "" || why == qrgate.None:
		return outcomeLabels{probe, qrgate.Success, qrgate.None}
	case why == qrgate.ClientGone:
		return outcomeLabels{probe, qrgate.Failure, qrgate.Undetermined}
	}
	return outcomeLabels{probe, qrgate.Failure, qrgate.New(why).Code}
}

func runEndings(probe string) []outcomeLabels {
	legal := []outcomeLabels{{probe, qrgate.Success, qrgate.None}}
	for _, why := range causes() {
		if why != qrgate.ClientGone {
			legal = append(legal, outcomeLabels{probe, qrgate.Failure, why})
		}
	}
	return legal
}

// causes is the closed list of diagnoses in a fixed order, without none.
func causes() []qrgate.Code {
	all := qrgate.Codes()
	slices.Sort(all)
	return all
}
