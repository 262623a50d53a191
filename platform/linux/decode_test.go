// Decoders over messages as kernels send them: kinds of links that not every
// kernel can make, origins of addresses, routes with several ways.

package linux

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"gatehouse/platform"
)

var compareAddrs = cmp.Options{cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})}

// message is encoded by the library, whose encoders are not ours.
func message(fixed []byte, attrs ...*nl.RtAttr) []byte {
	for _, a := range attrs {
		fixed = append(fixed, a.Serialize()...)
		for len(fixed)%4 != 0 {
			fixed = append(fixed, 0)
		}
	}
	return fixed
}

func linkMessage(hardware uint16, index int32, flags uint32, name string, attrs ...*nl.RtAttr) []byte {
	m := nl.NewIfInfomsg(unix.AF_UNSPEC)
	m.Type, m.Index, m.Flags = hardware, index, flags
	return message(m.Serialize(), append([]*nl.RtAttr{
		nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)), nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(1492)),
	}, attrs...)...)
}

func info(kind string, data ...*nl.RtAttr) *nl.RtAttr {
	a := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	a.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated(kind))
	if data != nil {
		d := a.AddRtAttr(nl.IFLA_INFO_DATA|unix.NLA_F_NESTED, nil)
		for _, x := range data {
			d.AddChild(x)
		}
	}
	return a
}

const running = unix.IFF_UP | unix.IFF_RUNNING | unix.IFF_LOWER_UP

