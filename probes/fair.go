package probes

import (
	"context"
	"errors"
	"fmt"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// fairAnswer is what a target may take for one answer before its silence is held against it: the health probe
// allows as much.
const fairAnswer = 5 * time.Second

// ignoreShortTimeout is a step's failure, unless the target had no fair chance: a time-out of a scrape or of the command line
// that is too short for any QR is the caller's mistake, and no word about the target.
func (j *run) ignoreShortTimeout(walking context.Context, f *failure, took time.Duration) *failure {
	if f == nil || !j.manual {
		return f
	}
	ended := errors.Is(context.Cause(walking), context.DeadlineExceeded)
	switch {
	case f.code == diagnosis.QRNotEmitted && !f.told && took < session.SymptomDelay:
		return tooShort("a QR", took, session.SymptomDelay)
	case (f.code == diagnosis.EngineTimeout || f.code == diagnosis.EngineUnreachable) && ended && took < fairAnswer:
		return tooShort("an answer", took, fairAnswer)
	}
	return f
}

func tooShort(what string, had, fair time.Duration) *failure {
	return &failure{missed: SkipTooShort, evidence: []string{
		fmt.Sprintf("%s was waited for %.1f s, and may take %.0f s; give the run more time", what, had.Seconds(), fair.Seconds())}}
}
