package fleet

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"
)

// condition is how fit an engine is for a new session, the best first.
type condition int

const (
	isHealthy condition = iota
	isUp                // it responds, and its probes or its sessions fail
	isDown
)

// candidate is an engine for a new session.
type candidate struct {
	name      string
	weight    int
	condition condition
}

// place orders the engines for a new session: healthy ones first, and among those by weighted rendezvous hashing, so
// that every replica, and every attempt, begins with the same engine. An engine of weight 0 gets no session. The result
// are indexes.
func place(candidates []candidate, key string) []int {
	var order []int
	for i, c := range candidates {
		if c.weight > 0 {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(i, j int) int {
		a, b := candidates[i], candidates[j]
		return cmp.Or(cmp.Compare(a.condition, b.condition), cmp.Compare(score(b, key), score(a, key)))
	})
	return order
}

// score is higher with the probability weight / (sum of all weights).
func score(c candidate, key string) float64 {
	sum := sha256.Sum256([]byte(c.name + "\x00" + key))
	uniform := (float64(binary.BigEndian.Uint64(sum[:])>>11) + .5) / (1 << 53) // in (0, 1)
	return -float64(c.weight) / math.Log(uniform)
}
