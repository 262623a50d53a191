// Routes of the main table, streamed: ten thousand cost eight bytes each, to
// know after an interrupted dump what was told already.

package linux

import (
	"context"
	"errors"
	"hash/maphash"
	"iter"
	"math"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/platform"
)

// Routes yields the main table of one family.
func (b *backend) Routes(ctx context.Context, ipv6 bool) iter.Seq2[platform.Route, error] {
	return func(yield func(platform.Route, error) bool) {
		names, err := b.linkNames(ctx)
		if err != nil {
			yield(platform.Route{}, err)
			return
		}
		family := byte(unix.AF_INET)
		if ipv6 {
			family = unix.AF_INET6
		}
		told := told{seed: maphash.MakeSeed()}
		for range dumpAttempts {
			more := true
			err = b.dump(ctx, unix.RTM_GETROUTE, routeRequest(family), func(_ uint16, msg []byte) bool {
				r, ok := decodeRoute(msg)
				if !ok {
					return true
				}
				for _, row := range r.rows(names) {
					if !told.add(row) {
						continue
					}
					if ctx.Err() != nil || !yield(row, nil) {
						more = false
						return false
					}
				}
				return true
			})
			if !more && ctx.Err() == nil {
				return
			}
			if !errors.Is(err, errInterrupted) {
				break
			}
			told.again()
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			yield(platform.Route{}, unavailable(ctx, "netlink route", err))
		}
	}
}

// told remembers which rows were yielded, so that a repeated dump adds those
// that are missing and no others.
type told struct {
	seed   maphash.Seed
	hashes []uint64
	known  int // so many are sorted: those of the dumps before
}

// routeID is what makes a route another route.
type routeID struct {
	dest    netip.Prefix
	gateway netip.Addr
	link    string
	metric  int32
}

func (t *told) add(r platform.Route) bool {
	h := maphash.Comparable(t.seed, routeID{r.Dest, r.Gateway, r.Link, r.Metric})
	if _, found := slices.BinarySearch(t.hashes[:t.known], h); found {
		return false
	}
	t.hashes = append(t.hashes, h)
	return true
}

func (t *told) again() {
	slices.Sort(t.hashes)
	t.known = len(t.hashes)
}

// routeRequest asks for the main table of a family.
func routeRequest(family byte) []byte {
	body := make([]byte, unix.SizeofRtMsg)
	body[0], body[4] = family, unix.RT_TABLE_MAIN
	return body
}

// rawRoute is what one RTM_NEWROUTE says. It lives until the next is decoded.
type rawRoute struct {
	dest     netip.Prefix
	source   netip.Addr
	metric   uint32
	protocol uint8
	expires  time.Duration
	hops     []hop
}

type hop struct {
	gateway netip.Addr
	index   int32
}

// decodeRoute reads one RTM_NEWROUTE. Entries of other tables, of the cache,
// and those that lead nowhere (unreachable, blackhole) are not routes here.
func decodeRoute(m []byte) (r rawRoute, ok bool) {
	if len(m) < unix.SizeofRtMsg || m[7] != unix.RTN_UNICAST || native.Uint32(m[8:])&unix.RTM_F_CLONED != 0 {
		return r, false
	}
	family, bits, table := m[0], int(m[1]), uint32(m[4])
	dest := netip.IPv4Unspecified()
	switch family {
	case unix.AF_INET:
	case unix.AF_INET6:
		dest = netip.IPv6Unspecified()
	default:
		return r, false
	}
	r.protocol = m[5]
	var one hop
	for typ, v := range attributes(m[unix.SizeofRtMsg:]) {
		switch typ {
		case unix.RTA_TABLE:
			table = u32(v)
		case unix.RTA_DST:
			dest, _ = netip.AddrFromSlice(v)
		case unix.RTA_GATEWAY:
			one.gateway, _ = netip.AddrFromSlice(v)
		case unix.RTA_VIA: // a gateway of the other family: sa_family, address
			if len(v) > 2 {
				one.gateway, _ = netip.AddrFromSlice(v[2:])
			}
		case unix.RTA_OIF:
			one.index = int32(u32(v))
		case unix.RTA_PREFSRC:
			r.source, _ = netip.AddrFromSlice(v)
		case unix.RTA_PRIORITY:
			r.metric = u32(v)
		case unix.RTA_CACHEINFO: // struct rta_cacheinfo: the third is the expiry, in ticks
			if len(v) >= 12 {
				r.expires = ticks(uint64(max(0, int32(u32(v[8:])))))
			}
		case unix.RTA_MULTIPATH:
			r.hops = decodeHops(v)
		}
	}
	if r.hops == nil {
		r.hops = []hop{one}
	}
	r.dest = netip.PrefixFrom(dest, bits)
	return r, table == unix.RT_TABLE_MAIN && r.dest.IsValid()
}

// decodeHops reads the struct rtnexthop of a multipath route.
func decodeHops(b []byte) (hops []hop) {
	for len(b) >= unix.SizeofRtNexthop {
		n := int(native.Uint16(b))
		if n < unix.SizeofRtNexthop || n > len(b) {
			break
		}
		h := hop{index: int32(native.Uint32(b[4:]))}
		for typ, v := range attributes(b[unix.SizeofRtNexthop:n]) {
			if typ == unix.RTA_GATEWAY {
				h.gateway, _ = netip.AddrFromSlice(v)
			}
		}
		hops = append(hops, h)
		b = b[min(align(n), len(b)):]
	}
	return hops
}

// rows yields one row for each way that a route has.
func (r *rawRoute) rows(names map[int32]string) iter.Seq2[int, platform.Route] {
	return func(yield func(int, platform.Route) bool) {
		for i, h := range r.hops {
			if !yield(i, platform.Route{
				Dest: r.dest, Gateway: h.gateway, Source: r.source, Link: names[h.index],
				Metric: int32(min(r.metric, math.MaxInt32)), Protocol: protocolName(r.protocol), Expires: r.expires,
				Static: r.protocol == unix.RTPROT_STATIC || r.protocol == unix.RTPROT_BOOT,
			}) {
				return
			}
		}
	}
}

// protocolName names who set a route, as iproute2's rt_protos does.
func protocolName(p uint8) string {
	switch p {
	case unix.RTPROT_REDIRECT:
		return "redirect"
	case unix.RTPROT_KERNEL:
		return "kernel"
	case unix.RTPROT_BOOT:
		return "boot"
	case unix.RTPROT_STATIC:
		return "static"
	case unix.RTPROT_RA:
		return "ra"
	case unix.RTPROT_DHCP:
		return "dhcp"
	case unix.RTPROT_ZEBRA:
		return "zebra"
	case unix.RTPROT_BIRD:
		return "bird"
	case unix.RTPROT_BABEL:
		return "babel"
	case unix.RTPROT_BGP:
		return "bgp"
	case unix.RTPROT_ISIS:
		return "isis"
	case unix.RTPROT_OSPF:
		return "ospf"
	case unix.RTPROT_RIP:
		return "rip"
	case unix.RTPROT_EIGRP:
		return "eigrp"
	case unix.RTPROT_KEEPALIVED:
		return "keepalived"
	case unix.RTPROT_MROUTED:
		return "mrouted"
	}
	return ""
}
