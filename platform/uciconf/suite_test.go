package uciconf

import (
	"testing"

	"gatehouse/platform"
	"gatehouse/platform/platformtest"
)

// TestTables runs the suite that every backend passes, on vanilla files.
func TestTables(t *testing.T) {
	platformtest.Tables(t, func(t *testing.T) (platform.Platform, platformtest.Knobs) {
		var p platform.Platform
		vanilla(t).Fill(&p)
		return p, platformtest.Knobs{Bridge: "br-lan", Spare: "eth9", Inside: "lan", Outside: "wan"}
	})
}
