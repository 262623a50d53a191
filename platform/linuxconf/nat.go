package linuxconf

// Address translation: its rows become the rules of one nftables table.

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"sync"

	"gatehouse/platform"
)

// firewall is the package, which is the service as well.
const firewall = "firewall"

// openNAT opens the area. What refuses is a kernel without nftables, or without
// nftables for us.
func openNAT(m *machine) (area, error) {
	if m.kernel == nil {
		return nil, errors.New("CAP_NET_ADMIN is missing")
	}
	if _, err := m.kernel.present(); err != nil {
		return nil, fmt.Errorf("the kernel has no nftables for us: %w", err)
	}
	n := &nat{
		interfaces: m.conf.NATInterfaces(), mappings: m.conf.PortMappings(), neighbors: m.p.Neighbors, kernel: m.kernel,
		forwarding: m.at("proc/sys/net/ipv4/ip_forward"), log: m.Log,
	}
	m.p.NAT = platform.NAT{Interfaces: n.interfaces, Mappings: n.mappings, Applied: n, Own: n}
	return n, nil
}

// A kernel keeps one ruleset, which is ours.
type kernel interface {
	// replace puts rules in the place of those that are there, all at once or
	// not at all; an empty ruleset leaves nothing of ours.
	replace(rules ruleset) error
	// present are the keys of the rows whose rules are there.
	present() (keys []string, err error)
}

// nat implements area, follower, platform.Applied and platform.OwnPort.
type nat struct {
	interfaces platform.Table[platform.NATInterface]
	mappings   platform.Table[platform.PortMapping]
	neighbors  platform.Neighbors // nil: no names of hosts
	kernel     kernel
	forwarding string // the sysctl
	log        *slog.Logger

	mu   sync.Mutex // held while rules are made and put in place
	own  uint16     // TCP port at which the ACS asks for sessions; 0: none
	last string     // the rules that were put in place last
	// named are the hosts that mappings call by a name, with the addresses that
	// they had when the rules were made; an invalid one is not known.
	named map[string]netip.Addr
}

// apply implements area: it puts the rules of the rows in place, whatever is
// there.
func (n *nat) apply(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	rules, err := n.rules(ctx)
	if err != nil {
		return err
	}
	for name, a := range n.named {
		if !a.IsValid() {
			n.log.Info("a port mapping leads nowhere until its host has an address", "host", name)
		}
	}
	return n.put(rules)
}

// follow implements follower: it makes the rules anew when a host that a mapping calls by its name has
// another address now: the old one may be somebody else's.
func (n *nat) follow(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.named) == 0 {
		return nil
	}
	return n.renew(ctx)
}

// renew puts the rules in place if they are others than those put there last.
func (n *nat) renew(ctx context.Context) error {
	rules, err := n.rules(ctx)
	if err != nil || rules.String() == n.last {
		return err
	}
	return n.put(rules)
}

func (n *nat) put(rules ruleset) error {
	if err := n.kernel.replace(rules); err != nil {
		n.last = ""
		return err
	}
	text := rules.String()
	if text != "" && text != n.last && n.blocked() {
		n.log.Warn("addresses are translated, but the kernel forwards nothing: set net.ipv4.ip_forward=1")
	}
	n.last = text
	return nil
}

// blocked says whether the kernel is known to forward nothing (ip-sysctl,
// net.ipv4.ip_forward). To make a router of the machine is the administrator's.
func (n *nat) blocked() bool {
	text, err := os.ReadFile(n.forwarding)
	return err == nil && strings.TrimSpace(string(text)) == "0"
}

// forget implements area.
func (n *nat) forget(context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.put(ruleset{})
}

// OwnPort implements platform.OwnPort.
func (n *nat) OwnPort(ctx context.Context, tcp uint16) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.own = tcp
	return n.renew(ctx)
}

// rules reads the tables.
func (n *nat) rules(ctx context.Context) (ruleset, error) {
	var out []platform.Entry[platform.NATInterface]
	for e, err := range n.interfaces.Rows(ctx) {
		if err != nil {
			return ruleset{}, err
		}
		out = append(out, e)
	}
	var in []platform.Entry[platform.PortMapping]
	for e, err := range n.mappings.Rows(ctx) {
		if err != nil {
			return ruleset{}, err
		}
		in = append(in, e)
	}
	hosts, err := n.hosts(ctx, in)
	if err != nil {
		return ruleset{}, err
	}
	n.named = hosts
	return makeRules(out, in, hosts, n.own), nil
}

// hosts finds the addresses of the hosts inside that mappings call by a name.
// Somebody who has two of a name gets the first.
func (n *nat) hosts(ctx context.Context, in []platform.Entry[platform.PortMapping]) (map[string]netip.Addr, error) {
	wanted := map[string]netip.Addr{}
	for _, e := range in {
		if _, err := netip.ParseAddr(e.Value.InternalClient); err != nil && e.Value.Enabled && e.Value.InternalClient != "" {
			wanted[hostKey(e.Value.InternalClient)] = netip.Addr{}
		}
	}
	if len(wanted) == 0 || n.neighbors == nil {
		return nil, nil
	}
	for h, err := range n.neighbors.Neighbors(ctx) {
		if err != nil {
			return nil, fmt.Errorf("the hosts that mappings name: %w", err)
		}
		if a, ok := wanted[hostKey(h.Hostname)]; ok && !a.IsValid() && h.Addr.Is4() {
			wanted[hostKey(h.Hostname)] = h.Addr
		}
	}
	return wanted, nil
}

func hostKey(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// Applied implements platform.Applied, by what the kernel says: somebody may
// have flushed its rules.
func (n *nat) Applied(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		keys, err := n.kernel.present()
		if err == nil {
			err = ctx.Err()
		} else {
			err = &platform.Unavailable{Source: "netlink nftables", Err: err}
		}
		if err != nil {
			yield("", err)
			return
		}
		for _, k := range keys {
			if !yield(k, nil) {
				return
			}
		}
	}
}
