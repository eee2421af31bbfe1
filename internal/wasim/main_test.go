package wasim_test

import (
	"testing"

	"go.uber.org/goleak"

	"qrgate/internal/wasim/wasimtest"
)

func TestMain(m *testing.M) {
	wasimtest.TrustRoot() // before any test signs anything
	goleak.VerifyTestMain(m)
}
