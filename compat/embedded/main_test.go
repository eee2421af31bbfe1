package embedded_test

import (
	"testing"

	"go.uber.org/goleak"

	"qrgate/internal/wasim/wasimtest"
)

// TestMain trusts the simulator before any client of the process connects: the root is global.
func TestMain(m *testing.M) {
	wasimtest.TrustRoot()
	goleak.VerifyTestMain(m)
}
