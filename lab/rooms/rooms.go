// Package rooms gives tests what they need of the machine: network namespaces
// of their own with cables between them, and programs of Debian. A test that
// does not get it is skipped, with a word; with GATEHOUSE_PEERS=must it fails.
package rooms

import (
	"os"
	"os/exec"
	"testing"
)

// Must says that nothing may be lacking.
func Must() bool { return os.Getenv("GATEHOUSE_PEERS") == "must" }

// Lacking skips the test, or fails it where nothing may be lacking.
func Lacking(t testing.TB, format string, args ...any) {
	t.Helper()
	if Must() {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// Need is for tests that run these programs.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			Lacking(t, "needs %s: make check-peers, as root, installs it", p)
		}
	}
}
