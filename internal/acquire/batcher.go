package acquire

import (
	"slices"
	"time"

	"qrgate/internal/session"
)

// batcher decides whether the polls of a tenant are made by one list call or one by one, and how far a list is
// trusted: an engine makes its list from a database that may lag, may hide codes, may be too large to be read or may
// end before the session. The tenant's lock guards it.
type batcher struct {
	inFlight      bool             // a list call
	lastListAt    time.Time        // when the last list call ended
	nextListAt    time.Time        // no list before this
	disabledUntil time.Time        // the list is not used before this
	lastSingleAt  time.Time        // the last poll of one session while several waited
	verifiesUntil time.Time        // such a poll is in flight: the list waits for its result, no longer than this
	evidence      *session.Session // its own route just showed a code, which the next list must show too
	done          chan struct{}
}

const (
	batchWindow        = 700 * time.Millisecond // polls that are due this close are made by one list call
	listGrace          = 5 * time.Second        // for so long after a connect, a list without a code is not verified
	listVerifyInterval = 3 * time.Second        // between two polls that verify the list
	listCooldown       = 15 * time.Second       // a list that failed is not used for so long: it may have been the engine
	hidingListCooldown = 10 * time.Minute       // the same for one that hides codes or lags: it will again
	listEvidenceTTL    = 2 * time.Second        // for so long, a code of the session's own route is evidence about a list
	verifyTimeout      = time.Second            // how long the list waits for the result of a poll that verifies it
	listInterval       = 620 * time.Millisecond // between the starts of two lists: each is news for all sessions
	minListInterval    = time.Second            // a list read so recently is not read again to resolve a name
)

// plan is how the next polls are made.
type plan struct {
	list   bool
	single *request  // nil: nothing now
	due    *request  // the oldest poll that is due
	others bool      // the list could show more than one session that waits
	wakeAt time.Time // when the next poll may be due; zero if not known
}

// isBatchable reports whether a list call can replace the poll.
func (r *request) isBatchable(now time.Time) bool {
	return r.kind != recoverQR && !r.demand.needsAuthCheck && !r.tracker.polledAlone && r.at.Before(now.Add(batchWindow))
}

// next plans the polls that trackers want, the oldest connect first. A list is news for the sessions that other
// replicas poll, too; elsewhere is their number.
func (b *batcher) next(requests []*request, elsewhere int, now time.Time) plan {
	var p plan
	var oldest, due *request
	batchable := 0
	for _, r := range requests {
		if r.at.After(now) && (p.wakeAt.IsZero() || r.at.Before(p.wakeAt)) {
			p.wakeAt = r.at
		}
		if !r.at.After(now) && due == nil {
			due = r
		}
		if r.isBatchable(now) {
			batchable++
			if oldest == nil {
				oldest = r
			}
		}
	}
	if due == nil {
		return p
	}
	p.due = due
	p.others = batchable > 1 || elsewhere > 0 && due.isBatchable(now)
	usesList := p.others && now.After(b.disabledUntil)
	if usesList && now.Before(b.verifiesUntil) {
		return plan{wakeAt: b.verifiesUntil}
	}
	mustVerify := usesList && now.Sub(oldest.since) > listGrace && now.Sub(b.lastSingleAt) > listVerifyInterval
	if usesList && !mustVerify {
		p.list = !b.inFlight && !now.Before(b.nextListAt) // after its end, run continues
		if !b.inFlight && !p.list {
			p.wakeAt = b.nextListAt
		}
		return p
	}
	p.single = due
	if p.others && due.kind == pollStatus && !due.verify {
		asQR := *due // only the code itself is evidence about the list
		asQR.kind = pollQR
		p.single = &asQR
	}
	return p
}

// startSingle records a single poll at now; others reports that the list could show more sessions that wait.
func (b *batcher) startSingle(others bool, now time.Time) {
	b.lastSingleAt = now
	if others && now.After(b.disabledUntil) {
		b.verifiesUntil = now.Add(verifyTimeout)
	}
}

// recordCode records that the own route of a session just showed a code while others wait: the next list must show it
// too. It reports whether that list is worth reading at once.
func (b *batcher) recordCode(shown session.Session, others int, now time.Time) bool {
	if others < 2 || !now.After(b.disabledUntil) {
		return false
	}
	b.evidence = &shown
	return !b.inFlight
}

// start records the start of a list call and returns the session that it must show.
func (b *batcher) start(now time.Time) *session.Session {
	evidence := b.evidence
	b.nextListAt = now.Add(listInterval)
	b.inFlight, b.evidence, b.done = true, nil, make(chan struct{})
	return evidence
}

// listResult is the outcome of a list call.
type listResult struct {
	list      session.SessionList
	err       error
	startedAt time.Time
}

// finish records the end of a list call. It disables the list if it failed or contradicts the evidence, and returns
// whether it contradicts.
func (b *batcher) finish(r listResult, evidence *session.Session, now time.Time) (contradicts bool) {
	contradicts = r.err == nil && evidence != nil && r.lacksCodeOf(evidence)
	switch {
	case r.failed():
		b.disabledUntil = now.Add(listCooldown)
	case contradicts:
		b.disabledUntil = now.Add(hidingListCooldown)
	}
	b.inFlight, b.lastListAt = false, now
	close(b.done)
	return contradicts
}

// resultFor is what the list means for session s. A session that the list does not show, or whose code it hides, is
// polled alone from now on. A list without a code is no proof that there is none, so it counts as "not ready".
func (r listResult) resultFor(s *session.Session, contradicts bool) pollResult {
	p := pollResult{op: session.OpList, err: r.err, startedAt: r.startedAt, ignore: r.failed()}
	if r.err != nil {
		return p
	}
	i := slices.IndexFunc(r.list.Sessions, func(report session.SessionReport) bool { return report.Ref.Matches(s.Ref) })
	if i < 0 {
		p.ignore, p.polledAlone = true, !contradicts
		return p
	}
	p.report = r.list.Sessions[i]
	switch {
	case s.History.Codes.IsReplaced(p.report.Image): // the list lags behind the session's own route
		p.ignore, p.polledAlone = true, true
	case p.report.Image.Empty():
		p.polledAlone = p.report.State == session.AwaitingScan && !contradicts
		if p.report.State != session.Connected && s.State == session.Connecting {
			p.err, p.ignore = &session.EngineError{Op: session.OpList, Kind: session.KindNotReady}, contradicts
		}
	}
	return p
}

// failed reports whether a list failed for a reason that may be the list's own: it is larger than what is read, too
// slow, broken, or not there at all. That is no news about one session, whose own route is polled instead.
func (r listResult) failed() bool {
	switch session.KindOf(r.err) {
	case session.KindBadResponse, session.KindServerError, session.KindTimeout, session.KindSessionNotFound,
		session.KindNotReady:
		return true
	}
	return false
}

// lacksCodeOf reports whether the list has no code of session s, whose own route showed one just before the list was
// requested. What was shown earlier proves nothing: it may have been scanned or replaced since.
func (r listResult) lacksCodeOf(s *session.Session) bool {
	sinceShown := r.startedAt.Sub(s.QR.SeenAt)
	isEvidence := s.QR.Present() && sinceShown >= 0 && sinceShown <= listEvidenceTTL && s.QR.TTL(r.list.At) > 0
	return isEvidence && slices.ContainsFunc(r.list.Sessions, func(report session.SessionReport) bool {
		return report.Ref.Matches(s.Ref) && report.Image.Empty() && report.State != session.Connected
	})
}