func TestDecodeLink(t *testing.T) {
	names := map[int32]string{2: "eth0", 9: "br0"}
	oper := func(n byte) *nl.RtAttr { return nl.NewRtAttr(unix.IFLA_OPERSTATE, []byte{n}) }
	port := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	port.AddRtAttr(nl.IFLA_INFO_SLAVE_KIND, nl.NonZeroTerminated("bridge"))
	port.AddRtAttr(nl.IFLA_INFO_SLAVE_DATA, nil).AddRtAttr(unix.IFLA_BRPORT_STATE, []byte{4})
	bonded := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	bonded.AddRtAttr(nl.IFLA_INFO_SLAVE_KIND, nl.NonZeroTerminated("bond"))
	stats := make([]byte, 0, 200)
	for i := range 25 {
		stats = append(stats, nl.Uint64Attr(uint64(i+1)<<40)...)
	}
	for _, c := range []struct {
		name string
		msg  []byte
		want platform.Link
	}{
		{"vlan", linkMessage(unix.ARPHRD_ETHER, 5, running, "eth0.7", oper(6),
			nl.NewRtAttr(unix.IFLA_LINK, nl.Uint32Attr(2)), info("vlan", nl.NewRtAttr(nl.IFLA_VLAN_ID, nl.Uint16Attr(7)))),
			platform.Link{Name: "eth0.7", Index: 5, Kind: platform.LinkVLAN, Parent: "eth0", VLANID: 7, Enabled: true, Running: true, State: "Up"}},
		{"vlan on a link of another namespace", linkMessage(unix.ARPHRD_ETHER, 5, unix.IFF_UP, "v7", oper(3),
			nl.NewRtAttr(unix.IFLA_LINK, nl.Uint32Attr(2)), nl.NewRtAttr(unix.IFLA_LINK_NETNSID, nl.Uint32Attr(0)),
			info("vlan", nl.NewRtAttr(nl.IFLA_VLAN_ID, nl.Uint16Attr(7)))),
			platform.Link{Name: "v7", Index: 5, Kind: platform.LinkVLAN, VLANID: 7, Enabled: true, State: "LowerLayerDown"}},
		{"pppoe", linkMessage(unix.ARPHRD_PPP, 6, running|unix.IFF_POINTOPOINT, "ppp0", oper(0), info("ppp")),
			platform.Link{Name: "ppp0", Index: 6, Kind: platform.LinkPPP, Enabled: true, Running: true, State: "Up"}},
		{"ppp of an old pppd", linkMessage(unix.ARPHRD_PPP, 6, 0, "ppp0", oper(2)),
			platform.Link{Name: "ppp0", Index: 6, Kind: platform.LinkPPP, State: "Down"}},
		{"gre", linkMessage(unix.ARPHRD_IPGRE, 7, unix.IFF_UP, "gre0", oper(0), info("gre")),
			platform.Link{Name: "gre0", Index: 7, Kind: platform.LinkTunnel, Enabled: true, State: "Down"}},
		{"wireguard", linkMessage(unix.ARPHRD_NONE, 7, running, "wg0", oper(0), info("wireguard")),
			platform.Link{Name: "wg0", Index: 7, Kind: platform.LinkTunnel, Enabled: true, Running: true, State: "Up"}},
		{"dummy", linkMessage(unix.ARPHRD_ETHER, 7, running, "dummy0", oper(0), info("dummy")),
			platform.Link{Name: "dummy0", Index: 7, Kind: platform.LinkOther, Enabled: true, Running: true, State: "Up"}},
		{"port of a switch", linkMessage(unix.ARPHRD_ETHER, 8, running, "lan1", oper(6), nl.NewRtAttr(unix.IFLA_LINK, nl.Uint32Attr(2)), info("dsa")),
			platform.Link{Name: "lan1", Index: 8, Kind: platform.LinkEthernet, Enabled: true, Running: true, State: "Up"}},
		{"port of a bridge", linkMessage(unix.ARPHRD_ETHER, 8, running, "eth1", oper(6), nl.NewRtAttr(unix.IFLA_MASTER, nl.Uint32Attr(9)), port),
			platform.Link{Name: "eth1", Index: 8, Master: "br0", PortState: "Blocking", Enabled: true, Running: true, State: "Up"}},
		{"port of a bond", linkMessage(unix.ARPHRD_ETHER, 8, running, "eth1", oper(6), nl.NewRtAttr(unix.IFLA_MASTER, nl.Uint32Attr(9)), bonded),
			platform.Link{Name: "eth1", Index: 8, Enabled: true, Running: true, State: "Up"}},
		{"waiting for 802.1X", linkMessage(unix.ARPHRD_ETHER, 8, unix.IFF_UP|unix.IFF_LOWER_UP|unix.IFF_DORMANT, "eth1", oper(5)),
			platform.Link{Name: "eth1", Index: 8, Enabled: true, Running: true, State: "Dormant"}},
		{"unplugged card", linkMessage(unix.ARPHRD_ETHER, 8, 0, "eth1", oper(1)),
			platform.Link{Name: "eth1", Index: 8, State: "NotPresent"}},
		{"counters beyond 32 bits", linkMessage(unix.ARPHRD_ETHER, 8, 0, "eth1", oper(2),
			nl.NewRtAttr(unix.IFLA_ADDRESS, []byte{0, 0, 0x5e, 0, 0x53, 0xab}), nl.NewRtAttr(unix.IFLA_STATS64, stats)),
			platform.Link{Name: "eth1", Index: 8, MAC: "00:00:5e:00:53:ab", State: "Down", Stats: platform.LinkStats{
				PacketsReceived: 1 << 40, PacketsSent: 2 << 40, BytesReceived: 3 << 40, BytesSent: 4 << 40,
				ErrorsReceived: 5 << 40, ErrorsSent: 6 << 40, DiscardsReceived: 7 << 40, DiscardsSent: 8 << 40, MulticastReceived: 9 << 40}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			raw, ok := decodeLink(unix.RTM_NEWLINK, c.msg)
			if !ok {
				t.Fatal("refused")
			}
			c.want.MTU = 1492
			if d := cmp.Diff(c.want, raw.link(names)); d != "" {
				t.Error(d)
			}
		})
	}
	bridge := nl.NewIfInfomsg(unix.AF_BRIDGE)
	if _, ok := decodeLink(unix.RTM_NEWLINK, message(bridge.Serialize(), nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated("eth1")))); ok {
		t.Error("a message about a bridge port passes as a link")
	}
}

