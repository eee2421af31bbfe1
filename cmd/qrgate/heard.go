package main

import "io"

// cancelOnError is an output whose reader may leave, as head does after its lines: the first write that fails is told, so
// that a run for nobody ends, and ends by tidying up.
type cancelOnError struct {
	io.Writer
	left func()
}

// Write implements io.Writer.
func (h cancelOnError) Write(p []byte) (int, error) {
	n, err := h.Writer.Write(p)
	if err != nil {
		h.left()
	}
	return n, err
}
