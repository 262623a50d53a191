package tr181_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatehouse/platform"
)

// Links of every kind, and how they stand on each other.
func TestKindsOfLinks(t *testing.T) {
	h := build(t)
	for i, l := range []platform.Link{
		{Name: "wlan9", Kind: platform.LinkWiFi, MAC: "00:00:5e:00:53:90"},
		{Name: "wan7", Kind: platform.LinkVLAN, Parent: "eth0", VLANID: 7},
		{Name: "wan7.8", Kind: platform.LinkVLAN, Parent: "wan7", VLANID: 8},
		{Name: "lost3", Kind: platform.LinkVLAN, Parent: "elsewhere", VLANID: 3},
		{Name: "ppp0", Kind: platform.LinkPPP},
		{Name: "dummy0", Kind: platform.LinkOther},
	} {
		l.Index, l.Enabled, l.MTU = 100+i, true, 1400
		h.router.EditLink(l.Name, func(x *platform.Link) { *x = l })
	}
	lower := func(name string) string {
		t.Helper()
		return h.get(h.find("Device.IP.Interface.", "Name", name) + "LowerLayers")
	}
	for _, name := range []string{"ppp0", "dummy0", "lo"} {
		if got := lower(name); got != "" {
			t.Errorf("%s stands on %s", name, got)
		}
	}
	h.want(lower("wlan9")+".", "Name=wlan9", "LowerLayers=")
	top := lower("wan7.8")
	h.want(top+".", "VLANID=8")
	middle := h.get(top + ".LowerLayers")
	h.want(middle+".", "VLANID=7", "Name=wan7")
	h.want(h.get(middle+".LowerLayers")+".", "Name=eth0")
	h.want(lower("lost3")+".", "VLANID=3", "LowerLayers=")
	h.want(h.find("Device.IP.Interface.", "Name", "ppp0"), "Type=Normal", "Loopback=false")
	if h.lookup("Device.Ethernet.Interface.", "Name", "wlan9") != "" {
		t.Error("a radio is no Ethernet port")
	}
	h.router.EditLink("br-lan", func(l *platform.Link) { l.Enabled = false })
	bridge := h.find("Device.Bridging.Bridge.", "Name", "br-lan")
	h.want(bridge, "Status=Disabled")
	h.want(h.find(bridge+"Port.", "ManagementPort", "true"), "PortState=Disabled")
}

// Addresses of every origin.
func TestKindsOfAddresses(t *testing.T) {
	h := build(t)
	h.router.EditLink("ppp0", func(l *platform.Link) {
		*l = platform.Link{Name: "ppp0", Index: 100, Kind: platform.LinkPPP, Enabled: true, MTU: 1492}
	})
	at := func(link, p string) platform.Address {
		return platform.Address{Link: link, Prefix: prefix(p), Preferred: -1, Valid: -1}
	}
	temporary, leased, duplicate, tentative, deprecated := at("eth0", "2001:db8:1::a/64"), at("eth0", "2001:db8:1::b/128"),
		at("eth0", "2001:db8:1::c/64"), at("eth0", "2001:db8:1::d/64"), at("eth0", "2001:db8:9::e/64")
	temporary.Temporary, leased.Dynamic, duplicate.Duplicate, tentative.Tentative, deprecated.Deprecated = true, true, true, true, true
	h.router.SetAddress(at("ppp0", "192.0.2.9/32"), at("eth0", "169.254.7.7/16"), temporary, leased, duplicate, tentative, deprecated)
	for link, wants := range map[string][][3]string{
		"ppp0": {{"IPv4Address.", "192.0.2.9", "AddressingType=IPCP"}},
		"lo":   {{"IPv6Address.", "::1", "Origin=WellKnown"}},
		"eth0": {
			{"IPv4Address.", "169.254.7.7", "AddressingType=AutoIP"},
			{"IPv6Address.", "2001:db8:1::a", "Origin=AutoConfigured"},
			{"IPv6Address.", "2001:db8:1::b", "Origin=DHCPv6"},
			{"IPv6Address.", "2001:db8:1::b", "Prefix="},
			{"IPv6Address.", "2001:db8:1::c", "IPAddressStatus=Duplicate"},
			{"IPv6Address.", "2001:db8:1::d", "IPAddressStatus=Tentative"},
			{"IPv6Address.", "2001:db8:9::e", "IPAddressStatus=Deprecated"},
		},
	} {
		ip := h.find("Device.IP.Interface.", "Name", link)
		for _, w := range wants {
			h.want(h.find(ip+w[0], "IPAddress", w[1]), w[2])
		}
	}
	wan := h.find("Device.IP.Interface.", "Name", "eth0")
	h.want(h.find(wan+"IPv6Prefix.", "Prefix", "2001:db8:9::/64"), "PrefixStatus=Deprecated")
}