func TestDecodeAddress(t *testing.T) {
	make6 := func(bits uint8, flags uint32, proto byte, addr string, preferred, valid uint32) []byte {
		m := nl.NewIfAddrmsg(unix.AF_INET6)
		m.Prefixlen, m.Flags, m.Index = bits, uint8(flags), 2
		return message(m.Serialize(), nl.NewRtAttr(unix.IFA_ADDRESS, netip.MustParseAddr(addr).AsSlice()),
			nl.NewRtAttr(unix.IFA_FLAGS, nl.Uint32Attr(flags)), nl.NewRtAttr(ifaProto, []byte{proto}),
			nl.NewRtAttr(unix.IFA_CACHEINFO, slices.Concat(nl.Uint32Attr(preferred), nl.Uint32Attr(valid), make([]byte, 8))))
	}
	make4 := func(flags uint32, local, far string, valid uint32) []byte {
		m := nl.NewIfAddrmsg(unix.AF_INET)
		m.Prefixlen, m.Index = 24, 2
		return message(m.Serialize(), nl.NewRtAttr(unix.IFA_ADDRESS, netip.MustParseAddr(far).AsSlice()),
			nl.NewRtAttr(unix.IFA_LOCAL, netip.MustParseAddr(local).AsSlice()), nl.NewRtAttr(unix.IFA_FLAGS, nl.Uint32Attr(flags)),
			nl.NewRtAttr(unix.IFA_CACHEINFO, slices.Concat(nl.Uint32Attr(valid), nl.Uint32Attr(valid), make([]byte, 8))))
	}
	p := netip.MustParsePrefix
	const permanent = unix.IFA_F_PERMANENT
	for _, c := range []struct {
		name string
		msg  []byte
		want platform.Address
	}{
		{"static", make4(permanent, "192.0.2.7", "192.0.2.7", forever), platform.Address{Prefix: p("192.0.2.7/24"), Permanent: true, Preferred: -1, Valid: -1}},
		{"leased", make4(0, "192.0.2.7", "192.0.2.7", 3600), platform.Address{Prefix: p("192.0.2.7/24"), Dynamic: true, Preferred: time.Hour, Valid: time.Hour}},
		{"second of its network", make4(permanent|unix.IFA_F_SECONDARY, "192.0.2.7", "192.0.2.7", forever),
			platform.Address{Prefix: p("192.0.2.7/24"), Permanent: true, Preferred: -1, Valid: -1}},
		{"with a peer", make4(permanent, "192.0.2.7", "198.51.100.1", forever),
			platform.Address{Prefix: p("192.0.2.7/24"), Peer: netip.MustParseAddr("198.51.100.1"), Permanent: true, Preferred: -1, Valid: -1}},
		{"SLAAC", make6(64, unix.IFA_F_MANAGETEMPADDR, protoRA, "2001:db8::7", 600, 1200),
			platform.Address{Prefix: p("2001:db8::7/64"), Auto: true, Preferred: 10 * time.Minute, Valid: 20 * time.Minute}},
		{"SLAAC without an end", make6(64, permanent, protoRA, "2001:db8::7", forever, forever),
			platform.Address{Prefix: p("2001:db8::7/64"), Auto: true, Preferred: -1, Valid: -1}},
		{"privacy", make6(64, unix.IFA_F_TEMPORARY, 0, "2001:db8::7", 600, 1200),
			platform.Address{Prefix: p("2001:db8::7/64"), Auto: true, Temporary: true, Preferred: 10 * time.Minute, Valid: 20 * time.Minute}},
		{"DHCPv6", make6(128, 0, 0, "2001:db8::7", 600, 1200),
			platform.Address{Prefix: p("2001:db8::7/128"), Dynamic: true, Preferred: 10 * time.Minute, Valid: 20 * time.Minute}},
		{"link-local of the kernel", make6(64, permanent, protoLinkLocal, "fe80::7", forever, forever),
			platform.Address{Prefix: p("fe80::7/64"), Auto: true, Preferred: -1, Valid: -1}},
		{"link-local by hand", make6(64, permanent, 4, "fe80::7", forever, forever),
			platform.Address{Prefix: p("fe80::7/64"), Permanent: true, Preferred: -1, Valid: -1}},
		{"duplicate", make6(64, permanent|unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED, 0, "2001:db8::7", forever, forever),
			platform.Address{Prefix: p("2001:db8::7/64"), Permanent: true, Tentative: true, Duplicate: true, Preferred: -1, Valid: -1}},
		{"deprecated", make6(64, unix.IFA_F_DEPRECATED, protoRA, "2001:db8::7", 0, 60),
			platform.Address{Prefix: p("2001:db8::7/64"), Auto: true, Deprecated: true, Valid: time.Minute}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, index, ok := decodeAddress(unix.RTM_NEWADDR, c.msg)
			if !ok || index != 2 {
				t.Fatalf("index %d, ok %v", index, ok)
			}
			if d := cmp.Diff(c.want, got, compareAddrs); d != "" {
				t.Error(d)
			}
		})
	}
}

