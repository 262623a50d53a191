// Hosts: the neighbour tables (ARP, NDP) joined with the leases.

package linux

import (
	"context"
	"iter"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/platform"
)

// Neighbors yields the hosts that the neighbour tables know, then those that
// only have a lease.
func (b *backend) Neighbors(ctx context.Context) iter.Seq2[platform.Neighbor, error] {
	return func(yield func(platform.Neighbor, error) bool) {
		all, err := b.neighbors(ctx)
		rows(ctx, all, err, yield)
	}
}

func (b *backend) neighbors(ctx context.Context) ([]platform.Neighbor, error) {
	names, err := b.linkNames(ctx)
	if err != nil {
		return nil, err
	}
	all, err := whole(ctx, b, "netlink neighbour", unix.RTM_GETNEIGH, make([]byte, unix.SizeofNdMsg),
		func(kind uint16, msg []byte) (platform.Neighbor, bool) {
			n, index, ok := decodeNeighbor(kind, msg)
			n.Link = names[index]
			return n, ok && n.Link != ""
		})
	if err != nil {
		return nil, err
	}
	leases := b.leases(time.Now())
	if len(leases) == 0 {
		return all, nil
	}
	addresses, err := b.addresses(ctx)
	if err != nil {
		return nil, err
	}
	return join(all, leases, addresses), nil
}

// join puts the leases to their hosts. The name that came with one address of
// a host is that of the others as well. A lease of a host that is not in the
// tables is a host that is away, on the link whose network it is from.
func join(hosts []platform.Neighbor, leases []lease, addresses []platform.Address) []platform.Neighbor {
	byAddr, byMAC := map[netip.Addr]int{}, map[string]string{}
	for i, l := range leases {
		byAddr[l.addr] = i
		if l.mac != "" && l.name != "" {
			byMAC[l.mac] = l.name
		}
	}
	for i := range hosts {
		h := &hosts[i]
		h.Hostname = byMAC[h.MAC]
		at, ok := byAddr[h.Addr]
		if !ok || leases[at].mac != "" && leases[at].mac != h.MAC {
			continue
		}
		h.Leased, h.LeaseEnds = true, leases[at].ends
		if leases[at].name != "" {
			h.Hostname = leases[at].name
		}
		delete(byAddr, h.Addr)
	}
	for i, l := range leases {
		if at, ok := byAddr[l.addr]; !ok || at != i || l.mac == "" {
			continue // told, or listed twice
		}
		link := l.link
		for _, a := range addresses {
			if link == "" && a.Prefix.Masked().Contains(l.addr) {
				link = a.Link
			}
		}
		if link != "" {
			hosts = append(hosts, platform.Neighbor{
				Link: link, MAC: l.mac, Addr: l.addr, Hostname: l.name, Leased: true, LeaseEnds: l.ends,
			})
		}
	}
	return hosts
}

// aliveFor is how long after its last sign of life a host counts as active:
// longer than the kernel leaves an entry unconfirmed while it is used.
const aliveFor = 5 * time.Minute

// decodeNeighbor reads one RTM_NEWNEIGH. Entries without a hardware address
// (being asked for), of groups, and proxies are not hosts.
func decodeNeighbor(kind uint16, m []byte) (n platform.Neighbor, index int32, ok bool) {
	if kind != unix.RTM_NEWNEIGH || len(m) < unix.SizeofNdMsg || m[0] != unix.AF_INET && m[0] != unix.AF_INET6 {
		return n, 0, false
	}
	index = int32(native.Uint32(m[4:]))
	state, flags := native.Uint16(m[8:]), m[10]
	if state&unix.NUD_NOARP != 0 || flags&unix.NTF_PROXY != 0 {
		return n, 0, false
	}
	confirmed := time.Duration(-1)
	for typ, v := range attributes(m[unix.SizeofNdMsg:]) {
		switch typ {
		case unix.NDA_DST:
			n.Addr, _ = netip.AddrFromSlice(v)
		case unix.NDA_LLADDR:
			n.MAC = mac(v)
		case unix.NDA_CACHEINFO: // struct nda_cacheinfo: confirmed, used, updated, in ticks ago
			if len(v) >= 4 {
				confirmed = ticks(uint64(u32(v)))
			}
		}
	}
	switch {
	case state&(unix.NUD_REACHABLE|unix.NUD_DELAY|unix.NUD_PROBE|unix.NUD_PERMANENT) != 0:
		n.Active = true
	case state&unix.NUD_STALE != 0:
		n.Active = confirmed >= 0 && confirmed < aliveFor
	}
	return n, index, n.MAC != "" && n.Addr.IsValid() && !n.Addr.IsMulticast()
}
