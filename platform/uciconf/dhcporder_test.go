package uciconf

// What holds between the sections of dhcp, as dnsmasq is to find it.

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/uci"
	"gatehouse/platform"
)

type pool = platform.DHCPPool

// pools makes a router with more pools on its LAN, and returns their keys.
func pools(t *testing.T, c *Conf, ranges ...[2]string) (keys []string) {
	t.Helper()
	for i, r := range ranges {
		keys = append(keys, create(t, c, c.DHCPPools(), func(p *pool) {
			p.Enabled, p.Interface, p.Order, p.Min, p.Max = true, "lan", uint32(3+i), addr(r[0]), addr(r[1])
		}))
	}
	return keys
}

// sections are the names of the sections of a type, in the order of the file.
func sections(t *testing.T, c *Conf, pkg, typ string) (names []string) {
	t.Helper()
	p, err := uci.Load(c.o.Dir.Path(pkg))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range p.Sections {
		if s.Type == typ {
			names = append(names, s.Name)
		}
	}
	return names
}

// Of several pools of an interface dnsmasq takes the first in its file.
func TestPoolsInTheirOrder(t *testing.T) {
	c := vanilla(t)
	keys := pools(t, c, [2]string{"192.168.1.20", "192.168.1.29"}, [2]string{"192.168.1.40", "192.168.1.49"})
	a, b := keys[0], keys[1]
	before := text1(t, c, "dhcp")
	if got, want := sections(t, c, "dhcp", "dhcp"), []string{"lan", "wan", a, b}; !slices.Equal(got, want) {
		t.Fatalf("%q", got)
	}
	rows := map[string]pool{"lan": {}, "wan": {}, a: {}, b: {}}
	for key := range rows {
		rows[key] = row(t, c.DHCPPools(), key)
	}
	order := map[string]uint32{b: 1, "lan": 2, "wan": 3, a: 4}
	batch, err := do(t, c, func(batch platform.ConfigBatch) {
		for key, r := range rows {
			r.Order = order[key]
			c.DHCPPools().Put(batch, key, r)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, name := range sections(t, c, "dhcp", "dhcp") {
		if name != "wan" { // on another interface, its place is its own
			got = append(got, name)
		}
	}
	if want := []string{b, "lan", a}; !slices.Equal(got, want) {
		t.Errorf("in the file %q, want %q", got, want)
	}
	for key, n := range order {
		want := rows[key]
		want.Order = n
		if r := row(t, c.DHCPPools(), key); fmt.Sprint(r) != fmt.Sprint(want) {
			t.Errorf("%s reads\n%+v, want\n%+v", key, r, want)
		}
	}
	if !slices.Equal(batch.Reloads(), []string{"dhcp"}) {
		t.Errorf("reloads %q", batch.Reloads())
	}
	if _, err := c.Undo(t.Context(), batch.Undo()); err != nil || text1(t, c, "dhcp") != before {
		t.Errorf("%v: undone it is\n%s", err, text1(t, c, "dhcp"))
	}
}

// dnsmasq's script tags the clients of a pool with the interface unless it is
// told better: the options of one would be sent to the clients of all.
func TestEachPoolHasItsOptions(t *testing.T) {
	c := vanilla(t)
	before := text1(t, c, "dhcp")
	keys := pools(t, c, [2]string{"192.168.1.20", "192.168.1.29"}, [2]string{"192.168.1.40", "192.168.1.49"})
	p, err := uci.Load(c.o.Dir.Path("dhcp"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"lan": "", "wan": "", keys[0]: keys[0], keys[1]: keys[1]} {
		if got := p.Section(name).Get("networkid"); got != want {
			t.Errorf("%s has the tag %q, want %q", name, got, want)
		}
	}
	for _, key := range keys {
		remove(t, c, c.DHCPPools(), key)
	}
	if text := text1(t, c, "dhcp"); text != before {
		t.Errorf("left over:\n%s", text)
	}
}

// A reserved address is given to nobody, but to the client that it is kept for;
// and dnsmasq starts with what comes of it.
func TestReservedAddresses(t *testing.T) {
	c := vanilla(t)
	before := text1(t, c, "dhcp")
	reserved := func(texts ...string) func(*pool) {
		return func(p *pool) {
			p.Reserved = nil
			for _, a := range texts {
				p.Reserved = append(p.Reserved, addr(a))
			}
		}
	}
	kept := func(want ...string) {
		t.Helper()
		var got []string
		p, err := uci.Load(c.o.Dir.Path("dhcp"))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range p.Sections {
			if s.Type == "host" {
				got = append(got, s.Get("mac")+" "+s.Get("ip"))
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("kept are %q, want %q", got, want)
		}
		dnsmasqTakes(t, p)
	}
	change(t, c, c.DHCPPools(), "lan", reserved("192.168.1.150", "192.168.1.7", "192.168.1.151"))
	kept(nobody+" 192.168.1.150", nobody+" 192.168.1.151") // .7 is given to nobody anyway
	if n := len(rows(t, c.DHCPHosts())); n != 0 {
		t.Errorf("%d rows of hosts", n)
	}
	host := create(t, c, c.DHCPHosts(), func(h *platform.DHCPHost) {
		*h = platform.DHCPHost{Enabled: true, Pool: "lan", MAC: "02:00:00:00:00:01", Addr: addr("192.168.1.150")}
	})
	kept(nobody+" 192.168.1.151", "02:00:00:00:00:01 192.168.1.150")
	change(t, c, c.DHCPHosts(), host, func(h *platform.DHCPHost) { h.Enabled = false })
	kept(nobody+" 192.168.1.151", nobody+" 192.168.1.150")
	change(t, c, c.DHCPPools(), "lan", func(p *pool) { p.Min = addr("192.168.1.151") })
	kept(nobody + " 192.168.1.151")
	change(t, c, c.DHCPPools(), "lan", func(p *pool) { p.Min = addr("192.168.1.100") })
	remove(t, c, c.DHCPHosts(), host)
	kept(nobody+" 192.168.1.151", nobody+" 192.168.1.150")
	// The interface moves away, and nothing is left of its network.
	change(t, c, c.Interfaces(), "lan", func(r *platform.Interface) { r.Addrs[0].Prefix = netip.MustParsePrefix("10.0.0.1/24") })
	kept()
	change(t, c, c.Interfaces(), "lan", func(r *platform.Interface) { r.Addrs[0].Prefix = netip.MustParsePrefix("192.168.1.1/24") })
	change(t, c, c.DHCPPools(), "lan", reserved())
	if text := text1(t, c, "dhcp"); text != before {
		t.Errorf("left over:\n%s", text)
	}
}

// dnsmasqTakes has a real dnsmasq read what its script makes of the package, as
// far as it is about addresses.
func dnsmasqTakes(t *testing.T, p *uci.Package) {
	t.Helper()
	dnsmasq, err := exec.LookPath("dnsmasq")
	if err != nil {
		t.Log("no dnsmasq here")
		return
	}
	var conf strings.Builder
	for _, s := range p.Sections {
		switch {
		case s.Type == "host":
			fmt.Fprintf(&conf, "dhcp-host=%s,%s\n", s.Get("mac"), s.Get("ip"))
		case s.Type == "dhcp" && s.Get("interface") == "lan":
			fmt.Fprintf(&conf, "dhcp-range=set:lan,192.168.1.100,192.168.1.249,255.255.255.0,12h\n")
		}
	}
	path := filepath.Join(t.TempDir(), "dnsmasq.conf")
	if err := os.WriteFile(path, []byte(conf.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), dnsmasq, "--test", "-C", path).CombinedOutput(); err != nil {
		t.Errorf("dnsmasq: %v: %s\n%s", err, out, conf.String())
	}
}
