package probes_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if moment := os.Getenv(killAt); moment != "" {
		os.Exit(killed(moment))
	}
	goleak.VerifyTestMain(m)
}
