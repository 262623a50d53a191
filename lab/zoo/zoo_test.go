package zoo

import (
	"slices"
	"testing"
)

// exhibit is one failure of the field, as a test. Several may show one row.
type exhibit struct {
	row  int
	name string
	show func(t *testing.T)
}

// absent is a row, or the part of one, that cannot be shown yet.
type absent struct {
	row       int
	what, why string
}

// later lists what the zoo lacks, with the reason.
var later = []absent{
	{35, "faults of a Download", "there are no transfers yet: they come after milestone 7"},
	{36, "TransferComplete never, twice, or with a foreign CommandKey", "there are no transfers yet: they come after milestone 7"},
	{38, "diagnostics that stay Requested", "there are no diagnostics yet: they come after milestone 7"},
	{39, "IPPing to a bad host, and during a periodic Inform", "there are no diagnostics yet: they come after milestone 7"},
}

// TestZoo runs every exhibit, and fails when a row of 1 to 40 has neither a
// test nor a reason.
func TestZoo(t *testing.T) {
	all := slices.Concat(cookies(), authentication(), transport(), redirects(), retries(), envelopes(), reaching(), names(), values(), lives())
	shown := map[int]bool{}
	seen := map[string]bool{}
	for _, e := range all {
		shown[e.row] = true
		if seen[e.name] {
			t.Errorf("%s is there twice", e.name)
		}
		seen[e.name] = true
		t.Run(e.name, func(t *testing.T) { t.Parallel(); e.show(t) })
	}
	for _, a := range later {
		shown[a.row] = true
		t.Logf("row %d, %s: %s", a.row, a.what, a.why)
	}
	for row := 1; row <= 40; row++ {
		if !shown[row] {
			t.Errorf("row %d is neither shown nor explained", row)
		}
	}
}
