package app

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	gcInterval    = 2 * time.Second
	manyWaiters   = 1000
	manyGCPercent = 50  // while many requests wait
	gcPercent     = 100 // Go's default
)

// tuneGC collects garbage earlier while many requests wait, unless GOGC is set. Their memory is mostly buffers and
// stacks of net/http, and Go's default lets as much garbage grow: 42 KiB per waiting request, and 33 with 50 %. At
// other times the heap is small, and collecting it earlier would cost more than 10 % of the CPU time.
func (a *App) tuneGC(ctx context.Context) error {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	ticker := time.NewTicker(gcInterval)
	defer ticker.Stop()
	defer debug.SetGCPercent(gcPercent)
	hadMany := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		hasMany := a.waiters() >= manyWaiters
		if hasMany && !hadMany {
			debug.SetGCPercent(manyGCPercent)
		} else if hadMany && !hasMany {
			debug.SetGCPercent(gcPercent)
		}
		hadMany = hasMany
	}
}

const (
	releaseInterval = time.Minute
	minReleasable   = 4 << 20 // bytes; less is not worth a collection
)

// heapState is what decides whether memory goes back to the system.
type heapState struct {
	allocated uint64 // since the start
	live      uint64 // after the last collection
	resident  uint64 // live, garbage, and free memory that the system does not have back
}

func readHeap() heapState {
	samples := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"}, {Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(samples)
	value := func(i int) uint64 { return samples[i].Value.Uint64() }
	return heapState{allocated: value(0), live: value(1), resident: value(2) + value(3) + value(4)}
}

// isReleasable reports whether memory of a quiet process should go back to the system: there is much garbage, and it
// grows so slowly that Go itself would not collect it for minutes.
func (h heapState) isReleasable(before heapState) bool {
	return h.resident > h.live+max(h.live/8, minReleasable) && h.allocated-before.allocated < h.live/2
}

// releaseMemory returns memory to the system while the process is quiet. Go keeps up to twice the live heap: with
// hundreds of paired and idle sessions most of it is garbage of their logins.
func (a *App) releaseMemory(ctx context.Context) error {
	ticker := time.NewTicker(releaseInterval)
	defer ticker.Stop()
	before := readHeap()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		now := readHeap()
		if now.isReleasable(before) {
			debug.FreeOSMemory()
		}
		before = now
	}
}
