package uciconf

// What each row may say and two of them, or a row and a network, may not.

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"gatehouse/platform"
)

// dnsmasq does not start when one address is kept for two clients, whatever
// pools they are of and whoever has written them.
func TestOneAddressForOneClient(t *testing.T) {
	type host = platform.DHCPHost
	c := vanilla(t)
	write(t, c, "dhcp", text1(t, c, "dhcp")+"\nconfig host 'tv'\n\toption mac '02:00:00:00:00:01'\n\toption ip '192.168.1.9'\n")
	key := create(t, c, c.DHCPHosts(), func(h *host) { h.Pool = "wan" })
	complete := func(h *host) {
		*h = host{Enabled: true, Pool: "wan", MAC: "02:00:00:00:00:02", Addr: addr("192.168.1.9")}
	}
	refused(t, c, c.DHCPHosts(), key, complete)
	change(t, c, c.DHCPHosts(), key, func(h *host) { complete(h); h.Enabled = false })
	refused(t, c, c.DHCPHosts(), key, complete)

	// Two clients change places in one batch; the one that is wrong is blamed.
	change(t, c, c.DHCPHosts(), key, func(h *host) { complete(h); h.Addr = addr("192.168.1.8") })
	one, two := row(t, c.DHCPHosts(), "tv"), row(t, c.DHCPHosts(), key)
	one.Addr, two.Addr = two.Addr, one.Addr
	if _, err := do(t, c, func(b platform.ConfigBatch) {
		c.DHCPHosts().Put(b, "tv", one)
		c.DHCPHosts().Put(b, key, two)
	}); err != nil {
		t.Error(err)
	}
	lan := row(t, c.DHCPPools(), "lan")
	lan.LeaseTime *= 2
	two.Addr = one.Addr
	_, err := do(t, c, func(b platform.ConfigBatch) {
		c.DHCPPools().Put(b, "lan", lan)
		c.DHCPHosts().Put(b, key, two)
	})
	var item *platform.ItemError
	if !errors.As(err, &item) || item.Item != 1 {
		t.Errorf("%v", err)
	}
}

// The mask of a pool is of the network that its interface had: with another one
// dnsmasq may find a range across two networks, and does not start.
func TestMaskGoesWithItsNetwork(t *testing.T) {
	for _, f := range []struct {
		lan, mask string
		limit     string // of a range from 100
		stays     bool
	}{
		{"192.168.1.2/24", "255.255.255.0", "100", true},
		{"10.0.0.1/24", "255.255.255.0", "100", true},
		{"10.0.0.1/16", "255.255.255.0", "100", true},
		{"10.0.0.1/16", "255.255.255.0", "1000", false},
		{"10.0.0.1/24", "255.255.255.128", "100", false},
		{"10.0.1.1/24", "255.255.0.0", "100", false}, // the range would be in 10.0.0.0/24
		{"10.0.0.1/24", "odd", "100", false},
	} {
		c := vanilla(t)
		write(t, c, "dhcp", "config dhcp 'lan'\n\toption interface 'lan'\n\toption start '100'\n\toption limit '"+f.limit+"'\n\toption netmask '"+f.mask+"'\n")
		change(t, c, c.Interfaces(), "lan", func(r *platform.Interface) { r.Addrs[0].Prefix = netip.MustParsePrefix(f.lan) })
		if stays := strings.Contains(text1(t, c, "dhcp"), "netmask"); stays != f.stays {
			t.Errorf("%+v:\n%s", f, text1(t, c, "dhcp"))
		}
	}

	// The interface and the range move together, in either order.
	for _, poolFirst := range []bool{true, false} {
		c := vanilla(t)
		change(t, c, c.DHCPPools(), "lan", func(p *platform.DHCPPool) { p.Mask = addr("255.255.255.0") })
		pool, lan := row(t, c.DHCPPools(), "lan"), row(t, c.Interfaces(), "lan")
		pool.Min, pool.Max = addr("10.0.1.0"), addr("10.0.2.255")
		lan.Addrs[0].Prefix = netip.MustParsePrefix("10.0.0.1/16")
		if _, err := do(t, c, func(b platform.ConfigBatch) {
			if poolFirst {
				c.DHCPPools().Put(b, "lan", pool)
			}
			c.Interfaces().Put(b, "lan", lan)
			if !poolFirst {
				c.DHCPPools().Put(b, "lan", pool)
			}
		}); err != nil {
			t.Fatal(err)
		}
		if p := row(t, c.DHCPPools(), "lan"); p.Mask.IsValid() || p.Min != pool.Min || p.Max != pool.Max {
			t.Errorf("%+v", p)
		}
	}
}

func TestTwoInterfacesInOneNetwork(t *testing.T) {
	type iface = platform.Interface
	c := vanilla(t)
	write(t, c, "network", text1(t, c, "network")+"\nconfig interface 'dmz'\n\toption device 'dmz'\n\toption proto 'static'\n\tlist ipaddr '10.0.0.1/24'\n"+
		"\nconfig interface 'guest'\n\toption device 'guest'\n\toption proto 'static'\n\tlist ipaddr '10.0.0.3/24'\n\toption disabled '1'\n")
	to := func(prefix string) func(*iface) {
		return func(r *iface) { r.Addrs[0].Prefix = netip.MustParsePrefix(prefix) }
	}
	refused(t, c, c.Interfaces(), "lan", to("10.0.0.2/24"))
	refused(t, c, c.Interfaces(), "lan", to("10.0.200.1/16"))
	refused(t, c, c.Interfaces(), "guest", func(r *iface) { r.Enabled = true })
	change(t, c, c.Interfaces(), "lan", to("10.0.1.1/24"))
	change(t, c, c.Interfaces(), "guest", to("10.0.1.3/24")) // it is off

	// The last word of the batch counts.
	lan, dmz := row(t, c.Interfaces(), "lan"), row(t, c.Interfaces(), "dmz")
	to("10.0.0.1/24")(&lan)
	to("10.0.1.1/24")(&dmz)
	if _, err := do(t, c, func(b platform.ConfigBatch) {
		c.Interfaces().Put(b, "lan", lan)
		c.Interfaces().Put(b, "dmz", dmz)
	}); err != nil {
		t.Error(err)
	}

	// Two on one link may share a network, and what somebody else has made may stay.
	change(t, c, c.Interfaces(), "guest", func(r *iface) { r.Enabled, r.Device = true, "@dmz" })
	write(t, c, "network", text1(t, c, "network")+"\nconfig interface 'twin'\n\toption device 'twin'\n\toption proto 'static'\n\tlist ipaddr '10.0.1.9/24'\n")
	change(t, c, c.Interfaces(), "dmz", func(r *iface) { r.MTU = 1400 })
}
