// What is in effect of the configuration of services that do not say so on the
// bus: the rules that fw4 has loaded, the file that dnsmasq runs with.

package openwrt

import (
	"context"
	"iter"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"gatehouse/platform/linux"
)

// nat tells by which rows of NAT the kernel works now.
type nat struct{ *backend }

// Applied implements platform.Applied.
func (n nat) Applied(ctx context.Context) iter.Seq2[string, error] {
	return each(ctx, n.applied, func(key string) ([]string, error) { return []string{key}, nil })
}

func (n nat) applied(ctx context.Context) (keys []string, err error) {
	type place struct{ chain, comment string }
	loaded := map[place]bool{}
	for r, err := range linux.Rules(ctx, n.system, unix.NFPROTO_INET, "fw4") {
		if err != nil {
			return nil, err
		}
		loaded[place{r.Chain, r.Comment}] = true
	}
	rules, err := n.config.NATRules(ctx)
	for _, r := range rules {
		if loaded[place{r.Chain, r.Comment}] {
			keys = append(keys, r.Key)
		}
	}
	return keys, err
}

// pools tells which pools dnsmasq serves. Where odhcpd is who serves IPv4, it
// says no more than who has a lease: then what is configured is taken for it.
type pools struct{ *backend }

// Applied implements platform.Applied.
func (p pools) Applied(ctx context.Context) iter.Seq2[string, error] {
	return each(ctx, p.applied, func(key string) ([]string, error) { return []string{key}, nil })
}

// A span is a range of addresses.
type span struct{ low, high netip.Addr }

func (p pools) applied(ctx context.Context) (keys []string, err error) {
	served, err := p.served(ctx)
	if err != nil {
		return nil, err
	}
	all := p.config.ServesByOdhcpd()
	for e, err := range p.config.DHCPPools().Rows(ctx) {
		if err != nil {
			return nil, err
		}
		if all || served[span{e.Value.Min, e.Value.Max}] {
			keys = append(keys, e.Key)
		}
	}
	return keys, nil
}

// served are the ranges of the files that dnsmasq was started with, where it
// runs: its script leaves out what it does not like, and so may we know.
func (p pools) served(ctx context.Context) (map[span]bool, error) {
	instances, err := p.running(ctx, "dnsmasq")
	if err != nil {
		return nil, err
	}
	all := map[span]bool{}
	for _, i := range instances {
		words := texts(i, "command")
		if at := slices.Index(words, "-C"); at >= 0 && at+1 < len(words) {
			readRanges(small(filepath.Join(p.paths.root, words[at+1])), all)
		}
	}
	return all, nil
}

// readRanges reads "dhcp-range=set:lan,192.168.1.100,192.168.1.249,255.255.255.0,12h".
func readRanges(file []byte, all map[span]bool) {
	for l := range strings.Lines(string(file)) {
		value, ok := strings.CutPrefix(strings.TrimSpace(l), "dhcp-range=")
		words := strings.Split(value, ",")
		for i := 0; ok && i+1 < len(words); i++ {
			if low := address(words[i]); low.Is4() {
				all[span{low, address(words[i+1])}] = true
				break
			}
		}
	}
}
