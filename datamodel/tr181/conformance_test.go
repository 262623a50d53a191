package tr181_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/datamodel/dmtest"
)

// Every declaration is what the table of the Broadband Forum says: name, type,
// limits, notification. Where we allow less, or declare what is deleted there,
// testdata/conformance.txt lists it.
func TestConformance(t *testing.T) {
	const name = "testdata/conformance.txt"
	r := dmtest.Oracle(t, build(t).tree)
	if r.Known < 280 {
		t.Errorf("only %d parameters were compared", r.Known)
	}
	var b strings.Builder
	for _, path := range r.ReadOnly {
		b.WriteString("read-only " + path + "\n")
	}
	for _, path := range r.Old {
		b.WriteString("deleted " + path + "\n")
	}
	if *update {
		if err := os.WriteFile(name, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(b.String(), "\n")); diff != "" {
		t.Errorf("the list of what is narrower than the standard has changed (-update writes it anew):\n%s", diff)
	}
	t.Logf("%d parameters compared, %d narrower, %d of the standard's absent", r.Known, len(r.ReadOnly), len(r.Absent))
}

func TestRoundTrip(t *testing.T) {
	h := build(t)
	h.add("Device.ManagementServer.InformParameter.")
	h.add("Device.XMPP.Connection.")
	h.add("Device.XMPP.Connection.1.Server.")
	dmtest.RoundTrip(t, h.tree)
}
