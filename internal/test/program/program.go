// Package program finds the external programs that tests need.
package program

import (
	"os"
	"os/exec"
	"testing"
)

// Find returns the path of the first of these programs that is installed. Without one it skips the test, or fails it
// if QRGATE_REQUIRE_ALL is 1, as in CI. The text says which Debian package has the program.
func Find(t testing.TB, debian string, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("QRGATE_REQUIRE_ALL") == "1" {
		t.Fatalf("%s is not installed, and QRGATE_REQUIRE_ALL=1 requires every test", names[0])
	}
	t.Skipf("%s is not installed: apt-get install %s", names[0], debian)
	return ""
}
