package metrics

import (
	"slices"

	"qrgate"
)

// ending is the tuple of how something ended: a journey, a hold, a probe's run.
type ending struct {
	who     string // origin of a journey, name of a probe, "" for a hold
	outcome qrgate.Outcome
	why     qrgate.Code
}

func (e ending) values() []string {
	if e.who == "" {
		return []string{string(e.outcome), string(e.why)}
	}
	return []string{e.who, string(e.outcome), string(e.why)}
}

// excused are the causes that make an ending neither good nor bad.
func excused(why qrgate.Code) bool { return why == qrgate.ClientGone || why == qrgate.AlreadyPaired }

// lawful makes any outcome and cause a legal pair: success exactly with none, abandoned only with a cause
// that excuses, failure with every other cause of the closed list. What is not on the list, and a failure
// that names no cause, becomes undetermined.
func lawful(out qrgate.Outcome, why qrgate.Code) (qrgate.Outcome, qrgate.Code) {
	switch {
	case out == qrgate.Success:
		return qrgate.Success, qrgate.None
	case excused(why):
		return qrgate.Abandoned, why
	case out == qrgate.Abandoned:
		return qrgate.Abandoned, qrgate.ClientGone
	}
	return qrgate.Failure, qrgate.New(why).Code
}

// journeyEndings lists the legal endings of one origin's journeys.
func journeyEndings(who string) []ending {
	legal := []ending{{who, qrgate.Success, qrgate.None}}
	for _, why := range causes() {
		out := qrgate.Failure
		if excused(why) {
			out = qrgate.Abandoned
		}
		legal = append(legal, ending{who, out, why})
	}
	return legal
}

// heldFor makes the ending of a hold legal. Unlike a journey, a hold may fail without a cause: nothing is
// wrong, and the QR is not there yet. A session that is linked already is an answer too, no excuse.
func heldFor(out qrgate.Outcome, why qrgate.Code) ending {
	switch {
	case out == qrgate.Success:
		return ending{"", qrgate.Success, qrgate.None}
	case out == qrgate.Abandoned || why == qrgate.ClientGone:
		return ending{"", qrgate.Abandoned, qrgate.ClientGone}
	case why == "" || why == qrgate.None:
		return ending{"", qrgate.Failure, qrgate.None}
	}
	return ending{"", qrgate.Failure, qrgate.New(why).Code}
}

func holdEndings() []ending {
	legal := []ending{{"", qrgate.Success, qrgate.None}, {"", qrgate.Failure, qrgate.None}, {"", qrgate.Abandoned, qrgate.ClientGone}}
	for _, why := range causes() {
		if why != qrgate.ClientGone {
			legal = append(legal, ending{"", qrgate.Failure, why})
		}
	}
	return legal
}

// ranTo makes the ending of a probe's run legal. A run is never abandoned: when the prober gives one up,
// that is an error of the prober and no run.
func ranTo(probe string, why qrgate.Code) ending {
	switch {
	case why == "" || why == qrgate.None:
		return ending{probe, qrgate.Success, qrgate.None}
	case why == qrgate.ClientGone:
		return ending{probe, qrgate.Failure, qrgate.Undetermined}
	}
	return ending{probe, qrgate.Failure, qrgate.New(why).Code}
}

func runEndings(probe string) []ending {
	legal := []ending{{probe, qrgate.Success, qrgate.None}}
	for _, why := range causes() {
		if why != qrgate.ClientGone {
			legal = append(legal, ending{probe, qrgate.Failure, why})
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
