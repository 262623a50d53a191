// How the time is kept.

package platformtest

import (
	"testing"

	"gatehouse/platform"
)

func testTiming(t *testing.T, w world) {
	if w.Config == nil || w.Timing == nil {
		t.Skip("this platform does not configure the time")
	}
	testFixed(t, w, w.Timing, func(c *platform.TimeConfig) {
		c.Enabled, c.Zone, c.Name = true, "EST5EDT,M3.2.0,M11.1.0", ""
		c.Servers = []string{"ntp1.example.net", "192.0.2.123", "2001:db8::123"}
	})
	key := all(t, w.Timing.Rows(t.Context()))[0].Key
	testChange(t, w, w.Timing, key, func(c *platform.TimeConfig) { c.Servers = c.Servers[1:2] })
	testChange(t, w, w.Timing, key, func(c *platform.TimeConfig) { c.Enabled = false })
}
