//go:build race

package waiting

// perProcessor is lower with the race detector, which needs the processor.
const perProcessor = 2
