// The device's name, the resolver, the relay, and whom they ask.

package platformtest

import (
	"context"
	"testing"

	"gatehouse/platform"
)

func testHost(t *testing.T, w world) {
	if w.Config == nil || w.Host == nil {
		t.Skip("this platform does not configure its name")
	}
	testFixed(t, w, w.Host, func(c *platform.HostConfig) { c.Name = "gw-1.example" })
}

func testNaming(t *testing.T, w world) {
	if w.Config == nil || w.Naming == nil {
		t.Skip("this platform does not configure names")
	}
	testFixed(t, w, w.Naming, func(c *platform.DNSConfig) { c.RelayEnabled = !c.RelayEnabled })
}

func testForwards(t *testing.T, w world) {
	if w.Config == nil || w.Forwards == nil {
		t.Skip("this platform does not configure name servers")
	}
	via := "" // interfaces are links
	if w.Interfaces.Table != nil {
		via = w.inside()
	}
	for _, relay := range []bool{true, false} {
		if relay && w.Naming == nil || !relay && w.RelayOnly {
			continue // there is no relay, or nothing else
		}
		fresh := forwardsOf{w.Forwards, relay, via}
		testLife(t, w, fresh, func(f *platform.DNSForward) { f.Enabled, f.Server = true, addr("192.0.2.55") },
			func(f *platform.DNSForward) { f.Server = addr("2001:db8::55") })
		testLife(t, w, fresh, func(f *platform.DNSForward) { f.Server = addr("192.0.2.56") },
			func(f *platform.DNSForward) { f.Enabled = true })
	}
}

// forwardsOf are the forwards whose fresh rows are the relay's, or the client's
// on an interface.
type forwardsOf struct {
	platform.Table[platform.DNSForward]
	relay bool
	via   string
}

// Fresh returns a row of its kind.
func (f forwardsOf) Fresh(ctx context.Context) (string, platform.DNSForward, error) {
	key, row, err := f.Table.Fresh(ctx)
	if row.Relay = f.relay; !f.relay {
		row.Interface = f.via
	}
	return key, row, err
}
