package tr181_test

// The DHCP server: what an ACS can configure, what it is told of the clients.

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/datamodel"
	"gatehouse/platform"
	"gatehouse/platform/fake"
)

const dhcp = "Device.DHCPv4.Server."

// pool returns what the platform keeps of a pool.
func (h *house) pool(key string) platform.DHCPPool {
	h.Helper()
	return entry(h, h.platform.DHCP.Pools, key)
}

func entry[T any](h *house, t platform.Table[T], key string) T {
	h.Helper()
	for _, e := range rows(h.TB, t.Rows(h.Context())) {
		if e.Key == key {
			return e.Value
		}
	}
	h.Fatalf("there is no row %q", key)
	panic("unreachable")
}

// keys are the rows that the platform keeps.
func keys[T any](h *house, t platform.Table[T]) (all []string) {
	h.Helper()
	for _, e := range rows(h.TB, t.Rows(h.Context())) {
		all = append(all, e.Key)
	}
	return all
}

func TestDHCPPoolLife(t *testing.T) {
	h := build(t)
	lan := h.find("Device.IP.Interface.", "Name", "br-lan")
	p := h.add(dhcp + "Pool.")
	h.want(p, "Enable=false", "Status=Disabled", "Order=2", "Interface=", "LeaseTime=86400", "MinAddress=")
	h.set(p, "Enable=true")
	h.want(p, "Status=Error_Misconfigured")
	h.set(p, "MaxAddress=192.168.1.60", "LeaseTime=-1", "MinAddress=192.168.1.50", "SubnetMask=255.255.255.0", "Interface="+strings.TrimSuffix(lan, "."),
		"DNSServers=192.168.1.1,9.9.9.9", "ReservedAddresses=192.168.1.55", "DomainName=guests.lan", "IPRouters=192.168.1.1")
	h.want(p, "MinAddress=192.168.1.50", "Status=Disabled") // the server has not taken it up
	h.reload("dhcp")
	h.want(p, "Status=Enabled")
	ip := netip.MustParseAddr
	want := platform.DHCPPool{
		Enabled: true, Interface: "br-lan", Min: ip("192.168.1.50"), Max: ip("192.168.1.60"), Mask: ip("255.255.255.0"),
		Reserved: []netip.Addr{ip("192.168.1.55")}, DNS: []netip.Addr{ip("192.168.1.1"), ip("9.9.9.9")},
		Domain: "guests.lan", Routers: []netip.Addr{ip("192.168.1.1")}, LeaseTime: -1,
	}
	key := keys(h, h.platform.DHCP.Pools)[1]
	if got := h.pool(key); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the platform keeps\n%+v, want\n%+v", got, want)
	}
	h.set(dhcp, "Enable=false")
	h.want(p, "Status=Disabled")
	h.set(dhcp, "Enable=true")

	// Its rows go with it.
	s, o := h.add(p+"StaticAddress."), h.add(p+"Option.")
	h.set("", s+"Chaddr=00:00:5e:00:53:99", s+"Yiaddr=192.168.1.51", s+"Enable=1", o+"Tag=43", o+"Value=DEADBEEF", o+"Enable=true")
	h.want(p, "StaticAddressNumberOfEntries=1", "OptionNumberOfEntries=1", "Option.1.Value=DEADBEEF")
	h.delete(p)
	if got := keys(h, h.platform.DHCP.Hosts); !slices.Equal(got, []string{"printer"}) {
		t.Errorf("hosts %q are left", got)
	}
	if got := keys(h, h.platform.DHCP.Options); !slices.Equal(got, []string{"ntp"}) {
		t.Errorf("options %q are left", got)
	}
}

