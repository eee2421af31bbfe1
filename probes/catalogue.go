package probes

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"
)

// probe is one way of a client. The function does the walking; what it found stands in the journey.
type probe struct {
	name    string
	limit   time.Duration // of one run, cleanup excluded
	session bool          // it makes a session: one replica at a time, and never without an intent
	walk    func(context.Context, *run)
}

func catalogue() map[string]probe {
	return map[string]probe{
		EngineHealth:    {EngineHealth, 5 * time.Second, false, engineHealth},
		CreateDelete:    {CreateDelete, 20 * time.Second, true, createDelete},
		CreateConnectQR: {CreateConnectQR, 45 * time.Second, true, createConnectQR},
	}
}

// Names lists the probes, the cheapest first.
func Names() []string { return []string{EngineHealth, CreateDelete, CreateConnectQR} }

func list() string { return strings.Join(slices.Sorted(maps.Keys(catalogue())), ", ") }

// limitOf is how long a run may take: the probe's own limit, the configured one, and on a schedule always
// so much less than the interval that the next run finds the way free.
func limitOf(p probe, configured, every time.Duration) time.Duration {
	limit := p.limit
	if configured > 0 {
		limit = min(limit, configured)
	}
	if every > 0 {
		limit = min(limit, every*4/5)
	}
	return limit
}
