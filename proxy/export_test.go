package proxy

import (
	"fmt"
)

// Decisions that the tests look at directly.
var (
	CheckPath      = checkPath
	ValidRequestID = validRequestID
)

// FindRoute is what the gate makes of a path, given the templates of the routes.
func FindRoute(templates []string, path string) (route string, near bool) {
	return routeSet(templates).find(path)
}

// Templates are the routes that the front serves itself.
func (f *Handler) Templates() []string { return f.routeSet }

// ScanHead feeds a connection's bytes to a headScan in pieces of the given size, and returns what it found.
func ScanHead(wire string, piece int) (bad, coded bool) {
	var s headScan
	for len(wire) > 0 {
		n := min(piece, len(wire))
		s.feed([]byte(wire[:n]))
		wire = wire[n:]
	}
	return s.bad, s.chunked
}

// WhyFailed prints what a failed call is answered with.
func WhyFailed(err, client, cause error) string { return fmt.Sprint(classifyError(err, client, cause)) }

// OriginsKnown is how many origins a front remembers.
func OriginsKnown(f *Handler) int {
	f.cors.mu.Lock()
	defer f.cors.mu.Unlock()
	return len(f.cors.known)
}