func TestDHCPPoolChecks(t *testing.T) {
	h := build(t)
	p := dhcp + "Pool.1."
	for _, c := range []struct {
		set   []string
		blame []string
	}{
		{[]string{"MinAddress=192.168.1.250"}, []string{"MinAddress"}},
		{[]string{"MaxAddress=192.168.1.9"}, []string{"MaxAddress"}},
		{[]string{"MaxAddress=192.168.2.9"}, []string{"MaxAddress"}},
		{[]string{"MinAddress=192.168.0.9"}, []string{"MinAddress"}},
		{[]string{"SubnetMask=255.255.255.128"}, []string{"SubnetMask"}},
		{[]string{"SubnetMask=255.0.255.0"}, []string{"SubnetMask"}},
		{[]string{"LeaseTime=0"}, []string{"LeaseTime"}},
		{[]string{"LeaseTime=-2"}, []string{"LeaseTime"}},
		{[]string{"DomainName=lan\nserver=203.0.113.66"}, []string{"DomainName"}},
		{[]string{"DomainName=$(reboot)"}, []string{"DomainName"}},
		{[]string{"DNSServers=1.1.1.1,2.2.2.2,3.3.3.3,4.4.4.4,5.5.5.5"}, []string{"DNSServers"}},
		{[]string{"Order=0"}, []string{"Order"}},
		{[]string{"Interface=Device.DHCPv4.Server"}, []string{"Interface"}},
		{[]string{"LeaseTime=0", "DomainName=a b", "MinAddress=192.168.1.250"}, []string{"MinAddress", "DomainName", "LeaseTime"}},
	} {
		err := h.trySet(p, c.set...)
		var paths []string
		for _, b := range c.blame {
			paths = append(paths, p+b)
		}
		blames(t, err, datamodel.ErrValue, paths...)
	}
	h.set(p, "MaxAddress=10.0.0.20", "MinAddress=10.0.0.10") // in any order, whole
	h.want(p, "Status=Error_Misconfigured")                  // its interface is in another network
}

// A pool that somebody has configured oddly can be written but for its oddness.
func TestDHCPPoolOddBefore(t *testing.T) {
	h := build(t)
	odd := h.pool("lan")
	odd.Min, odd.Max, odd.Mask, odd.Domain = odd.Max, odd.Min, netip.Addr{}, strings.Repeat("\x01$(reboot)", 20)
	h.config(func(b platform.ConfigBatch) { h.platform.DHCP.Pools.Put(b, "lan", odd) })
	p := dhcp + "Pool.1."
	h.want(p, "Status=Error_Misconfigured", "SubnetMask=255.255.255.0") // the interface's
	h.set(p, "LeaseTime=600")
	odd.LeaseTime = 10 * time.Minute
	if got := h.pool("lan"); fmt.Sprint(got) != fmt.Sprint(odd) {
		t.Errorf("more was written than was asked for:\n%+v, want\n%+v", got, odd)
	}
}

// config changes the configuration behind the back of the model.
func (h *house) config(edit func(platform.ConfigBatch)) {
	h.Helper()
	b, err := h.platform.Config.Begin(h.Context())
	if err != nil {
		h.Fatal(err)
	}
	edit(b)
	if err := b.Prepare(h.Context()); err != nil {
		h.Fatal(err)
	}
	if _, err := b.Commit(h.Context()); err != nil {
		h.Fatal(err)
	}
}

// TR-181 Pool.Order: a value that is taken moves its holder and all after it,
// then the values are compacted.
func TestDHCPPoolOrder(t *testing.T) {
	h := build(t)
	h.values(dhcp) // which numbers what is there
	for range 3 {
		h.add(dhcp + "Pool.")
	}
	order := func() string {
		var all []string
		for i := range 5 {
			if v, ok := h.values(dhcp + "Pool.")[fmt.Sprintf("%sPool.%d.Order", dhcp, i+1)]; ok {
				all = append(all, v)
			}
		}
		return strings.Join(all, " ")
	}
	pool := func(n int) string { return fmt.Sprintf("%sPool.%d.Order", dhcp, n) }
	for _, c := range []struct{ set, want string }{
		{"", "1 2 3 4"},
		{pool(4) + "=1", "2 3 4 1"},
		{pool(4) + "=1", "2 3 4 1"},
		{pool(4) + "=2", "2 3 4 1"}, // right before the one that has it: where it is
		{pool(4) + "=3", "1 3 4 2"},
		{pool(1) + "=900", "4 2 3 1"},
		{pool(1) + "=1 " + pool(4) + "=4", "1 2 3 4"}, // two at once: what each shall have
		{pool(2) + "=3 " + pool(3) + "=2", "1 3 2 4"}, // changing places
	} {
		if c.set != "" {
			h.set("", strings.Fields(c.set)...)
		}
		if got := order(); got != c.want {
			t.Errorf("after %q: %s, want %s", c.set, got, c.want)
		}
	}
	blames(t, h.trySet("", pool(1)+"=2", pool(2)+"=2"), datamodel.ErrValue, pool(1), pool(2))
	h.delete(dhcp + "Pool.3.")
	if got := order(); got != "1 2 3" {
		t.Errorf("after a deletion: %s", got)
	}
	p := h.add(dhcp + "Pool.")
	h.want(p, "Order=4")
	for _, gone := range []int{1, 2} { // gaps are no places for new ones
		h.delete(fmt.Sprintf("%sPool.%d.", dhcp, gone))
	}
	h.want(h.add(dhcp+"Pool."), "Order=3")
	h.set(p, "Order=1")
	h.want(p, "Order=1")
	h.start()
	h.want(p, "Order=1")
}

