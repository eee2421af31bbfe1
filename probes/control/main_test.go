package control_test

import (
	"testing"

	"go.uber.org/goleak"

	"qrgate/internal/wasim/wasimtest"
)

func TestMain(m *testing.M) {
	wasimtest.TrustRoot()
	goleak.VerifyTestMain(m)
}
