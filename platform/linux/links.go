// Links: one RTM_GETLINK dump with 64-bit counters, completed by what only
// ethtool, /sys and the default routes tell.

package linux

import (
	"context"
	"errors"
	"iter"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/platform"
)

// Links yields all links of the namespace, by index.
func (b *backend) Links(ctx context.Context) iter.Seq2[platform.Link, error] {
	return func(yield func(platform.Link, error) bool) {
		links, err := b.links(ctx)
		rows(ctx, links, err, yield)
	}
}

// links reads all links: the row of a port needs the name of its bridge, which
// may come later, so they are not streamed.
func (b *backend) links(ctx context.Context) ([]platform.Link, error) {
	raw, err := b.rawLinks(ctx, 0)
	if err != nil {
		return nil, err
	}
	upstream, err := b.upstream(ctx)
	if err != nil {
		return nil, err
	}
	names := map[int32]string{}
	for _, l := range raw {
		names[l.index] = l.name
	}
	links := make([]platform.Link, 0, len(raw))
	for _, l := range raw {
		links = append(links, l.link(names))
		link := &links[len(links)-1]
		link.Upstream = slices.Contains(upstream, l.index)
		if link.Kind == platform.LinkEthernet && b.radio(l.name) {
			link.Kind = platform.LinkWiFi
		}
	}
	b.speeds(links)
	b.track.see(links, time.Now())
	return links, nil
}

// rawLinks dumps links; mask is an IFLA_EXT_MASK.
func (b *backend) rawLinks(ctx context.Context, mask uint32) ([]rawLink, error) {
	body := make([]byte, unix.SizeofIfInfomsg, unix.SizeofIfInfomsg+8)
	if mask != 0 {
		body = attribute(body, unix.IFLA_EXT_MASK, native.AppendUint32(nil, mask))
	}
	return whole(ctx, b, "netlink link", unix.RTM_GETLINK, body, decodeLink)
}

// skipStats is RTEXT_FILTER_SKIP_STATS (linux/rtnetlink.h): without counters.
const skipStats = 1 << 3

// linkNames tells the names of the links, without their counters.
func (b *backend) linkNames(ctx context.Context) (map[int32]string, error) {
	raw, err := b.rawLinks(ctx, skipStats)
	if err != nil {
		return nil, err
	}
	names := make(map[int32]string, len(raw))
	for _, l := range raw {
		names[l.index] = l.name
	}
	return names, nil
}

// radio says whether a link belongs to a wireless card.
func (b *backend) radio(name string) bool {
	return b.ns == nil && (exists(filepath.Join(b.paths.class, name, "phy80211")) ||
		exists(filepath.Join(b.paths.class, name, "wireless")))
}

// upstream returns the indexes of the links by which the default routes leave.
// It does not read whole tables: IPv4's is listed by address, so that the
// default comes first; IPv6's lists it last, but can be asked for.
func (b *backend) upstream(ctx context.Context) (indexes []int32, err error) {
	err = b.dump(ctx, unix.RTM_GETROUTE, routeRequest(unix.AF_INET), func(_ uint16, msg []byte) bool {
		r, ok := decodeRoute(msg)
		if ok && r.dest == defaultIPv4 {
			for _, h := range r.hops {
				indexes = append(indexes, h.index)
			}
		}
		return !ok || r.dest.Addr().IsUnspecified()
	})
	if err != nil && !errors.Is(err, errInterrupted) {
		return nil, unavailable(ctx, "netlink route", err)
	}
	// An error (ENETUNREACH) says that there is no such route, or no IPv6.
	_ = b.ask(ctx, question(unix.RTM_GETROUTE, 0, fibMatch()), func(_ uint16, msg []byte) bool {
		if r, ok := decodeRoute(msg); ok && r.dest == defaultIPv6 {
			for _, h := range r.hops {
				indexes = append(indexes, h.index)
			}
		}
		return true
	})
	return indexes, ctx.Err()
}

var (
	defaultIPv4 = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	defaultIPv6 = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
)

// fibMatch asks for the entry of the IPv6 table that matches "::", which is
// the default route when there is one.
func fibMatch() []byte {
	body := make([]byte, unix.SizeofRtMsg)
	body[0], body[1] = unix.AF_INET6, 128
	native.PutUint32(body[8:], unix.RTM_F_FIB_MATCH)
	return attribute(body, unix.RTA_DST, make([]byte, 16))
}

// rawLink is what one RTM_NEWLINK says.
type rawLink struct {
	index, master, parent int32
	foreign               bool // parent is an index of another namespace
	hardware              uint16
	flags, mtu            uint32
	minMTU, maxMTU        uint32
	name, kind, device    string
	mac, permanent        string
	operstate, portState  uint8
	port                  bool
	vlan                  uint16
	stats                 platform.LinkStats
}

// decodeLink reads one RTM_NEWLINK (rtnetlink(7)).
func decodeLink(kind uint16, m []byte) (l rawLink, ok bool) {
	if kind != unix.RTM_NEWLINK || len(m) < unix.SizeofIfInfomsg || m[0] != unix.AF_UNSPEC {
		return l, false
	}
	l.hardware, l.index, l.flags = native.Uint16(m[2:]), int32(native.Uint32(m[4:])), native.Uint32(m[8:])
	for typ, v := range attributes(m[unix.SizeofIfInfomsg:]) {
		switch typ {
		case unix.IFLA_IFNAME:
			l.name = text(v)
		case unix.IFLA_ADDRESS:
			l.mac = mac(v)
		case unix.IFLA_PERM_ADDRESS:
			l.permanent = mac(v)
		case unix.IFLA_MTU:
			l.mtu = u32(v)
		case unix.IFLA_MIN_MTU:
			l.minMTU = u32(v)
		case unix.IFLA_MAX_MTU:
			l.maxMTU = u32(v)
		case unix.IFLA_LINK:
			l.parent = int32(u32(v))
		case unix.IFLA_LINK_NETNSID:
			l.foreign = true
		case unix.IFLA_MASTER:
			l.master = int32(u32(v))
		case unix.IFLA_OPERSTATE:
			l.operstate = u8(v)
		case unix.IFLA_PARENT_DEV_NAME:
			l.device = text(v)
		case unix.IFLA_LINKINFO:
			l.info(v)
		case unix.IFLA_STATS64:
			l.stats = decodeStats(v)
		}
	}
	return l, l.name != ""
}

