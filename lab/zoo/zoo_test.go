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
var later = []absent{}

// unreplayed are the attacks, or parts of them, that need what is not there yet.
var unreplayed = []absent{
	{what: "a man in the middle of bulk data", why: "there is no bulk data"},
	{what: "a man in the middle of XMPP and STUN", why: "nat and nat/xmpp replay it against their own servers"},
	{what: "a rogue DHCP option 43, 17 or 125", why: "there is no discovery yet: milestone 7"},
	{what: "a key passphrase that can be read", why: "there is no Wi-Fi in the model yet; passwords are shown by TestSecrets"},
}

// TestZoo runs every exhibit, and fails when a row of 1 to 40 has neither a
// test nor a reason.
func TestZoo(t *testing.T) {
	all := slices.Concat(cookies(), authentication(), transport(), redirects(), retries(), envelopes(), reaching(), names(), values(), lives(), transfers(), diagnostics())
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
	for _, a := range unreplayed {
		t.Logf("attack, %s: %s", a.what, a.why)
	}
	for row := 1; row <= 40; row++ {
		if !shown[row] {
			t.Errorf("row %d is neither shown nor explained", row)
		}
	}
}
