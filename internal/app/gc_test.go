package app_test

import (
	"testing"

	"qrgate/internal/app"
)

// Memory goes back to the system when there is much of it and the process is quiet.
func TestHeap_IsReleasable(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	for name, c := range map[string]struct {
		live, resident, allocated uint64
		want                      bool
	}{
		"garbage of many logins":      {100 * mib, 190 * mib, 20 * mib, true},
		"a busy process":              {100 * mib, 190 * mib, 400 * mib, false},
		"little garbage":              {100 * mib, 110 * mib, 20 * mib, false},
		"a small process":             {5 * mib, 8 * mib, mib, false},
		"before the first collection": {0, 4 * mib, 4 * mib, false},
	} {
		if got := app.IsReleasable(c.live, c.resident, c.allocated); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
