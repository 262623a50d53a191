// A router in a network namespace of its own, for the tests that need the real
// kernel. They are skipped, with a word, where we may not make one.

package linux

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"gatehouse/lab/rooms"
	"gatehouse/platform"
	"gatehouse/platform/platformtest"
)

// bench is a namespace with the ports that the suite wants; the far end of
// each cable is in it as well.
type bench struct {
	t  testing.TB
	ns *os.File
	h  *netlink.Handle
}

func newBench(t testing.TB) *bench {
	r := rooms.New(t)
	h := r.Handle()
	b := &bench{t, r.File, h}
	for _, name := range []string{"wan0", "lan0", "spare0"} {
		b.must(h.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: "far-" + name}))
		b.must(h.LinkSetUp(b.link(name)), h.LinkSetUp(b.link("far-"+name)))
	}
	b.must(h.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}))
	// The port first: it gives the bridge the MAC of which its address is made.
	b.must(h.LinkSetMaster(b.link("lan0"), b.link("br0")), h.LinkSetUp(b.link("br0")))
	b.address("wan0", "192.0.2.2/24")
	b.address("wan0", "2001:db8::2/64")
	b.address("br0", "192.168.1.1/24")
	b.route(platform.Route{Dest: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("192.0.2.1"), Link: "wan0"})
	b.settle("wan0", "spare0", "br0")
	return b
}

// settle waits until the links run and have the link-local addresses that the
// kernel gives them then.
func (b *bench) settle(names ...string) {
	b.t.Helper()
	p := b.platform()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var failed error
	look := func() {
		ready := map[string]bool{}
		for a, err := range p.Addresses.Addresses(ctx) {
			if failed = err; err != nil {
				break
			}
			ready[a.Link] = ready[a.Link] || a.Prefix.Addr().IsLinkLocalUnicast()
		}
		for _, name := range names {
			if !ready[name] {
				return
			}
		}
		cancel()
	}
	lo := b.link("lo")
	poked := make(chan struct{})
	go func() { // once the watch listens, this is what it hears
		defer close(poked)
		b.h.LinkSetAlias(lo, "settle")
	}()
	defer func() { <-poked }()
	look()
	if err := p.Events.Watch(ctx, func(platform.Event) { look() }); !errors.Is(err, context.Canceled) {
		b.t.Fatalf("the links do not come up: %v, %v", err, failed)
	}
}

func (b *bench) must(errs ...error) {
	b.t.Helper()
	if err := errors.Join(errs...); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) link(name string) netlink.Link {
	b.t.Helper()
	l, err := b.h.LinkByName(name)
	b.must(err)
	return l
}

func (b *bench) address(link, prefix string) {
	b.t.Helper()
	b.must(b.h.AddrAdd(b.link(link), &netlink.Addr{IPNet: ipNet(netip.MustParsePrefix(prefix))}))
}

func (b *bench) route(r platform.Route) {
	b.t.Helper()
	b.must(b.h.RouteAdd(&netlink.Route{
		Dst: ipNet(r.Dest), Gw: net.IP(r.Gateway.AsSlice()), LinkIndex: b.link(r.Link).Attrs().Index,
		Priority: int(r.Metric), Protocol: unix.RTPROT_STATIC,
	}))
}

func (b *bench) platform() platform.Platform {
	b.t.Helper()
	p, err := New(Options{NetNS: b.ns})
	b.must(err)
	return p
}

func (b *bench) knobs() platformtest.Knobs {
	far := map[string]netlink.Link{}
	for _, name := range []string{"wan0", "lan0", "spare0"} {
		far[name] = b.link("far-" + name)
	}
	return platformtest.Knobs{
		WAN: "wan0", Bridge: "br0", Port: "lan0", Spare: "spare0",
		SetLink: func(name string, up bool) {
			if up {
				b.must(b.h.LinkSetUp(far[name]))
			} else {
				b.must(b.h.LinkSetDown(far[name]))
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
					Dst: ipNet(r.Dest), Gw: net.IP(r.Gateway.AsSlice()), LinkIndex: index[r.Link],
					Priority: int(r.Metric), Protocol: unix.RTPROT_STATIC,
				}))
			}
		},
	}
}

// TestPlatform runs the suite that every backend passes, on the real kernel.
func TestPlatform(t *testing.T) {
	platformtest.Run(t, func(t *testing.T) (platform.Platform, platformtest.Knobs) {
		b := newBench(t)
		return b.platform(), b.knobs()
	})
}
