// Addresses: one RTM_GETADDR dump for both families.

package linux

import (
	"context"
	"iter"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/platform"
)

// Addresses yields the addresses of all links.
func (b *backend) Addresses(ctx context.Context) iter.Seq2[platform.Address, error] {
	return func(yield func(platform.Address, error) bool) {
		all, err := b.addresses(ctx)
		rows(ctx, all, err, yield)
	}
}

func (b *backend) addresses(ctx context.Context) ([]platform.Address, error) {
	names, err := b.linkNames(ctx)
	if err != nil {
		return nil, err
	}
	return whole(ctx, b, "netlink address", unix.RTM_GETADDR, make([]byte, unix.SizeofIfAddrmsg),
		func(kind uint16, msg []byte) (platform.Address, bool) {
			a, index, ok := decodeAddress(kind, msg)
			a.Link = names[index]
			return a, ok && a.Link != "" // a link that is newer than the names
		})
}

// Attributes and origins of addresses that x/sys does not know yet
// (linux/if_addr.h, Linux 5.18).
const (
	ifaProto       = 11
	protoRA        = 2 // set by the kernel from a router advertisement
	protoLinkLocal = 3 // set by the kernel when the link came up
)

// forever is the lifetime of what does not end.
const forever = 0xffffffff

// decodeAddress reads one RTM_NEWADDR.
func decodeAddress(kind uint16, m []byte) (a platform.Address, index int32, ok bool) {
	if kind != unix.RTM_NEWADDR || len(m) < unix.SizeofIfAddrmsg {
		return a, 0, false
	}
	bits, flags := int(m[1]), uint32(m[2])
	index = int32(native.Uint32(m[4:]))
	var local, far netip.Addr
	preferred, valid := uint32(forever), uint32(forever)
	var proto uint8
	for typ, v := range attributes(m[unix.SizeofIfAddrmsg:]) {
		switch typ {
		case unix.IFA_LOCAL:
			local, _ = netip.AddrFromSlice(v)
		case unix.IFA_ADDRESS:
			far, _ = netip.AddrFromSlice(v)
		case unix.IFA_FLAGS:
			flags = u32(v)
		case ifaProto:
			proto = u8(v)
		case unix.IFA_CACHEINFO:
			if len(v) >= 8 {
				preferred, valid = u32(v), u32(v[4:])
			}
		}
	}
	if !local.IsValid() { // IPv6 without a peer
		local = far
	} else if far.IsValid() && far != local {
		a.Peer = far
	}
	a.Prefix = netip.PrefixFrom(local, bits)
	a.Preferred, a.Valid = lifetime(preferred), lifetime(valid)
	a.Tentative = flags&unix.IFA_F_TENTATIVE != 0 && flags&unix.IFA_F_OPTIMISTIC == 0
	a.Duplicate = flags&unix.IFA_F_DADFAILED != 0
	a.Deprecated = flags&unix.IFA_F_DEPRECATED != 0
	origin(&a, flags, proto)
	return a, index, a.Prefix.IsValid()
}

func lifetime(seconds uint32) time.Duration {
	if seconds == forever {
		return -1
	}
	return time.Duration(seconds) * time.Second
}

// origin tells where an address comes from. Where the kernel does not say, a
// lifetime that ends means a lease (IPv4, and IPv6 /128 as DHCPv6 clients set
// it) or autoconfiguration by a daemon (other IPv6).
func origin(a *platform.Address, flags uint32, proto uint8) {
	ip, ends := a.Prefix.Addr(), flags&unix.IFA_F_PERMANENT == 0
	switch {
	case ip.Is4():
		a.Dynamic = ends
	case flags&unix.IFA_F_TEMPORARY != 0:
		a.Temporary, a.Auto = true, true
	case proto == protoRA || flags&(unix.IFA_F_MANAGETEMPADDR|unix.IFA_F_STABLE_PRIVACY) != 0 && ends:
		a.Auto = true
	case ip.IsLinkLocalUnicast():
		a.Auto = proto == protoLinkLocal || proto == 0
	case ends && a.Prefix.Bits() == 128:
		a.Dynamic = true
	case ends:
		a.Auto = true
	}
	a.Permanent = !a.Dynamic && !a.Auto
}
