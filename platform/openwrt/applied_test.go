package openwrt_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	nft "github.com/google/nftables"
	"github.com/google/nftables/userdata"

	"gatehouse/lab/ubusd"
	"gatehouse/platform"
	"gatehouse/platform/openwrt"
)

// load puts rules into the kernel of the bench as fw4 does: one table, flushed
// and filled anew in one batch. What the rules do does not matter here.
func (b *bench) load(rules []ubusd.Rule) {
	b.Helper()
	c, err := nft.New(nft.WithNetNSFd(int(b.ns.Fd())))
	b.must(err)
	table := c.AddTable(&nft.Table{Family: nft.TableFamilyINet, Name: "fw4"})
	c.FlushTable(table)
	chains := map[string]*nft.Chain{}
	for _, r := range rules {
		if chains[r.Chain] == nil {
			chains[r.Chain] = c.AddChain(&nft.Chain{Table: table, Name: r.Chain})
		}
		c.AddRule(&nft.Rule{Table: table, Chain: chains[r.Chain], UserData: userdata.AppendString(nil, userdata.TypeComment, r.Comment)})
	}
	b.must(c.Flush())
}

// applied are the keys that are in effect.
func applied(t *testing.T, a platform.Applied) []string {
	t.Helper()
	keys := all(t, a.Applied(t.Context()))
	slices.Sort(keys)
	return keys
}

// What is configured counts when the firewall has loaded it, and no longer than
// it is there.
func TestNATInEffect(t *testing.T) {
	b := newBench(t)
	if b.ns == nil {
		t.Skip("needs root to make a network namespace")
	}
	p := b.platform.NAT
	zones := applied(t, p.Applied)
	if len(zones) != 1 {
		t.Fatalf("in effect %q, want the zone that translates", zones)
	}
	var keys []string
	reloads, _ := b.commit(func(batch platform.ConfigBatch) {
		for i, name := range []string{"camera", "", "it's \"quoted\""} {
			key, row, err := p.Mappings.Fresh(t.Context())
			b.must(err)
			row.Enabled, row.Interface, row.Description = true, "wan", name
			row.ExternalPort, row.InternalPort, row.InternalClient = uint16(8000+i), 80, "192.168.1.9"
			p.Mappings.Put(batch, key, row)
			keys = append(keys, key)
		}
	})
	same(t, "before the reload", applied(t, p.Applied), zones)
	b.must(b.platform.Config.Reload(t.Context(), reloads))
	want := append(slices.Clone(zones), keys...)
	slices.Sort(want)
	same(t, "after the reload", applied(t, p.Applied), want)
	b.load(nil) // somebody flushes the firewall
	same(t, "flushed", applied(t, p.Applied), []string(nil))
	b.router.FailReload("firewall", true)
	var se *platform.ServiceError
	if err := b.platform.Config.Reload(t.Context(), []string{"firewall"}); !errors.As(err, &se) || se.Service != "firewall" {
		t.Errorf("a reload that failed: %v", err)
	}
	same(t, "after a reload that failed", applied(t, p.Applied), []string(nil))

	// An OpenWrt whose firewall is not fw4 has nobody to ask.
	b.must(os.Remove(filepath.Join(b.root, "sbin/fw4")))
	old, err := openwrt.New(b.options)
	b.must(err)
	if old.NAT.Applied != nil {
		t.Error("it would ask for rules that are not there")
	}
}

// A pool counts while dnsmasq runs with its range.
func TestPoolsInEffect(t *testing.T) {
	b := newBench(t)
	p := b.platform.DHCP
	same(t, "at first", applied(t, p.Applied), []string{"lan"})
	reloads, undo := b.commit(func(batch platform.ConfigBatch) {
		r := row(b, p.Pools, "lan")
		r.Max = r.Min
		p.Pools.Put(batch, "lan", r)
	})
	same(t, "before the reload", applied(t, p.Applied), []string(nil))
	b.must(b.platform.Config.Reload(t.Context(), reloads))
	same(t, "after it", applied(t, p.Applied), []string{"lan"})
	_, err := b.platform.Config.Undo(t.Context(), undo)
	b.must(err)
	b.router.FailReload("dhcp", true)
	if err := b.platform.Config.Reload(t.Context(), reloads); err == nil {
		t.Error("it comes up all the same")
	}
	same(t, "dnsmasq does not run", applied(t, p.Applied), []string(nil))
	b.edit("etc/config/dhcp", "maindhcp '0'", "maindhcp '1'")
	same(t, "odhcpd is who serves", applied(t, p.Applied), []string{"lan", "wan"})

	b.stop()
	lost, err := openwrt.New(b.options)
	b.must(err)
	for _, err := range lost.DHCP.Applied.Applied(t.Context()) {
		if u := (*platform.Unavailable)(nil); !errors.As(err, &u) {
			t.Errorf("without ubus: %v", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, a := range []platform.Applied{p.Applied, b.platform.NAT.Applied} {
		if a == nil {
			continue
		}
		for _, err := range a.Applied(ctx) {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("after the end of its context: %v", err)
			}
		}
	}
}
