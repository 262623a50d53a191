package linuxconf

// The rows of IP interfaces where systemd-networkd has them: one for each link,
// read from its file for as long as nothing is configured, and how they are doing.

import (
	"context"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"gatehouse/platform"
)

// sectionOf is the section of a link: UCI takes letters and digits for names, so
// that other characters become their codes.
func sectionOf(link string) string {
	var b strings.Builder
	for _, c := range []byte(link) {
		if c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "_%02x", c)
		}
	}
	return b.String()
}

// linkOfSection is the link of a section.
func linkOfSection(section string) string {
	parts := strings.Split(section, "_")
	for i, p := range parts[1:] {
		if len(p) < 2 {
			continue // no name of ours
		}
		if c, err := strconv.ParseUint(p[:2], 16, 8); err == nil {
			parts[1+i] = string([]byte{byte(c)}) + p[2:]
		}
	}
	return strings.Join(parts, "")
}

// uplink says whether the default route leaves by a link, by its section or its
// name. While that cannot be found out any link may be the way to the ACS.
func (m *machine) uplink(key string) bool {
	if m.p.Links == nil {
		return false
	}
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	for l, err := range m.p.Links.Links(ctx) {
		if err != nil || l.Upstream && (l.Name == key || sectionOf(l.Name) == key) {
			return true
		}
	}
	return false
}

// isPlainName says whether a link's name is nothing but a name to networkd, which
// takes others for patterns.
func isPlainName(link string) bool {
	return link != "" && strings.Trim(strings.ToLower(link), "abcdefghijklmnopqrstuvwxyz0123456789._-@+:") == ""
}

// configured is the row of a link, and whether it is one of our package.
func (n *netd) configured(ctx context.Context, l networkLink) (row platform.Interface, own bool, err error) {
	for e, err := range n.table.Rows(ctx) {
		if err != nil {
			return row, false, err
		}
		if e.Key == sectionOf(l.Name) {
			e.Value.Device, e.Value.Loopback = l.Name, false
			return e.Value, true, nil
		}
	}
	base, err := n.base(l)
	if err != nil {
		return row, false, err
	}
	row = base.row(l.Name)
	switch {
	case l.Kind == platform.LinkLoopback:
		row = platform.Interface{Enabled: true, Proto: "none", Device: l.Name, IPv4: true, IPv6: true, Loopback: true}
	case l.base == "":
		row.Proto, row.Enabled = "none", l.Enabled
	}
	return row, false, nil
}

// interfaceTable implements platform.Table.
type interfaceTable struct{ n *netd }

// Rows implements platform.Table.
func (t interfaceTable) Rows(ctx context.Context) iter.Seq2[platform.Entry[platform.Interface], error] {
	return func(yield func(platform.Entry[platform.Interface], error) bool) {
		links, err := t.n.links(ctx)
		if err != nil {
			yield(platform.Entry[platform.Interface]{}, err)
			return
		}
		for _, l := range links {
			row, _, err := t.n.configured(ctx, l)
			if !yield(platform.Entry[platform.Interface]{Key: l.Name, Value: row, Fixed: true}, err) || err != nil {
				return
			}
		}
	}
}

// Fresh implements platform.Table: links are made by others.
func (t interfaceTable) Fresh(context.Context) (key string, row platform.Interface, err error) {
	return "", row, fmt.Errorf("an IP interface without a link: %w", platform.ErrUnsupported)
}

// Put implements platform.Table.
func (t interfaceTable) Put(b platform.ConfigBatch, key string, row platform.Interface) int {
	mine := b.(*batch)
	if mine.put == nil {
		mine.put = map[string]bool{}
	}
	mine.put[key] = true
	return strict[platform.Interface]{t.n.table, func(ctx context.Context, _ string, row platform.Interface) error {
		return t.n.check(ctx, key, row)
	}}.Put(b, sectionOf(key), row)
}

// Delete implements platform.Table.
func (t interfaceTable) Delete(b platform.ConfigBatch, key string) int {
	item := t.n.table.Delete(b, sectionOf(key))
	mine := b.(*batch)
	mine.checks = append(mine.checks, check{item, func(ctx context.Context) error {
		if _, err := t.n.link(ctx, key); err != nil {
			return err
		}
		return fmt.Errorf("%s is a link of the system, and cannot be deleted: %w", key, platform.ErrUnsupported)
	}})
	return item
}

