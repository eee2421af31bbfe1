package probes

import (
	"slices"
	"sync"
)

// keptResults is how many results of each probe and outcome are stored, so that successes do not displace the failures
// that operators look for.
const keptResults = 30

// results are the results of a prober's runs and what it knows of its targets. They contain no code.
type results struct {
	mu      sync.Mutex
	past    map[string][]Result    // by probe and outcome, newest last
	healthy map[string]bool        // by probe and target: the last run succeeded
	codes   map[string]fingerprint // by target: the last code
	orphans map[string]orphans     // by target
}

func newResults() *results {
	return &results{past: map[string][]Result{}, healthy: map[string]bool{}, codes: map[string]fingerprint{}}
}

// record stores a result and reports whether the health of the probe changed. A first success is no change.
func (r *results) record(result Result) (changed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kind := result.Probe + " " + string(result.Outcome)
	past := append(r.past[kind], result)
	r.past[kind] = past[max(0, len(past)-keptResults):]
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
	for _, past := range r.past {
		all = append(all, past...)
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
