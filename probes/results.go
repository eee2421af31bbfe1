package probes

import (
	"slices"
	"sync"

	"qrgate/internal/session"
)

// How many results of each probe are stored.
const (
	keptRuns     = 30
	keptFailures = 10
)

// history is the last results of one probe. Failures stay longer, because operators look for them.
type history struct {
	recent   []Result // newest last
	failures []Result // no longer in recent
}

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

// results are the results of a prober's runs and what it knows of its targets. They contain no code.
type results struct {
	mu      sync.Mutex
	past    map[string]history     // by probe
	healthy map[string]bool        // by probe and target: the last run succeeded
	codes   map[string]fingerprint // by target: the last code
	active  map[string]bool        // by session: its run is in progress
	orphans map[string]orphans     // by target
}

func newResults() *results {
	return &results{
		past: map[string]history{}, healthy: map[string]bool{}, active: map[string]bool{},
		codes: map[string]fingerprint{},
	}
}

// record stores a result and reports whether the health of the probe changed. A first success is no change.
func (r *results) record(result Result) (changed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.past[result.Probe] = r.past[result.Probe].with(result)
	if result.SkipReason != "" {
		return false
	}
	key := result.Probe + " " + result.Target
	was, known := r.healthy[key]
	r.healthy[key] = result.Healthy()
	return known && was != result.Healthy() || !known && !result.Healthy()
}

// all returns the stored results, newest first.
func (r *results) all() []Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []Result
	for _, h := range r.past {
		all = append(append(all, h.failures...), h.recent...)
	}
	slices.SortStableFunc(all, func(a, b Result) int { return b.StartedAt.Compare(a.StartedAt) })
	return all
}

// recordCode stores a target's code and reports whether it differs from the one before.
func (r *results) recordCode(target string, code fingerprint) (isNew bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	last, known := r.codes[target]
	r.codes[target] = code
	return !known || last != code
}

func (r *results) setActive(session string, active bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !active {
		delete(r.active, session)
		return
	}
	r.active[session] = true
}

func (r *results) isActive(session string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.active[session]
}

func (r *results) setOrphans(orphans map[string]orphans) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.orphans = orphans
}

// orphansAt returns the orphans of one target; those of others do not block it.
func (r *results) orphansAt(target string) orphans {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.orphans[target]
}

// orphanCount is the number of orphans of all targets.
func (r *results) orphanCount() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, o := range r.orphans {
		n += o.n
	}
	return n
}
