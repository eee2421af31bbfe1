package acquire

import (
	"slices"
	"time"

	"qrgate/internal/session"
)

// batcher decides whether the polls of a tenant are made by one list call or one by one, and how far a list is
// trusted. All that is known about lists that lie stands here: an engine makes its list from a database that may lag,
// may hide codes, may be too large to be read or may end before the session. The tenant's lock guards it.
type batcher struct {
	inFlight      bool             // a list call
	lastListAt    time.Time        // when the last list call ended
	disabledUntil time.Time        // the list is not used before this
	lastSingleAt  time.Time        // the last poll of one session while several waited
	verifiesUntil time.Time        // such a poll is in flight: the list waits for its answer, no longer than this
	evidence      *session.Session // its own route just showed a code, which the next list must show too
	done          chan struct{}
}

const (
	batchWindow        = 700 * time.Millisecond // polls that are due this close are made by one list call
	listGrace          = 5 * time.Second        // for so long after a connect, a list without a code is believed
	listVerifyInterval = 3 * time.Second        // between two polls that verify the list
	listCooldown       = 15 * time.Second       // a list that failed is not used for so long: it may have been the engine
	hidingListCooldown = 10 * time.Minute       // the same for one that hides codes or lags: it will again
	listEvidenceTTL    = 2 * time.Second        // for so long, a code of the session's own route speaks against a list
	verifyTimeout      = time.Second            // how long the list waits for the answer of a poll that verifies it
	minListInterval    = time.Second            // a list read so lately is not read again to resolve a name
)

// plan is how the next polls are made.
type plan struct {
	list   bool
	single *request  // nil: nothing now
	wakeAt time.Time // nothing before this; zero if not known
}

// next plans the polls of the given requests, which are due or nearly due, the oldest session first.
func (b *batcher) next(requests []*request, now time.Time) plan {
	due := slices.IndexFunc(requests, func(r *request) bool { return !r.at.After(now) })
	if due < 0 {
		return plan{}
	}
	var batch []*request
	for _, r := range requests {
		if !r.tracker.noBatch && !r.authCheck {
			batch = append(batch, r)
		}
	}
	usesList := len(batch) > 1 && now.After(b.disabledUntil)
	if usesList && now.Before(b.verifiesUntil) {
		return plan{wakeAt: b.verifiesUntil}
	}
	if usesList && !b.mustVerify(batch[0], now) {
		return plan{list: !b.inFlight}
	}
	single := requests[due]
	if len(batch) > 1 && single.kind == pollStatus && !single.verify {
		asQR := *single // only the code itself speaks for or against the list
		asQR.kind = pollQR
		single = &asQR
	}
	return plan{single: single}
}

// mustVerify reports whether the list has shown nothing for so long that one session is polled alone.
func (b *batcher) mustVerify(oldest *request, now time.Time) bool {
	return now.Sub(oldest.since) > listGrace && now.Sub(b.lastSingleAt) > listVerifyInterval
}

// startSingle records a single poll at now; verifies says that others wait whom the list could answer.
func (b *batcher) startSingle(verifies bool, now time.Time) {
	b.lastSingleAt = now
	if verifies && now.After(b.disabledUntil) {
		b.verifiesUntil = now.Add(verifyTimeout)
	}
}

// finishSingle records that a single poll was answered.
func (b *batcher) finishSingle() { b.verifiesUntil = time.Time{} }

// noteCode records that the own route of a session just showed a code while others wait: the next list must show it
// too. It reports whether that list is worth reading at once.
func (b *batcher) noteCode(noBatch bool, shown session.Session, others int, now time.Time) bool {
	if others < 2 || noBatch || !now.After(b.disabledUntil) {
		return false
	}
	b.evidence = &shown
	return !b.inFlight
}

// start marks a list call and returns the session that it must show.
func (b *batcher) start() *session.Session {
	evidence := b.evidence
	b.inFlight, b.evidence, b.done = true, nil, make(chan struct{})
	return evidence
}

// finish ends a list call at now.
func (b *batcher) finish(now time.Time) {
	b.inFlight, b.lastListAt = false, now
	close(b.done)
}

// verdict is what a list call means for one session.
type verdict struct {
	report  session.SessionReport
	err     error
	ignore  bool // it says nothing about the session
	noBatch bool // from now on the session is polled alone
}

// listResult is what a list call returned.
type listResult struct {
	list      session.SessionList
	err       error
	startedAt time.Time
}

// judge disables the list if it failed or contradicts the evidence, and returns whether it contradicts.
func (b *batcher) judge(r listResult, evidence *session.Session, now time.Time) (contradicts bool) {
	contradicts = r.err == nil && evidence != nil && listContradicts(*evidence, r.list, r.startedAt)
	switch {
	case listFailed(r.err):
		b.disabledUntil = now.Add(listCooldown)
	case contradicts:
		b.disabledUntil = now.Add(hidingListCooldown)
	}
	return contradicts
}

// verdictOf is what a list means for session s. A session that the list does not show, or whose code it hides, is
// polled alone from now on. A list without a code is no proof that there is none, so it counts as "not ready".
func verdictOf(s session.Session, r listResult, contradicts bool) verdict {
	if r.err != nil {
		return verdict{err: r.err, ignore: listFailed(r.err)}
	}
	for _, report := range r.list.Sessions {
		if !report.Ref.Matches(s.Ref) {
			continue
		}
		v := verdict{report: report, noBatch: report.State == session.AwaitingScan && report.Image.Empty()}
		if report.Image.Empty() && report.State != session.Connected && s.State == session.Connecting {
			v.err = &session.EngineError{Op: session.OpList, Kind: session.KindNotReady}
			v.ignore = contradicts
		}
		return v
	}
	return verdict{ignore: true, noBatch: true}
}

// listFailed reports whether a list failed for a reason that may be the list's own: it is larger than what is read,
// too slow, broken, or not there at all. That says nothing about one session, whose own route is polled instead.
func listFailed(err error) bool {
	switch session.KindOf(err) {
	case session.KindBadResponse, session.KindServerError, session.KindTimeout, session.KindSessionNotFound,
		session.KindNotReady:
		return true
	}
	return false
}

// listContradicts reports whether a list has no code of session s, whose own route showed one just before the list
// was requested. What was shown earlier proves nothing: it may have been scanned or replaced since.
func listContradicts(s session.Session, list session.SessionList, startedAt time.Time) bool {
	i := slices.IndexFunc(list.Sessions, func(r session.SessionReport) bool { return r.Ref.Matches(s.Ref) })
	q := s.QR
	isEvidence := q.Present() && !q.SeenAt.After(startedAt) && startedAt.Sub(q.SeenAt) <= listEvidenceTTL
	if i < 0 || !isEvidence || q.TTL(list.At) <= 0 {
		return false
	}
	return list.Sessions[i].Image.Empty() && list.Sessions[i].State != session.Connected
}
