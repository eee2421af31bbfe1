package acquire

import (
	"context"
	"errors"
	"time"

	"qrgate/internal/session"
	"qrgate/internal/store"
)

// The replicas that share a store share what they know of a credential's rate limit: a record counts the calls of all
// of them, those in flight too. It is written and read beside the calls, which wait for neither.

const (
	kindLimits   = "rl"
	minLimitsTTL = time.Minute // also while most of each window is left
	maxLimitsTTL = 15 * time.Minute
	limitsName   = "limits:" // no session's canonical name has a colon
)

// storedLimits are the windows of a rate limit as stored. Times count from the write: no two clocks are compared.
type storedLimits struct {
	Windows []storedWindow `json:"windows"`
	Pause   time.Duration  `json:"pause"`  // no call for so long
	Polled  time.Duration  `json:"polled"` // since the last poll
	TTL     time.Duration  `json:"ttl"`    // of the record
}

type storedWindow struct {
	session.RateLimit
	Length time.Duration
}

// export returns what other replicas need to know at now. Each wrong key that a client presents has a record, so a
// record lives only as long as a new replica would not learn as much from its first call.
func (r rateLimiter) export(now time.Time) storedLimits {
	ttl := min(max(minLimitsTTL, r.idleAt().Sub(now)), maxLimitsTTL)
	s := storedLimits{Pause: max(0, r.pausedUntil.Sub(now)), TTL: ttl}
	for _, w := range r.windows {
		limit := session.RateLimit{Max: w.limit, Remaining: w.remaining, Reset: w.resetAt.Sub(now)}
		s.Windows = append(s.Windows, storedWindow{limit, w.length})
	}
	return s
}

// merge takes over what other replicas stored at a moment. Calls of this replica that they do not know of yet count on
// top. hasNews reports that the engine has stated its limits since this replica last wrote: the smaller number counts
// then. A present window of this replica that began at another time stays: the engine counts each address by itself.
func (r rateLimiter) merge(s storedLimits, at time.Time, unknown int, hasNews bool, now time.Time) rateLimiter {
	r = r.markUsed(at)
	r.pausedUntil = latest(r.pausedUntil, at.Add(s.Pause))
	before := r.windows
	r.windows = nil
	for _, w := range before {
		if i := s.find(w.limit); i < 0 || now.Before(w.resetAt) {
			r.windows = append(r.windows, w)
		}
	}
	for _, stored := range s.Windows {
		w := window{stored.Max, max(0, stored.Remaining-unknown), at.Add(stored.Reset), stored.Length}
		isKnown := false
		for i := range r.windows {
			mine := &r.windows[i]
			if mine.limit != w.limit {
				continue
			}
			isKnown = true
			switch isSame := mine.resetAt.Sub(w.resetAt).Abs() <= resetTolerance; {
			case isSame && hasNews:
				mine.remaining = min(mine.remaining, w.remaining)
			case isSame:
				mine.remaining = w.remaining
			}
		}
		if !isKnown {
			r.windows = append(r.windows, w)
		}
	}
	return r
}

// isEmpty reports whether the engine has stated no limits.
func (s storedLimits) isEmpty() bool { return len(s.Windows) == 0 && s.Pause == 0 }

func (s storedLimits) find(limit int) int {
	for i, w := range s.Windows {
		if w.Max == limit {
			return i
		}
	}
	return -1
}

// sharedLimits is the state of a tenant's record. The tenant's lock guards it.
type sharedLimits struct {
	version   int64 // of the record as last read or written
	unknown   int   // calls of this replica that the record does not count
	hasNews   bool  // the engine has stated its limits since the last write
	mustWrite bool
	mustRead  bool
	isBusy    bool
}

func (tn *tenant) limitsKey() recordKey { return recordKey{tn.caller, limitsName} }

// consume counts a call that is sent at now; the caller holds tn.mu.
func (tn *tenant) consume(now time.Time) {
	tn.limiter = tn.limiter.consume(now)
	tn.shared.unknown++
	tn.shareLimits(true)
}

// refund takes back a call that never reached the engine; the caller holds tn.mu.
func (tn *tenant) refund() {
	tn.limiter = tn.limiter.refund()
	tn.shared.unknown--
	tn.shareLimits(true)
}

// shareLimits writes the limits for other replicas, or reads theirs; the caller holds tn.mu.
func (tn *tenant) shareLimits(isWrite bool) {
	if !tn.m.cfg.SharesStore {
		return
	}
	tn.shared.mustWrite = tn.shared.mustWrite || isWrite
	tn.shared.mustRead = tn.shared.mustRead || !isWrite
	if !tn.shared.isBusy {
		tn.shared.isBusy = true
		tn.m.wg.Go(tn.syncLimits)
	}
}

func (tn *tenant) readSharedLimits() {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	tn.shareLimits(false)
}

// syncLimits reads and writes the record until nothing is left to do, or the store fails.
func (tn *tenant) syncLimits() {
	for {
		tn.mu.Lock()
		now, s := time.Now(), &tn.shared
		if !s.mustRead && !s.mustWrite || tn.m.base.Err() != nil {
			s.isBusy = false
			tn.mu.Unlock()
			return
		}
		isRead := s.mustRead
		known, counted, prev := tn.limiter.export(now), s.unknown, s.version
		known.Polled = now.Sub(tn.lastPoll)
		hadNews := s.hasNews
		if s.mustRead = false; !isRead {
			s.mustWrite, s.hasNews = false, false
		}
		tn.mu.Unlock()
		if isRead {
			tn.readLimits(tn.m.base)
			continue
		}
		version, err := prev, error(nil)
		if !known.isEmpty() {
			version = max(prev+1, now.UnixMilli())
			r := store.Record{Version: version, TTL: known.TTL}
			err = tn.m.store.put(tn.m.base, tn.limitsKey(), kindLimits, known, prev, r)
		}
		tn.mu.Lock()
		switch {
		case err == nil:
			s.version, s.unknown = version, s.unknown-counted
		case errors.Is(err, store.ErrVersionConflict):
			s.mustRead, s.mustWrite, s.hasNews = true, true, s.hasNews || hadNews
		}
		tn.mu.Unlock()
	}
}

// readLimits merges what other replicas wrote.
func (tn *tenant) readLimits(ctx context.Context) {
	records, err := tn.m.store.store.Get(ctx, tn.m.store.key(tn.limitsKey(), kindLimits))
	if err != nil {
		return
	}
	var stored storedLimits
	now, r := time.Now(), records[0]
	isReadable := tn.m.store.open(tn.limitsKey(), kindLimits, r, &stored)
	tn.mu.Lock()
	defer tn.mu.Unlock()
	if r.Version <= tn.shared.version {
		return
	}
	if tn.shared.version = r.Version; isReadable {
		writtenAt := now.Add(r.TTL - stored.TTL)
		tn.limiter = tn.limiter.merge(stored, writtenAt, tn.shared.unknown, tn.shared.hasNews, now)
		tn.lastPoll = latest(tn.lastPoll, writtenAt.Add(-stored.Polled))
		tn.wake.set()
	}
}