func routeMessage(family, bits, protocol, kind byte, attrs ...*nl.RtAttr) []byte {
	m := nl.NewRtMsg()
	m.Family, m.Dst_len, m.Protocol, m.Type = family, bits, protocol, kind
	return message(m.Serialize(), attrs...)
}

func TestDecodeRoute(t *testing.T) {
	ip := func(kind int, s string) *nl.RtAttr { return nl.NewRtAttr(kind, netip.MustParseAddr(s).AsSlice()) }
	oif := nl.NewRtAttr(unix.RTA_OIF, nl.Uint32Attr(2))
	names := map[int32]string{2: "eth0", 3: "eth1"}
	p, a := netip.MustParsePrefix, netip.MustParseAddr
	ways := func() []byte {
		var b []byte
		for i, gw := range []string{"192.0.2.1", "198.51.100.1"} {
			h := nl.RtNexthop{RtNexthop: unix.RtNexthop{Ifindex: int32(2 + i)}, Children: []nl.NetlinkRequestData{ip(unix.RTA_GATEWAY, gw)}}
			b = append(b, h.Serialize()...)
		}
		return b
	}
	for _, c := range []struct {
		name string
		msg  []byte
		want []platform.Route
	}{
		{"default", routeMessage(unix.AF_INET, 0, unix.RTPROT_DHCP, unix.RTN_UNICAST, ip(unix.RTA_GATEWAY, "192.0.2.1"), ip(unix.RTA_PREFSRC, "192.0.2.7"), oif),
			[]platform.Route{{Dest: p("0.0.0.0/0"), Gateway: a("192.0.2.1"), Source: a("192.0.2.7"), Link: "eth0", Protocol: "dhcp"}}},
		{"two ways", routeMessage(unix.AF_INET, 0, unix.RTPROT_STATIC, unix.RTN_UNICAST, nl.NewRtAttr(unix.RTA_MULTIPATH, ways())),
			[]platform.Route{{Dest: p("0.0.0.0/0"), Gateway: a("192.0.2.1"), Link: "eth0", Static: true, Protocol: "static"},
				{Dest: p("0.0.0.0/0"), Gateway: a("198.51.100.1"), Link: "eth1", Static: true, Protocol: "static"}}},
		{"router advertisement", routeMessage(unix.AF_INET6, 0, unix.RTPROT_RA, unix.RTN_UNICAST, ip(unix.RTA_GATEWAY, "fe80::1"), oif,
			nl.NewRtAttr(unix.RTA_PRIORITY, nl.Uint32Attr(1024)), nl.NewRtAttr(unix.RTA_CACHEINFO, slices.Concat(make([]byte, 8), nl.Uint32Attr(180_000), make([]byte, 20)))),
			[]platform.Route{{Dest: p("::/0"), Gateway: a("fe80::1"), Link: "eth0", Metric: 1024, Protocol: "ra", Expires: 30 * time.Minute}}},
		{"IPv4 by an IPv6 gateway", routeMessage(unix.AF_INET, 0, unix.RTPROT_BGP, unix.RTN_UNICAST, oif,
			nl.NewRtAttr(unix.RTA_VIA, append(nl.Uint16Attr(unix.AF_INET6), a("fe80::1").AsSlice()...))),
			[]platform.Route{{Dest: p("0.0.0.0/0"), Gateway: a("fe80::1"), Link: "eth0", Protocol: "bgp"}}},
		{"metric beyond int32", routeMessage(unix.AF_INET, 0, unix.RTPROT_BOOT, unix.RTN_UNICAST, oif, nl.NewRtAttr(unix.RTA_PRIORITY, nl.Uint32Attr(4278198272))),
			[]platform.Route{{Dest: p("0.0.0.0/0"), Link: "eth0", Metric: 1<<31 - 1, Static: true, Protocol: "boot"}}},
		{"unreachable", routeMessage(unix.AF_INET6, 0, unix.RTPROT_STATIC, unix.RTN_UNREACHABLE, oif), nil},
		{"other table", routeMessage(unix.AF_INET, 0, unix.RTPROT_STATIC, unix.RTN_UNICAST, oif, nl.NewRtAttr(unix.RTA_TABLE, nl.Uint32Attr(1000))), nil},
		{"MPLS", routeMessage(unix.AF_MPLS, 0, unix.RTPROT_STATIC, unix.RTN_UNICAST, oif), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []platform.Route
			if raw, ok := decodeRoute(c.msg); ok {
				for _, r := range raw.rows(names) {
					got = append(got, r)
				}
			}
			if d := cmp.Diff(c.want, got, compareAddrs); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestDecodeNeighbor(t *testing.T) {
	make4 := func(state uint16, flags byte, confirmed time.Duration, mac []byte) []byte {
		fixed := slices.Concat([]byte{unix.AF_INET, 0, 0, 0}, nl.Uint32Attr(3), nl.Uint16Attr(state), []byte{flags, 0})
		attrs := []*nl.RtAttr{nl.NewRtAttr(unix.NDA_DST, []byte{192, 168, 1, 7}),
			nl.NewRtAttr(unix.NDA_CACHEINFO, slices.Concat(nl.Uint32Attr(uint32(confirmed/(10*time.Millisecond))), make([]byte, 12)))}
		if mac != nil {
			attrs = append(attrs, nl.NewRtAttr(unix.NDA_LLADDR, mac))
		}
		return message(fixed, attrs...)
	}
	mac := []byte{0, 0, 0x5e, 0, 0x53, 7}
	for _, c := range []struct {
		name       string
		msg        []byte
		ok, active bool
	}{
		{"reachable", make4(unix.NUD_REACHABLE, 0, time.Second, mac), true, true},
		{"stale, seen a minute ago", make4(unix.NUD_STALE, 0, time.Minute, mac), true, true},
		{"stale, seen an hour ago", make4(unix.NUD_STALE, 0, time.Hour, mac), true, false},
		{"failed", make4(unix.NUD_FAILED, 0, time.Minute, mac), true, false},
		{"being asked for", make4(unix.NUD_INCOMPLETE, 0, 0, nil), false, false},
		{"group", make4(unix.NUD_NOARP, 0, 0, mac), false, false},
		{"proxy", make4(unix.NUD_PERMANENT, unix.NTF_PROXY, 0, mac), false, false},
	} {
		n, index, ok := decodeNeighbor(unix.RTM_NEWNEIGH, c.msg)
		if ok != c.ok || n.Active != c.active || ok && (index != 3 || n.MAC != "00:00:5e:00:53:07" || n.Addr != netip.MustParseAddr("192.168.1.7")) {
			t.Errorf("%s: %+v, %v", c.name, n, ok)
		}
	}
}

// scripted answers questions with recorded messages, interrupting some.
func scripted(answers map[uint16][][]byte, kinds map[uint16]uint16, interrupt *int, each func(round int, ask uint16, msgs [][]byte) [][]byte) dumpFunc {
	rounds := map[uint16]int{}
	return func(ctx context.Context, ask uint16, _ []byte, f func(uint16, []byte) bool) error {
		msgs := answers[ask]
		rounds[ask]++
		if each != nil {
			msgs = each(rounds[ask], ask, msgs)
		}
		for _, m := range msgs {
			if !f(kinds[ask], m) {
				return nil
			}
		}
		if ask == unix.RTM_GETROUTE && *interrupt > 0 {
			*interrupt--
			return errInterrupted
		}
		return nil
	}
}

// TestInterruptedDump: rows that were told are not told again, those that were
// missed are; a table that never stands still is unavailable.
func TestInterruptedDump(t *testing.T) {
	kinds := map[uint16]uint16{unix.RTM_GETLINK: unix.RTM_NEWLINK, unix.RTM_GETROUTE: unix.RTM_NEWROUTE}
	answers := map[uint16][][]byte{unix.RTM_GETLINK: {linkMessage(unix.ARPHRD_ETHER, 2, running, "eth0")}}
	for i := range byte(9) {
		answers[unix.RTM_GETROUTE] = append(answers[unix.RTM_GETROUTE],
			routeMessage(unix.AF_INET, 24, unix.RTPROT_STATIC, unix.RTN_UNICAST, nl.NewRtAttr(unix.RTA_DST, []byte{10, 0, i, 0}), nl.NewRtAttr(unix.RTA_OIF, nl.Uint32Attr(2))))
	}
	left := 2
	b := &backend{track: newTracker()}
	b.dump = scripted(answers, kinds, &left, func(round int, ask uint16, msgs [][]byte) [][]byte {
		if ask == unix.RTM_GETROUTE && round < 3 { // some are missed
			return slices.Delete(slices.Clone(msgs), 3*round-3, 3*round)
		}
		return msgs
	})
	seen := map[netip.Prefix]int{}
	for r, err := range b.Routes(t.Context(), false) {
		if err != nil {
			t.Fatal(err)
		}
		seen[r.Dest]++
	}
	if len(seen) != 9 {
		t.Errorf("%d routes, want 9", len(seen))
	}
	for dest, n := range seen {
		if n != 1 {
			t.Errorf("%v told %d times", dest, n)
		}
	}
	left = 1000
	var last error
	for _, err := range b.Routes(t.Context(), false) {
		last = err
	}
	var un *platform.Unavailable
	if !errors.As(last, &un) || !errors.Is(last, errInterrupted) {
		t.Errorf("a table that never stands still: %v", last)
	}
}

func TestTracker(t *testing.T) {
	tr := newTracker()
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	links := func(state string) []platform.Link { return []platform.Link{{Name: "eth0", State: state}} }
	now := links("Up")
	if tr.see(now, at(1)); !now[0].Changed.IsZero() {
		t.Error("what was so when first seen has no time")
	}
	tr.note("eth0", "Down", at(2))
	tr.note("eth0", "Up", at(3))
	tr.note("eth0", "Up", at(4))
	if tr.see(now, at(5)); !now[0].Changed.Equal(at(3)) {
		t.Errorf("changed at %v", now[0].Changed)
	}
	down := links("Down") // the watch was not running
	if tr.see(down, at(6)); !down[0].Changed.Equal(at(6)) {
		t.Errorf("changed at %v", down[0].Changed)
	}
	tr.see(nil, at(7))
	if len(tr.links) != 0 {
		t.Error("a link that is gone is kept")
	}
	tr.note("eth1", "Up", at(8))
	if tr.forget("eth1"); len(tr.links) != 0 {
		t.Error("a link that is gone is kept")
	}
}

// attr makes an attribute of bytes.
func attr(kind int, value ...byte) *nl.RtAttr { return nl.NewRtAttr(kind, value) }

// TestHear: what a datagram of the kernel hints at, and what the watch learns
// of links that nobody reads meanwhile.
func TestHear(t *testing.T) {
	b := &backend{track: newTracker(), deaf: time.Hour}
	var got []platform.Event
	e := &ear{backend: b, names: map[int32]string{4: "br0"}, report: func(ev platform.Event) { got = append(got, ev) },
		rejoin: time.Now()} // does not listen to neighbours: there is no socket
	oper := func(n byte) *nl.RtAttr { return nl.NewRtAttr(unix.IFLA_OPERSTATE, []byte{n}) }
	link := func(kind uint16, name string, state byte) []byte {
		return question(kind, 0, linkMessage(unix.ARPHRD_ETHER, 2, unix.IFF_UP, name, oper(state)))
	}
	bridge := nl.NewIfInfomsg(unix.AF_BRIDGE)
	bridge.Index = 2
	address := nl.NewIfAddrmsg(unix.AF_INET)
	address.Index = 4
	neighbor := slices.Concat([]byte{unix.AF_INET, 0, 0, 0}, nl.Uint32Attr(4), make([]byte, 4))
	oif := nl.NewRtAttr(unix.RTA_OIF, nl.Uint32Attr(2))
	dst := nl.NewRtAttr(unix.RTA_DST, []byte{10, 0, 0, 0})
	eth0 := platform.Event{Topic: platform.LinkChanged, Key: "eth0"}
	for _, c := range []struct {
		name string
		data []byte
		want []platform.Event
	}{
		{"up", link(unix.RTM_NEWLINK, "eth0", operUp), []platform.Event{eth0}},
		{"down and up at once", slices.Concat(link(unix.RTM_NEWLINK, "eth0", operDown), link(unix.RTM_NEWLINK, "eth0", operUp)), []platform.Event{eth0}},
		{"bridge port", question(unix.RTM_NEWLINK, 0, bridge.Serialize()), []platform.Event{eth0}},
		{"address", question(unix.RTM_DELADDR, 0, address.Serialize()), []platform.Event{{Topic: platform.AddressChanged, Key: "br0"}}},
		{"route", question(unix.RTM_NEWROUTE, 0, routeMessage(unix.AF_INET, 8, 4, unix.RTN_UNICAST, oif, dst)), []platform.Event{{Topic: platform.RouteChanged}}},
		{"default route", question(unix.RTM_DELROUTE, 0, routeMessage(unix.AF_INET, 0, 4, unix.RTN_UNICAST, oif)),
			[]platform.Event{{Topic: platform.RouteChanged}, {Topic: platform.LinkChanged}}},
		{"route of another table", question(unix.RTM_NEWROUTE, 0, routeMessage(unix.AF_INET, 8, 4, unix.RTN_UNICAST, oif, dst, nl.NewRtAttr(unix.RTA_TABLE, nl.Uint32Attr(99)))), nil},
		{"neighbour", question(unix.RTM_NEWNEIGH, 0, neighbor), []platform.Event{{Topic: platform.NeighborChanged, Key: "br0"}}},
		{"too short", question(unix.RTM_NEWADDR, 0, []byte{2, 0, 0}), nil},
	} {
		got = nil
		if e.hear(c.data); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	now := []platform.Link{{Name: "eth0", State: "Up"}}
	if b.track.see(now, time.Now()); now[0].Changed.IsZero() {
		t.Error("down and up again left no trace")
	}
	e.hear(link(unix.RTM_NEWLINK, "wan", operUp)) // renamed
	if e.names[2] != "wan" || len(b.track.links) != 1 {
		t.Errorf("after a new name: %v, %v", e.names, b.track.links)
	}
	e.hear(link(unix.RTM_DELLINK, "wan", operDown))
	if _, there := e.names[2]; there || len(b.track.links) != 0 {
		t.Errorf("after the end: %v, %v", e.names, b.track.links)
	}
}