// check refuses what networkd could not be told.
func (n *netd) check(ctx context.Context, key string, row platform.Interface) error {
	l, err := n.link(ctx, key)
	if err != nil {
		return err
	}
	now, _, err := n.configured(ctx, l)
	if err != nil {
		return err
	}
	if err := n.checkLink(l); err != nil {
		return err
	}
	switch {
	case row.Device != l.Name:
		return fmt.Errorf("%s stands on the link of its name, and on no other: %w", key, platform.ErrUnsupported)
	case row.Zone != now.Zone:
		return fmt.Errorf("a firewall zone: %w", platform.ErrUnsupported)
	case row.Proto != now.Proto && !slices.Contains([]string{"none", "static", "dhcp", "dhcpv6"}, row.Proto):
		return fmt.Errorf("systemd-networkd has no protocol %.40q: %w", row.Proto, platform.ErrUnsupported)
	case row.PeerDNS != now.PeerDNS:
		return fmt.Errorf("which name servers of the network are used: %w", platform.ErrUnsupported)
	}
	return nil
}

// checkLink refuses a link that networkd leaves to others.
func (n *netd) checkLink(l networkLink) error {
	switch {
	case l.Kind == platform.LinkLoopback:
		return fmt.Errorf("the loopback interface stays as it is: %w", platform.ErrUnsupported)
	case l.base == "":
		return fmt.Errorf("systemd-networkd does not manage %s, somebody else does: %w", l.Name, platform.ErrUnsupported)
	case !isPlainName(l.Name):
		return fmt.Errorf("systemd-networkd would take the name %.40q for a pattern: %w", l.Name, platform.ErrUnsupported)
	}
	if more := n.dropIns(l.base); len(more) > 0 {
		return fmt.Errorf("%s belongs to %s, which would be lost with it: %w", more[0], l.base, platform.ErrUnsupported)
	}
	return nil
}

// own sees to it that batch makes a section of our package of a link, as it is, so
// that there is one to add to.
func (n *netd) own(ctx context.Context, b *batch, key string) error {
	l, err := n.link(ctx, key)
	if err != nil {
		return err
	}
	if err := n.checkLink(l); err != nil {
		return err
	}
	row, own, err := n.configured(ctx, l)
	if err != nil || own || b.put[key] {
		return err
	}
	(interfaceTable{n}).Put(b, key, row)
	return nil
}

// checkRoute refuses a route that networkd could not be told: it has those of a
// link only.
func (n *netd) checkRoute(ctx context.Context, _ string, row platform.StaticRoute) error {
	if !row.Enabled {
		return nil
	}
	if row.Interface == "" {
		return fmt.Errorf("a route without an interface: systemd-networkd keeps those of one link: %w", platform.ErrUnsupported)
	}
	l, err := n.link(ctx, row.Interface)
	if err != nil {
		return err
	}
	return n.checkLink(l)
}

// InterfaceStates implements platform.InterfaceStates.
func (n *netd) InterfaceStates(ctx context.Context) iter.Seq2[platform.InterfaceState, error] {
	return func(yield func(platform.InterfaceState, error) bool) {
		all, err := n.states(ctx)
		if err != nil {
			yield(platform.InterfaceState{}, err)
			return
		}
		for _, s := range all {
			if !yield(*s, nil) {
				return
			}
		}
	}
}

func (n *netd) states(ctx context.Context) (all []*platform.InterfaceState, err error) {
	links, err := n.links(ctx)
	if err != nil {
		return nil, err
	}
	by := map[string]*platform.InterfaceState{}
	for _, l := range links {
		s := &platform.InterfaceState{Key: l.Name, Device: l.Name, Up: l.Enabled && l.Running, Since: l.Changed, Pending: l.state == "configuring"}
		if l.state == "failed" {
			s.Error = "systemd-networkd cannot set it up"
		}
		lease := n.assignments(networkdLeases + "/" + strconv.Itoa(l.Index))
		s.Server, _ = netip.ParseAddr(lease["SERVER_ADDRESS"])
		for _, w := range strings.Fields(lease["DNS"]) {
			if a, err := netip.ParseAddr(w); err == nil {
				s.DNS = append(s.DNS, a)
			}
		}
		all, by[l.Name] = append(all, s), s
	}
	for a, err := range n.p.Addresses.Addresses(ctx) {
		if err != nil {
			return nil, err
		}
		if s := by[a.Link]; s != nil && s.Up {
			s.Addrs = append(s.Addrs, a)
		}
	}
	for _, ipv6 := range []bool{false, true} {
		for r, err := range n.p.Routes.Routes(ctx, ipv6) {
			if err != nil {
				return nil, err
			}
			if s := by[r.Link]; s != nil && r.Dest.Bits() == 0 && r.Gateway.IsValid() {
				s.Routers = append(s.Routers, r.Gateway)
			}
		}
	}
	return all, nil
}