func TestStaticAddress(t *testing.T) {
	h := build(t)
	table := dhcp + "Pool.1.StaticAddress."
	a, b := h.add(table), h.add(table)
	h.set("", a+"Enable=true", a+"Chaddr=00:00:5E:00:53:A0", a+"Yiaddr=192.168.1.110", a+"Alias=tv")
	h.want(a, "Chaddr=00:00:5E:00:53:A0", "Yiaddr=192.168.1.110", "Alias=tv")
	for _, c := range []struct {
		set   []string
		blame []string
	}{
		{[]string{a + "Yiaddr=192.168.1.99"}, []string{a + "Yiaddr"}},
		{[]string{a + "Yiaddr=192.168.1.250"}, []string{a + "Yiaddr"}},
		{[]string{a + "Yiaddr=192.168.1.103"}, []string{a + "Yiaddr"}}, // the printer's
		{[]string{a + "Chaddr=01:00:5e:00:00:01"}, []string{a + "Chaddr"}},
		{[]string{a + "Chaddr=00-00-5e-00-53-01"}, []string{a + "Chaddr"}},
		{[]string{b + "Enable=true", b + "Chaddr=00:00:5e:00:53:a0"}, []string{b + "Chaddr"}}, // the TV's, spelled otherwise
		{[]string{b + "Chaddr=00:00:5e:00:53:a1", b + "Yiaddr=192.168.1.110", b + "Enable=true"}, []string{b + "Yiaddr"}},
	} {
		blames(t, h.trySet("", c.set...), datamodel.ErrValue, c.blame...)
	}
	h.set("", b+"Chaddr=00:00:5e:00:53:a0", b+"Yiaddr=192.168.1.110")                                    // off, it does not count
	h.set("", a+"Enable=false", b+"Enable=true")                                                         // handed over
	h.set("", b+"Yiaddr=10.0.0.7", dhcp+"Pool.1.MaxAddress=10.0.0.9", dhcp+"Pool.1.MinAddress=10.0.0.5") // with its pool
	h.set(a, "Yiaddr=192.168.1.99")                                                                      // off, it may be anything
	h.want(b, "Yiaddr=10.0.0.7")
	h.delete(b)
	h.want(dhcp+"Pool.1.", "StaticAddressNumberOfEntries=2")
}

// A host that the platform keeps without its pool is shown where its address is.
func TestStaticAddressWithoutPool(t *testing.T) {
	h := build(t)
	h.config(func(b platform.ConfigBatch) {
		h.platform.DHCP.Hosts.Put(b, "a", platform.DHCPHost{Enabled: true, MAC: "00:00:5e:00:53:a0", Addr: netip.MustParseAddr("192.168.1.5")})
		h.platform.DHCP.Hosts.Put(b, "b", platform.DHCPHost{Enabled: true, MAC: "00:00:5e:*:*:*", Addr: netip.MustParseAddr("10.9.9.9")})
	})
	a := h.find(dhcp+"Pool.1.StaticAddress.", "Yiaddr", "192.168.1.5")
	h.set(a, "Chaddr=00:00:5e:00:53:a1")
	if got := entry(h, h.platform.DHCP.Hosts, "a"); got.Pool != "" || got.MAC != "00:00:5e:00:53:a1" {
		t.Errorf("the platform keeps %+v", got)
	}
	h.want(dhcp+"Pool.1.", "StaticAddressNumberOfEntries=2") // b is of no pool
}

