// What the services of the local network have in common: the IP interfaces
// that they stand on, lists of addresses, which rows have taken effect.

package tr181

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// lanServices adds the objects of what the platform configures in tables.
func (m *Model) lanServices(add func(have bool, objs ...declaration)) {
	dhcp, nat := m.p.DHCP, m.p.NAT
	serves := m.servesDHCP()
	add(serves || m.logical(), (*Model).dhcpv4)
	add(m.logical(), (*Model).dhcpClient)
	add(serves, (*Model).dhcpServer, (*Model).dhcpPool)
	add(serves && dhcp.Hosts != nil, (*Model).staticAddress)
	add(serves && dhcp.Options != nil, (*Model).dhcpOption)
	add(serves && dhcp.Leases != nil, (*Model).leaseClient, (*Model).leasedAddress, (*Model).leaseOption)
	if m.p.Config != nil {
		add(nat.Interfaces != nil || nat.Mappings != nil, (*Model).nat)
		add(nat.Interfaces != nil, (*Model).natInterface)
		add(nat.Mappings != nil, (*Model).portMapping)
	}
}

// servesDHCP says whether the platform has a DHCP server that can be configured.
func (m *Model) servesDHCP() bool { return m.p.Config != nil && m.p.DHCP.Pools != nil }

// ipInterfaces are the IP interfaces as rows of other tables refer to them: by
// their keys, with the IPv4 networks that they are on.
type ipInterfaces map[string][]netip.Prefix

func (m *Model) ipInterfaces(ctx context.Context) (ipInterfaces, error) {
	return datamodel.Once(ctx, dumpKey{m, "IP interfaces"},
		func(all ipInterfaces) int { return len(all) * 128 },
		func(ctx context.Context) (ipInterfaces, error) {
			if m.logical() {
				return m.logicalNetworks(ctx)
			}
			links, err := m.dumpLinks(ctx)
			if err != nil {
				return nil, err
			}
			all := ipInterfaces{}
			for _, l := range links.all {
				if hasIPInterface(l) {
					all[l.Name] = nil
				}
			}
			if m.p.Addresses == nil {
				return all, nil
			}
			addrs, err := m.dumpAddresses(ctx)
			for _, a := range addrs {
				all.add(a.Link, a.Prefix)
			}
			return all, err
		})
}

// logicalNetworks are those of a platform with logical interfaces: the networks
// that they are configured for, or are given.
func (m *Model) logicalNetworks(ctx context.Context) (ipInterfaces, error) {
	t, err := m.dumpInterfaces(ctx)
	if err != nil {
		return nil, err
	}
	all := ipInterfaces{}
	for _, e := range t.rows {
		all[e.Key] = nil
		for _, a := range e.Value.Addrs {
			if a.Enabled {
				all.add(e.Key, a.Prefix)
			}
		}
		for _, a := range t.states[e.Key].Addrs {
			all.add(e.Key, a.Prefix)
		}
	}
	return all, nil
}

// add notes an IPv4 address of an interface that is there.
func (all ipInterfaces) add(key string, p netip.Prefix) {
	if have, ok := all[key]; ok && p.Addr().Is4() && !slices.Contains(have, p) {
		all[key] = append(have, p)
	}
}

// takenUp are the keys of the rows that a service works by; nil where the
// platform does not know.
func (m *Model) takenUp(ctx context.Context, what string, a platform.Applied) ([]string, error) {
	if a == nil {
		return nil, nil
	}
	keys, err := dumpRows(ctx, dumpKey{m, what}, func(ctx context.Context) iter.Seq2[string, error] { return a.Applied(ctx) })
	if keys == nil {
		keys = []string{}
	}
	return keys, err
}

// rowStatus is how a configured row is doing. Until the service has taken it
// up, and while it does not, it is as if it were off.
func rowStatus(enable, complete bool, key string, taken []string) string {
	switch {
	case !enable:
		return "Disabled"
	case !complete:
		return "Error_Misconfigured"
	case taken != nil && !slices.Contains(taken, key):
		return "Disabled"
	}
	return "Enabled"
}

// room refuses a new row of a table that has more than limit with it. count is
// the path of the parameter that counts them.
func room(ctx context.Context, tx *datamodel.Tx, count string, limit int) error {
	item, err := tx.Reader(datamodel.ReadOptions{}).Get(ctx, count)
	if err != nil {
		return err
	}
	if n, err := strconv.Atoi(item.Value); err != nil || n > limit {
		return fmt.Errorf("%w: no more than %d rows", datamodel.ErrResources, limit)
	}
	return nil
}

// above is the path of the object n names above the one at path: 1 is the table
// that it is an instance of, less the number.
func above(path string, n int) string {
	path = strings.TrimSuffix(path, ".")
	for range n {
		path = path[:max(strings.LastIndexByte(path, '.'), 0)]
	}
	return path + "."
}

// addrTexts prints addresses; those that are not valid are left out.
func addrTexts(addrs []netip.Addr) []string {
	var texts []string
	for _, a := range addrs {
		if a.Is4() {
			texts = append(texts, a.String())
		}
	}
	return texts
}

// addrText prints an address, "" for none.
func addrText(a netip.Addr) string {
	if !a.Is4() {
		return ""
	}
	return a.String()
}

// addrsOf parses a list that a Check has passed.
func addrsOf(texts []string) []netip.Addr {
	var addrs []netip.Addr
	for _, t := range texts {
		if a := addrOf(t); a.IsValid() {
			addrs = append(addrs, a)
		}
	}
	return addrs
}

// setAny reports whether somebody assigned one of the parameters, or the row is
// new.
func setAny[T any](c datamodel.Change[T], names ...string) bool {
	return c.Old == nil || slices.ContainsFunc(names, c.Set)
}

var errHostName = errors.New("not a name: letters, digits, '-', '_' and dots only")

// isHostName says whether s can be the name of a host or a domain. Configuration
// files of others are made of it, so nothing else may get there.
func isHostName(s string) bool {
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(s, "."), ".") {
		if label == "" || len(label) > 63 || label[0] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if c != '-' && c != '_' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
				return false
			}
		}
	}
	return true
}
