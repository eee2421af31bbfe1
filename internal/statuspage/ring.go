package statuspage

// ring keeps the newest values that were put in, at most as many as it was asked to keep.
type ring[T any] struct {
	values []T
	next   int
}

// put adds a value; the oldest of keep goes when there is no room.
func (r *ring[T]) put(v T, keep int) {
	if len(r.values) < keep {
		r.values = append(r.values, v)
		return
	}
	r.values[r.next] = v
	r.next = (r.next + 1) % keep
}

// newest returns all values, the newest first, in a slice of its own.
func (r *ring[T]) newest() []T {
	out := make([]T, 0, len(r.values))
	for i := range r.values {
		n := len(r.values)
		out = append(out, r.values[(r.next+n-1-i)%n])
	}
	return out
}
