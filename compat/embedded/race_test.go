//go:build race

package embedded_test

// raceDetector reports that the tests run under the race detector.
const raceDetector = true
