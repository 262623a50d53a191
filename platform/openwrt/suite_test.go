package openwrt_test

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"gatehouse/platform"
	"gatehouse/platform/platformtest"
)

// TestPlatform runs the suite that every backend passes.
func TestPlatform(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to make a network namespace")
	}
	if testing.Short() {
		t.Skip("half of it is the kernel's, which package linux is tested with")
	}
	platformtest.Run(t, func(t *testing.T) (platform.Platform, platformtest.Knobs) {
		b := newBench(t)
		b.must(os.RemoveAll(filepath.Join(b.root, "proc"))) // its processes are those of this machine
		b.must(os.Symlink("/proc", filepath.Join(b.root, "proc")))
		b.must(b.h.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "spare0"}, PeerName: "far-spare0"}))
		b.must(b.h.LinkSetUp(b.link("spare0")))
		b.must(b.h.LinkSetUp(b.link("far-spare0")))
		b.address("wan", "2001:db8::2/64")
		b.settle("wan", "spare0", "br-lan")
		return b.platform, platformtest.Knobs{
			WAN: "wan", Bridge: "br-lan", Port: "lan1", Spare: "spare0", Inside: "lan", Outside: "wan",
			SetLink: func(name string, up bool) {
				if up {
					b.must(b.h.LinkSetUp(b.link("far-" + name)))
				} else {
					b.must(b.h.LinkSetDown(b.link("far-" + name)))
				}
			},
			SetAddress: func(a platform.Address) { b.address(a.Link, a.Prefix.String()) },
			RemoveAddress: func(a platform.Address) {
				b.must(b.h.AddrDel(b.link(a.Link), &netlink.Addr{IPNet: ipNet(a.Prefix)}))
			},
			AddRoutes: func(rs ...platform.Route) {
				index := map[string]int{}
				for _, r := range rs {
					if index[r.Link] == 0 {
						index[r.Link] = b.link(r.Link).Attrs().Index
					}
					b.must(b.h.RouteAdd(&netlink.Route{
						Dst: ipNet(r.Dest), Gw: net.IP(r.Gateway.AsSlice()), LinkIndex: index[r.Link], Priority: int(r.Metric), Protocol: unix.RTPROT_STATIC,
					}))
				}
			},
		}
	})
}

// TestStates runs the suite of what platforms with configuration of their own
// tell beside it.
func TestStates(t *testing.T) {
	b := newBench(t)
	platformtest.States(t, b.platform)
}

func (b *bench) address(link, prefix string) {
	b.Helper()
	b.must(b.h.AddrAdd(b.link(link), &netlink.Addr{IPNet: ipNet(netip.MustParsePrefix(prefix))}))
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: net.IP(p.Addr().AsSlice()), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// settle waits until links have the address that the kernel gives them when
// they run.
func (b *bench) settle(names ...string) {
	b.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		ready := map[string]bool{}
		for _, a := range all(b, b.platform.Addresses.Addresses(b.Context())) {
			ready[a.Link] = ready[a.Link] || a.Prefix.Addr().IsLinkLocalUnicast() && !a.Tentative
		}
		missing := ""
		for _, n := range names {
			if !ready[n] {
				missing = n
			}
		}
		if missing == "" {
			return
		}
		if time.Now().After(end) {
			b.Fatalf("%s does not come up", missing)
		}
	}
}
