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
}

// elsewhere are attacks that are replayed where the servers for them are.
var elsewhere = []absent{
	{what: "a man in the middle of XMPP", why: "nat/xmpp TestCertificate, TestUseTLS, TestSeeOtherHost, TestAttacks"},
	{what: "a man in the middle of STUN, and forged UDP requests", why: "nat TestHostileServer, TestCredentialsThatFail, TestForgedCostNoMemory; agent/app TestUDPRequestsRefused"},
	{what: "a scan of a minute", why: "agent/app TestScanForAMinute, and over real sockets lab/peers TestPeerScan"},
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
	for _, a := range elsewhere {
		t.Logf("attack, %s: %s", a.what, a.why)
	}
	for row := 1; row <= 40; row++ {
		if !shown[row] {
			t.Errorf("row %d is neither shown nor explained", row)
		}
	}
}
