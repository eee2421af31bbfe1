// Package waiting is for the tests that mostly wait for real time to pass, not for the processor.
package waiting

import (
	"flag"
	"runtime"
	"strconv"
	"testing"

	"go.uber.org/goleak"
)

// Main is a TestMain with goleak. It runs several times as many parallel tests at once as go test does, unless
// -parallel is given.
func Main(m *testing.M, options ...goleak.Option) {
	flag.Parse()
	isGiven := false
	flag.Visit(func(f *flag.Flag) { isGiven = isGiven || f.Name == "test.parallel" })
	if !isGiven {
		_ = flag.Set("test.parallel", strconv.Itoa(perProcessor*runtime.GOMAXPROCS(0)))
	}
	goleak.VerifyTestMain(m, options...)
}
