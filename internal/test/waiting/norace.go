//go:build !race

package waiting

// perProcessor is the number of parallel tests for each processor.
const perProcessor = 4