// Routes of every origin.
func TestKindsOfRoutes(t *testing.T) {
	h := build(t)
	router := "Device.Routing.Router.1."
	for i, test := range []struct{ dest, protocol, table, column, origin string }{
		{"192.0.2.0/28", "ospf", "IPv4Forwarding.", "DestIPAddress=192.0.2.0", "OSPF"},
		{"192.0.2.16/28", "rip", "IPv4Forwarding.", "DestIPAddress=192.0.2.16", "RIP"},
		{"192.0.2.32/28", "zebra", "IPv4Forwarding.", "DestIPAddress=192.0.2.32", "Static"},
		{"2001:db8:a::/64", "dhcp", "IPv6Forwarding.", "DestIPPrefix=2001:db8:a::/64", "DHCPv6"},
		{"2001:db8:b::/64", "ospf", "IPv6Forwarding.", "DestIPPrefix=2001:db8:b::/64", "OSPF"},
		{"2001:db8:c::/64", "rip", "IPv6Forwarding.", "DestIPPrefix=2001:db8:c::/64", "RIPng"},
		{"2001:db8:d::/64", "boot", "IPv6Forwarding.", "DestIPPrefix=2001:db8:d::/64", "Static"},
	} {
		h.router.AddRoute(platform.Route{Dest: prefix(test.dest), Link: "eth0", Protocol: test.protocol, Metric: int32(i)})
		name, value, _ := strings.Cut(test.column, "=")
		h.want(h.find(router+test.table, name, value), "Origin="+test.origin)
	}
}

// Hosts are told apart by their MAC address, and known by what is known.
func TestKindsOfHosts(t *testing.T) {
	h := build(t)
	const mac = "00:00:5e:00:53:77"
	h.router.EditLink("lan9", func(l *platform.Link) {
		*l = platform.Link{Name: "lan9", Index: 100, MAC: "00:00:5e:00:53:99", Enabled: true, MTU: 1500}
	})
	h.router.SetNeighbor(
		platform.Neighbor{Link: "lan9", MAC: mac, Addr: netip.MustParseAddr("fe80::77%lan9")},
		platform.Neighbor{Link: "lan9", MAC: mac, Addr: netip.MustParseAddr("10.9.0.7"), Active: true},
		platform.Neighbor{Link: "lan9", MAC: mac, Addr: netip.MustParseAddr("10.9.0.8"), Hostname: strings.Repeat("ä", 80)},
		platform.Neighbor{Link: "lan9", Addr: netip.MustParseAddr("10.9.0.9")}, // incomplete
	)
	host := h.find("Device.Hosts.Host.", "PhysAddress", strings.ToUpper(mac))
	h.want(host, "IPAddress=10.9.0.7", "Active=true", "InterfaceType=Ethernet", "IPv4AddressNumberOfEntries=2",
		"IPv6AddressNumberOfEntries=1", "IPv6Address.1.IPAddress=fe80::77", "HostName="+strings.Repeat("ä", 64))
	h.want(h.get(host+"Layer1Interface")+".", "Name=lan9")
	h.want(h.get(host+"Layer3Interface")+".", "Name=lan9")
	if h.lookup("Device.Hosts.Host.", "PhysAddress", "00:00:5E:00:53:F0") != "" {
		t.Error("the provider's router is listed as a host of ours")
	}
	if h.lookup("Device.Hosts.Host.", "PhysAddress", "") != "" {
		t.Error("a host without an address")
	}
}

func TestClockAndNTP(t *testing.T) {
	h := build(t)
	h.platform.Timing = nil // what the system does, where nobody keeps what it is told
	h.start()
	h.router.SetTime(platform.TimeStatus{Set: true, NTP: true, Zone: "UTC", Servers: []string{"a", "b", "c", "d", "e", "f"}})
	h.want("Device.Time.", "Enable=true", "Status=Unsynchronized", "NTPServer5=e", "LocalTimeZone=", "Client.1.Servers=a,b,c,d,e,f")
	h.router.SetTime(platform.TimeStatus{})
	h.want("Device.Time.", "Enable=false", "Status=Disabled", "NTPServer1=", "ClientNumberOfEntries=0",
		"CurrentLocalTime=0001-01-01T00:00:00Z") // the clock was never set
}

func TestLastChange(t *testing.T) {
	h := build(t)
	changed := time.Now().Add(-time.Hour)
	h.router.EditLink("eth0", func(l *platform.Link) { l.Changed = changed })
	if got := h.get(h.find("Device.Ethernet.Interface.", "Name", "eth0") + "LastChange"); got != "3600" && got != "3601" {
		t.Errorf("LastChange is %s, an hour later", got)
	}
}