func TestDHCPOptionChecks(t *testing.T) {
	h := build(t)
	table := dhcp + "Pool.1.Option."
	o := h.add(table)
	h.set(o, "Tag=66", "Value=", "Enable=true")
	blames(t, h.trySet(o, "Tag=42"), datamodel.ErrValue, o+"Tag") // there is one
	for _, tag := range []string{"0", "255", "53", "51", "1"} {
		blames(t, h.trySet(o, "Tag="+tag), datamodel.ErrValue, o+"Tag")
	}
	blames(t, h.trySet(o, "Value="+strings.Repeat("00", 256)), datamodel.ErrValue, o+"Value")
	h.set(o, "Value="+strings.Repeat("ff", 255))
	h.set(o, "Enable=false", "Tag=42")
}

// Tables are full one day: 9004, and what is there stays.
func TestDHCPTablesFull(t *testing.T) {
	h := build(t)
	add := func(table string) error {
		return h.try(func(tx *datamodel.Tx) error { _, err := tx.Add(t.Context(), table); return err })
	}
	h.config(func(b platform.ConfigBatch) {
		for i := range 62 {
			h.platform.DHCP.Options.Put(b, fmt.Sprint(i), platform.DHCPOption{Pool: "lan", Tag: uint8(100 + i)})
		}
		for i := range 31 {
			h.platform.DHCP.Pools.Put(b, fmt.Sprint(i), platform.DHCPPool{})
		}
		for i := range 255 {
			h.platform.DHCP.Hosts.Put(b, fmt.Sprint(i), platform.DHCPHost{Pool: "lan"})
		}
	})
	if err := add(dhcp + "Pool.1.Option."); err != nil {
		t.Errorf("the last row: %v", err)
	}
	for _, table := range []string{dhcp + "Pool.1.Option.", dhcp + "Pool.", dhcp + "Pool.1.StaticAddress."} {
		err := add(table)
		if err == nil {
			t.Errorf("%s has no end", table)
			continue
		}
		if !errors.Is(err, datamodel.ErrResources) {
			t.Errorf("%s: %v", table, err)
		}
	}
	if err := add(h.find(dhcp+"Pool.", "OptionNumberOfEntries", "0") + "Option."); err != nil {
		t.Errorf("the options of another pool: %v", err)
	}
}

// What clients say of themselves is shown, and does no harm.
func TestLeases(t *testing.T) {
	h := build(t)
	mac := "00:00:5e:00:53:66"
	name := "\x00\x1b[2J$(reboot)'\";\xff\xfe" + strings.Repeat("x", 300)
	h.router.SetLease(
		platform.Lease{MAC: mac, Addr: netip.MustParseAddr("192.168.1.120"), Name: name, ClientID: "no hexadecimal"},
		platform.Lease{MAC: mac, Addr: netip.MustParseAddr("192.168.1.7"), Name: "second", Ends: time.Unix(1_000_000_000, 999)},
		platform.Lease{MAC: "ff:00:5e", Addr: netip.MustParseAddr("192.168.1.121")},
		platform.Lease{MAC: "00:00:5e:00:53:67", Addr: netip.MustParseAddr("10.0.0.1")},
	)
	p := dhcp + "Pool.1."
	h.want(p, "ClientNumberOfEntries=4")
	c := h.find(p+"Client.", "Chaddr", strings.ToUpper(mac))
	h.want(c, "Active=false", "IPv4AddressNumberOfEntries=2", "OptionNumberOfEntries=1", "Option.1.Tag=12",
		"Option.1.Value="+fmt.Sprintf("%X", name[:255]),
		"IPv4Address.1.IPAddress=192.168.1.120", "IPv4Address.1.LeaseTimeRemaining=9999-12-31T23:59:59Z",
		"IPv4Address.2.IPAddress=192.168.1.7", "IPv4Address.2.LeaseTimeRemaining=2001-09-09T01:46:40Z")
	h.set(c, "Alias=stranger")
	h.want(p+"Client.[stranger].", "Chaddr="+strings.ToUpper(mac))

	h.router.SetNeighbor(platform.Neighbor{Link: "br-lan", MAC: mac, Addr: netip.MustParseAddr("192.168.1.120"), Active: true})
	host := h.find("Device.Hosts.Host.", "PhysAddress", strings.ToUpper(mac))
	h.want(host, "DHCPClient="+strings.TrimSuffix(c, "."))
	h.want(c, "Active=true")
	if got := h.get(host + "HostName"); len([]rune(got)) != 64 {
		t.Errorf("the name has %d characters: %q", len([]rune(got)), got)
	}
	h.router.RemoveLease(mac)
	h.want(host, "DHCPClient=")
	h.want(p, "ClientNumberOfEntries=3")
}