// info reads IFLA_LINKINFO: the kind of the link, and of what it is a port.
func (l *rawLink) info(b []byte) {
	slave := ""
	for typ, v := range attributes(b) {
		switch typ {
		case unix.IFLA_INFO_KIND:
			l.kind = text(v)
		case unix.IFLA_INFO_SLAVE_KIND:
			slave = text(v)
		case unix.IFLA_INFO_DATA:
			if l.kind != "vlan" {
				continue
			}
			for typ, v := range attributes(v) {
				if typ == unix.IFLA_VLAN_ID {
					l.vlan = u16(v)
				}
			}
		case unix.IFLA_INFO_SLAVE_DATA:
			if slave != "bridge" {
				continue
			}
			l.port = true
			for typ, v := range attributes(v) {
				if typ == unix.IFLA_BRPORT_STATE {
					l.portState = u8(v)
				}
			}
		}
	}
}

// decodeStats reads struct rtnl_link_stats64.
func decodeStats(v []byte) platform.LinkStats {
	at := func(i int) uint64 {
		if len(v) < 8*(i+1) {
			return 0
		}
		return native.Uint64(v[8*i:])
	}
	return platform.LinkStats{
		PacketsReceived: at(0), PacketsSent: at(1), BytesReceived: at(2), BytesSent: at(3),
		ErrorsReceived: at(4), ErrorsSent: at(5), DiscardsReceived: at(6), DiscardsSent: at(7),
		MulticastReceived: at(8),
	}
}

// mac prints a hardware address of six bytes that are not all zero.
func mac(v []byte) string {
	const digits = "0123456789abcdef"
	if len(v) != 6 || [6]byte(v) == [6]byte{} {
		return ""
	}
	s := make([]byte, 0, 17)
	for i, c := range v {
		if i > 0 {
			s = append(s, ':')
		}
		s = append(s, digits[c>>4], digits[c&15])
	}
	return string(s)
}

// link makes a row of it.
func (l *rawLink) link(names map[int32]string) platform.Link {
	up := l.flags&unix.IFF_UP != 0
	row := platform.Link{
		Name: l.name, Index: int(l.index), Kind: l.linkKind(), MAC: l.mac, MTU: l.mtu,
		Enabled: up, Running: up && l.flags&unix.IFF_LOWER_UP != 0, State: l.state(), Stats: l.stats,
	}
	if l.port {
		row.Master = names[l.master]
		row.PortState = portStates[min(int(l.portState), len(portStates)-1)]
	}
	if row.Kind == platform.LinkVLAN {
		row.VLANID = l.vlan
		if !l.foreign {
			row.Parent = names[l.parent]
		}
	}
	return row
}

// portStates are BR_STATE_* of linux/if_bridge.h in the words of TR-181.
var portStates = []string{"Disabled", "Listening", "Learning", "Forwarding", "Blocking", ""}

// state puts IFLA_OPERSTATE (RFC 2863 ifOperStatus) into the words of TR-181.
func (l *rawLink) state() string {
	switch {
	case l.operstate == operNotPresent:
		return "NotPresent"
	case l.flags&unix.IFF_UP == 0:
		return "Down"
	}
	switch l.operstate {
	case operDown:
		return "Down"
	case operLowerLayerDown:
		return "LowerLayerDown"
	case operDormant:
		return "Dormant"
	case operUp:
		return "Up"
	case operUnknown: // the driver does not say: loopback, tunnels
		if l.flags&unix.IFF_LOWER_UP != 0 {
			return "Up"
		}
		return "Down"
	}
	return "Unknown"
}

// The values of IFLA_OPERSTATE (linux/if.h).
const (
	operUnknown = iota
	operNotPresent
	operDown
	operLowerLayerDown
	operTesting
	operDormant
	operUp
)

// linkKind goes by the driver, else by the hardware type.
func (l *rawLink) linkKind() platform.LinkKind {
	if l.flags&unix.IFF_LOOPBACK != 0 {
		return platform.LinkLoopback
	}
	switch l.kind {
	case "bridge":
		return platform.LinkBridge
	case "vlan":
		return platform.LinkVLAN
	case "ppp":
		return platform.LinkPPP
	case "veth", "dsa":
		return platform.LinkEthernet
	case "tun", "wireguard", "gre", "gretap", "ip6gre", "ip6gretap", "erspan", "ip6erspan", "ipip", "sit",
		"ip6tnl", "vti", "vti6", "xfrm", "vxlan", "geneve", "gtp", "bareudp", "l2tpeth":
		return platform.LinkTunnel
	}
	switch l.hardware {
	case unix.ARPHRD_PPP:
		return platform.LinkPPP
	case unix.ARPHRD_TUNNEL, unix.ARPHRD_TUNNEL6, unix.ARPHRD_SIT, unix.ARPHRD_IPGRE, unix.ARPHRD_IP6GRE, unix.ARPHRD_NONE:
		return platform.LinkTunnel
	case unix.ARPHRD_ETHER:
		if l.kind == "" {
			return platform.LinkEthernet
		}
	}
	return platform.LinkOther
}
