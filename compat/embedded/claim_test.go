package embedded_test

import (
	"strings"
	"testing"

	"qrgate/compat/embedded"
)

// A second engine on the same sessions would take every linked phone from the first: it does not begin. When the
// first has ended it may.
func TestOneEngineHasTheSessions(t *testing.T) {
	t.Parallel()
	r, srv := onLoopback(t, embedded.Config{DataDir: t.TempDir()})
	r.connect("first")
	r.scan(srv, "first", "5550100")
	for range 2 { // a refusal leaves nothing behind
		_, err := embedded.New(r.config)
		if err == nil || !strings.Contains(err.Error(), "in use by another gate") || !strings.Contains(err.Error(), "QRGATE_DATA_DIR") {
			t.Fatalf("a second engine: %v", err)
		}
	}
	r.untilStatus("first", "connected", patience)
	r.stop()
	start(t, r.config).untilStatus("first", "connected", patience)
}
