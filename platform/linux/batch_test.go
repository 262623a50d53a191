// Changes on the real kernel, beyond what all backends have in common.

package linux

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"gatehouse/platform"
)

func routesOf(t *testing.T, p platform.Platform, dest string) (found []platform.Route) {
	t.Helper()
	want := netip.MustParsePrefix(dest)
	for r, err := range p.Routes.Routes(t.Context(), want.Addr().Is6()) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Dest == want {
			found = append(found, r)
		}
	}
	return found
}

// TestMultipath: a route with two ways is read as two rows; taking one of them
// out is refused, since the kernel would delete both.
func TestMultipath(t *testing.T) {
	b := newBench(t)
	p := b.platform()
	b.must(b.h.RouteAdd(&netlink.Route{
		Dst: ipNet(netip.MustParsePrefix("10.10.0.0/16")), Protocol: unix.RTPROT_STATIC,
		MultiPath: []*netlink.NexthopInfo{
			{LinkIndex: b.link("wan0").Attrs().Index, Gw: net.IPv4(192, 0, 2, 1)},
			{LinkIndex: b.link("br0").Attrs().Index, Gw: net.IPv4(192, 168, 1, 9)},
		},
	}))
	ways := routesOf(t, p, "10.10.0.0/16")
	if len(ways) != 2 || ways[0].Link != "wan0" || ways[1].Link != "br0" {
		t.Fatalf("%+v", ways)
	}
	batch, err := p.Network.Begin(t.Context())
	b.must(err)
	item := batch.DeleteRoute(ways[1])
	var blame *platform.ItemError
	if err := batch.Prepare(t.Context()); !errors.As(err, &blame) || blame.Item != item || !errors.Is(err, platform.ErrUnsupported) {
		t.Errorf("Prepare: %v", err)
	}
	// Off and on again with one of its links, it has both ways.
	batch, err = p.Network.Begin(t.Context())
	b.must(err)
	batch.SetLink("wan0", false)
	b.must(batch.Prepare(t.Context()))
	_, err = batch.Commit(t.Context())
	b.must(err, batch.Rollback(t.Context()))
	if after := routesOf(t, p, "10.10.0.0/16"); !slices.Equal(ways, after) {
		t.Errorf("after Rollback %+v", after)
	}
}

// TestExpiringRoute: what ends is put back with its end.
func TestExpiringRoute(t *testing.T) {
	b := newBench(t)
	be := newBackend(Options{NetNS: b.ns})
	p := b.platform()
	body := routeRequest(unix.AF_INET6)
	body[1], body[5], body[7] = 48, unix.RTPROT_STATIC, unix.RTN_UNICAST
	body = attribute(body, unix.RTA_DST, netip.MustParseAddr("2001:db8:77::").AsSlice())
	body = attribute(body, unix.RTA_OIF, native.AppendUint32(nil, uint32(b.link("wan0").Attrs().Index)))
	body = attribute(body, rtaExpires, native.AppendUint32(nil, 600))
	b.must(be.change(t.Context(), unix.RTM_NEWROUTE, unix.NLM_F_CREATE, body))
	batch, err := p.Network.Begin(t.Context())
	b.must(err)
	batch.DeleteRoute(platform.Route{Dest: netip.MustParsePrefix("2001:db8:77::/48")})
	b.must(batch.Prepare(t.Context()))
	_, err = batch.Commit(t.Context())
	b.must(err)
	if left := routesOf(t, p, "2001:db8:77::/48"); len(left) != 0 {
		t.Fatalf("left %+v", left)
	}
	b.must(batch.Rollback(t.Context()))
	after := routesOf(t, p, "2001:db8:77::/48")
	if len(after) != 1 || after[0].Expires.Seconds() < 500 || after[0].Expires.Seconds() > 600 {
		t.Errorf("after Rollback %+v", after)
	}
}

// TestIPv6Off: an address of a family that the link does not have is refused
// before anything is done.
func TestIPv6Off(t *testing.T) {
	b := newBench(t)
	p := b.platform()
	be := newBackend(Options{NetNS: b.ns})
	b.must(be.inside(func() error { return os.WriteFile("/proc/sys/net/ipv6/conf/spare0/disable_ipv6", []byte("1"), 0) }))
	batch, err := p.Network.Begin(t.Context())
	b.must(err)
	item := batch.AddAddress(platform.Address{Link: "spare0", Prefix: netip.MustParsePrefix("2001:db8:1::1/64")})
	var blame *platform.ItemError
	if err := batch.Prepare(t.Context()); !errors.As(err, &blame) || blame.Item != item {
		t.Errorf("Prepare: %v", err)
	}
	for l, err := range p.IPv6.IPv6Links(t.Context()) {
		b.must(err)
		if (l.Link == "spare0") == l.Enabled {
			t.Errorf("%+v", l)
		}
	}
}

// TestSpeed: a virtual Ethernet pair says that it runs at ten gigabits.
func TestSpeed(t *testing.T) {
	b := newBench(t)
	for l, err := range b.platform().Links.Links(t.Context()) {
		b.must(err)
		if l.Name == "wan0" && (l.MaxBitRate != 10_000 || !l.FullDuplex) {
			t.Errorf("%+v", l)
		}
	}
}
