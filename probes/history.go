package probes

import (
	"slices"
	"sync"

	"qrgate/internal/session"
)

// What is kept of each probe.
const (
	keptRuns     = 30
	keptFailures = 10
)

// history is the last runs of one probe. Failures stay after successes have rotated them out: they are
// what somebody will look for.
type history struct {
	recent   []Result // newest last
	failures []Result // rotated out of recent
}

// with is h and one more run.
func (h history) with(r Result) history {
	h.recent = append(slices.Clone(h.recent), r)
	if len(h.recent) <= keptRuns {
		return h
	}
	oldest := h.recent[0]
	h.recent = h.recent[1:]
	if oldest.Outcome == session.Failure {
		h.failures = append(slices.Clone(h.failures), oldest)
		h.failures = h.failures[max(0, len(h.failures)-keptFailures):]
	}
	return h
}

// results is what a prober remembers of its runs. Nothing in it can be scanned.
type results struct {
	mu     sync.Mutex
	past   map[string]history     // :: probe → runs
	well   map[string]bool        // :: probe and target → the last run succeeded
	codes  map[string]fingerprint // :: target → the last code
	active map[string]bool        // :: session → its run is under way
	left   map[string]orphans     // :: target → what should be gone there
}

func newLedger() *results {
	return &results{past: map[string]history{}, well: map[string]bool{}, codes: map[string]fingerprint{}, active: map[string]bool{}}
}

// record takes a run into the history. It reports whether its verdict differs from that of the run before
// it; the first success is no change.
func (l *results) record(r Result) (changed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.past[r.Probe] = l.past[r.Probe].with(r)
	if r.SkipReason != "" {
		return false
	}
	about := r.Probe + " " + r.Target
	was, known := l.well[about]
	l.well[about] = r.Healthy()
	return known && was != r.Healthy() || !known && !r.Healthy()
}

// runs are all that are kept, newest first.
func (l *results) runs() []Result {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []Result
	for _, h := range l.past {
		all = append(append(all, h.failures...), h.recent...)
	}
	slices.SortStableFunc(all, func(a, b Result) int { return b.StartedAt.Compare(a.StartedAt) })
	return all
}

// fresh reports whether a target's code differs from the one before it, and remembers it.
func (l *results) fresh(target string, print fingerprint) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	last, seen := l.codes[target]
	l.codes[target] = print
	return !seen || last != print
}

func (l *results) enter(session string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.active[session] = true
}

func (l *results) leave(session string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.active, session)
}

func (l *results) isActive(session string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.active[session]
}
