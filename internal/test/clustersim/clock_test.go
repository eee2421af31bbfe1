package clustersim

import "qrgate/internal/store"

// toClock is a record as a replica with its own clock reads it.
func (w *world) toClock(r store.Record, replica int) store.Record {
	if r.Version > 0 {
		r.Version -= w.skew[replica].Milliseconds()
	}
	return r
}

// fromClock is the opposite, for a write.
func (w *world) fromClock(prev int64, r store.Record, replica int) (int64, store.Record) {
	ahead := w.skew[replica].Milliseconds()
	if prev > 0 {
		prev += ahead
	}
	r.Version += ahead
	return prev, r
}
