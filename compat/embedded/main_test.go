package embedded_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"qrgate/internal/test/whatsappsim/whatsappsimtest"
)

// handshakeTimeout is longer than a handshake that nobody answers outlives its engine, which is 20 s, a constant of the
// library. A busy machine is sometimes caught in one at the end of a test.
const handshakeTime = 25 * time.Second

// TestMain trusts the simulator before any client of the process connects: the root is global.
func TestMain(m *testing.M) {
	whatsappsimtest.TrustRoot()
	code := m.Run()
	if code == 0 {
		code = leaks()
	}
	os.Exit(code)
}

// leaks waits for every goroutine to end, and says which did not.
func leaks() int {
	began := time.Now()
	for {
		err := goleak.Find() // it tries for a while itself
		if err == nil {
			return 0
		}
		if time.Since(began) > handshakeTime {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
}