// The leases of two pools on one wire go to that whose range they are in.
func TestLeasesOfTwoPools(t *testing.T) {
	h := build(t)
	h.values(dhcp)
	p := h.add(dhcp + "Pool.")
	h.set(p, "MinAddress=192.168.1.20", "MaxAddress=192.168.1.30", "SubnetMask=255.255.255.0", "Enable=true")
	h.router.SetLease(platform.Lease{MAC: "00:00:5e:00:53:70", Addr: netip.MustParseAddr("192.168.1.25")})
	h.want(p, "ClientNumberOfEntries=1")
	h.want(dhcp, "Pool.1.ClientNumberOfEntries=3")
}

// A platform without some of it shows what it has.
func TestDHCPInParts(t *testing.T) {
	h := build(t)
	d := &h.platform.DHCP
	d.Server, d.Hosts, d.Options, d.Leases, d.Applied = nil, nil, nil, nil, nil
	h.start()
	all := h.values("Device.DHCPv4.")
	if all[dhcp+"Pool.1.Status"] != "Enabled" {
		t.Errorf("without a word of the server: %q", all[dhcp+"Pool.1.Status"])
	}
	for name := range all {
		if strings.Contains(name, "StaticAddress") || strings.Contains(name, "Option") || strings.Contains(name, "Client") || name == dhcp+"Enable" {
			t.Errorf("%s is there", name)
		}
	}
	if _, ok := h.values("Device.Hosts.")["Device.Hosts.Host.1.DHCPClient"]; ok {
		t.Error("a host has a DHCP client without leases")
	}
}

// What the device was given itself, and asks for again.
func TestDHCPClient(t *testing.T) {
	h := buildOn(t, fake.NewLogical())
	c := h.find("Device.DHCPv4.Client.", "Interface", strings.TrimSuffix(h.find("Device.IP.Interface.", "Name", "wan"), "."))
	h.want("Device.DHCPv4.", "ClientNumberOfEntries=1") // wan6 is none
	h.want(c, "Enable=true", "Status=Enabled", "DHCPStatus=Bound", "IPAddress=203.0.113.17", "SubnetMask=255.255.255.0",
		"IPRouters=203.0.113.1", "DNSServers=203.0.113.53,198.51.100.53", "LeaseTimeRemaining=3600", "Renew=false")
	r := h.commit(c, "Renew=true")
	if !slices.Equal(r.After, []datamodel.Action{{Name: "renew lease", Arg: "wan"}}) {
		t.Errorf("left to do: %+v", r.After)
	}
	if h.router.Renewals("wan") != 0 {
		t.Error("renewed within the session")
	}
	if err := h.model.RenewLeases(t.Context(), []string{"wan"}); err != nil || h.router.Renewals("wan") != 1 {
		t.Errorf("%d renewals, %v", h.router.Renewals("wan"), err)
	}
	if r := h.commit(c, "Renew=false"); len(r.After) != 0 {
		t.Errorf("left to do: %+v", r.After)
	}
	h.router.SetLink("eth0", false)
	h.want(c, "Status=Enabled", "DHCPStatus=Init", "IPAddress=", "DNSServers=", "LeaseTimeRemaining=0")

	h.platform.Interfaces.Renew = nil
	h.start()
	if _, ok := h.values(c)[c+"Renew"]; ok {
		t.Error("there is a Renew that nobody does")
	}
}

// On logical interfaces the rest is as it is on links.
func TestDHCPOnLogicalInterfaces(t *testing.T) {
	h := buildOn(t, fake.NewLogical())
	lan := strings.TrimSuffix(h.find("Device.IP.Interface.", "Name", "lan"), ".")
	wan := strings.TrimSuffix(h.find("Device.IP.Interface.", "Name", "wan"), ".")
	h.want(dhcp+"Pool.1.", "Interface="+lan, "Status=Enabled", "ClientNumberOfEntries=3")
	h.want("Device.NAT.", "InterfaceSetting.1.Interface="+wan, "PortMapping.1.Interface="+wan, "PortMapping.1.Status=Enabled")
	h.set(mappings+"1.", "Interface="+lan)
	if got := entry(h, h.platform.NAT.Mappings, "printer"); got.Interface != "lan" {
		t.Errorf("kept %+v", got)
	}
}
