package whatsappsim_test

import (
	"testing"

	"go.uber.org/goleak"

	"qrgate/internal/test/whatsappsim/whatsappsimtest"
)

func TestMain(m *testing.M) {
	whatsappsimtest.TrustRoot() // before any test signs anything
	goleak.VerifyTestMain(m)
}
