package fake

import (
	"net/netip"
	"testing"

	"gatehouse/platform"
	"gatehouse/platform/platformtest"
)

// TestPlatform runs the suite that every backend passes, on both kinds of router.
func TestPlatform(t *testing.T) {
	t.Run("links", func(t *testing.T) { suite(t, New, "", "") })
	t.Run("logical", func(t *testing.T) { suite(t, NewLogical, "lan", "wan") })
}

func suite(t *testing.T, router func() *Router, inside, outside string) {
	platformtest.Run(t, func(t *testing.T) (platform.Platform, platformtest.Knobs) {
		r := router()
		wan := func(l string) bool { return l == "eth0" }
		for _, a := range r.state.addresses {
			if wan(a.Link) {
				r.RemoveAddress(a)
			}
		}
		r.RemoveRoutes(func(x platform.Route) bool { return wan(x.Link) })
		for _, p := range []string{"192.0.2.2/24", "2001:db8::2/64"} {
			a := platform.Address{Link: "eth0", Prefix: netip.MustParsePrefix(p), Permanent: true, Preferred: -1, Valid: -1}
			r.SetAddress(a)
			r.AddRoute(connected(a))
		}
		r.AddRoute(platform.Route{Dest: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("192.0.2.1"), Link: "eth0", Static: true, Protocol: "static"})
		r.EditLink("spare0", func(l *platform.Link) { l.MAC = "00:00:5e:00:53:77" })
		return r.Platform(), platformtest.Knobs{
			WAN: "eth0", Bridge: "br-lan", Port: "eth1", Spare: "spare0", Inside: inside, Outside: outside,
			SetLink: r.SetLink,
			SetAddress: func(a platform.Address) {
				a.Permanent, a.Preferred, a.Valid = true, -1, -1
				r.SetAddress(a)
			},
			RemoveAddress: r.RemoveAddress, AddRoutes: r.AddRoute,
		}
	})
}

// TestStates: what the router tells beside its tables is of rows that they have.
func TestStates(t *testing.T) {
	for _, router := range []func() *Router{New, NewLogical} {
		r := router()
		r.EditSSID("default_radio1", func(s *platform.SSID) { s.Enabled = true })
		platformtest.States(t, r.Platform())
	}
}
