package tr181_test

// Several changes of the network in one request, whose order carries no
// meaning (TR-069 A.3.2.1): what one row gives up another may take.

import (
	"net/netip"
	"testing"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

func TestAddressesSwapped(t *testing.T) {
	h := build(t)
	wan := h.find("Device.IP.Interface.", "Name", "eth0")
	a, b := h.add(wan+"IPv4Address."), h.add(wan+"IPv4Address.")
	h.set(a, "Enable=true", "IPAddress=198.51.100.7", "SubnetMask=255.255.255.0")
	h.set(b, "Enable=true", "IPAddress=203.0.113.7", "SubnetMask=255.255.255.0")
	h.set("", a+"IPAddress=203.0.113.7", b+"IPAddress=198.51.100.7")
	h.want(a, "Status=Enabled", "IPAddress=203.0.113.7")
	h.want(b, "Status=Enabled", "IPAddress=198.51.100.7")
	h.set("", a+"IPAddress=203.0.113.8", b+"IPAddress=203.0.113.7") // one gives, one takes
	h.want(a, "Status=Enabled")
	h.want(b, "Status=Enabled")
	if h.hasAddress("eth0", "198.51.100.7/24") {
		t.Error("an address that nobody has any more is still there")
	}
}

// One row is switched off and another with the same address on, in whichever
// order the request has them.
func TestAddressHandedOver(t *testing.T) {
	h := build(t)
	wan := h.find("Device.IP.Interface.", "Name", "eth0")
	a, b := h.add(wan+"IPv4Address."), h.add(wan+"IPv4Address.")
	h.set(a, "Enable=true", "IPAddress=198.51.100.7", "SubnetMask=255.255.255.0")
	h.set(b, "IPAddress=198.51.100.7", "SubnetMask=255.255.255.0")
	h.set("", a+"Enable=false", b+"Enable=true")
	h.want(a, "Status=Disabled")
	h.want(b, "Status=Enabled")
	h.set("", a+"Enable=true", b+"Enable=false")
	h.want(a, "Status=Enabled")
	h.set("", b+"Enable=true", a+"Enable=false")
	h.want(b, "Status=Enabled")
	if !h.hasAddress("eth0", "198.51.100.7/24") {
		t.Error("the address is gone")
	}
}

// An IPv6 address that goes over with another prefix length is set anew.
func TestIPv6AddressHandedOver(t *testing.T) {
	h := build(t)
	wan := h.find("Device.IP.Interface.", "Name", "eth0")
	p := h.add(wan + "IPv6Prefix.")
	h.set(p, "Enable=true", "Prefix=2001:db8:7::/64")
	a, b := h.add(wan+"IPv6Address."), h.add(wan+"IPv6Address.")
	h.set(a, "Enable=true", "IPAddress=2001:db8:7::1")
	h.set(b, "IPAddress=2001:db8:7::1", "Prefix="+p[:len(p)-1])
	if !h.hasAddress("eth0", "2001:db8:7::1/128") {
		t.Fatal("it was not alone")
	}
	h.set("", b+"Enable=true", a+"Enable=false")
	h.want(b, "Status=Enabled")
	if !h.hasAddress("eth0", "2001:db8:7::1/64") {
		t.Error("it does not have the length of its prefix")
	}
}

func TestRoutesSwapped(t *testing.T) {
	h := build(t)
	const table = "Device.Routing.Router.1.IPv4Forwarding."
	wan := h.find("Device.IP.Interface.", "Name", "eth0")
	r, s := h.add(table), h.add(table)
	for row, dest := range map[string]string{r: "172.16.1.0", s: "172.16.2.0"} {
		h.set(row, "Enable=true", "DestIPAddress="+dest, "DestSubnetMask=255.255.255.0", "Interface="+wan[:len(wan)-1])
	}
	h.set("", r+"DestIPAddress=172.16.2.0", s+"DestIPAddress=172.16.1.0")
	h.want(r, "Status=Enabled")
	h.want(s, "Status=Enabled")
	h.set("", s+"Enable=false", r+"DestIPAddress=172.16.1.0") // taken over, its own given up
	h.want(r, "Status=Enabled")
	if _, ok := h.route("172.16.2.0/24"); ok {
		t.Error("a route that nobody wants is still there")
	}
}

// A route may stand before the address that leads to its gateway.
func TestRouteBeforeItsAddress(t *testing.T) {
	h := build(t)
	wan := h.find("Device.IP.Interface.", "Name", "eth0")
	a, r := h.add(wan+"IPv4Address."), h.add("Device.Routing.Router.1.IPv4Forwarding.")
	h.set(a, "IPAddress=198.51.100.7", "SubnetMask=255.255.255.0")
	h.set(r, "DestIPAddress=172.16.1.0", "DestSubnetMask=255.255.255.0", "GatewayIPAddress=198.51.100.1")
	h.set("", r+"Enable=true", a+"Enable=true")
	h.want(r, "Status=Enabled")
	if got, ok := h.route("172.16.1.0/24"); !ok || got.Gateway != netip.MustParseAddr("198.51.100.1") {
		t.Errorf("the system has %v, %v", got, ok)
	}
	h.set("", a+"Enable=false", r+"Enable=false") // and go after it
	h.want(r, "Status=Disabled")
	h.want(a, "Status=Disabled")
}

// However it is written, an address is one address.
func TestIPv6AddressTwice(t *testing.T) {
	h := build(t)
	wan := h.find("Device.IP.Interface.", "Name", "eth0")
	a, b := h.add(wan+"IPv6Address."), h.add(wan+"IPv6Address.")
	h.set(a, "Enable=true", "IPAddress=2001:DB8:7::0001")
	h.want(a, "IPAddress=2001:DB8:7::0001") // as it was written
	blames(t, h.trySet(b, "IPAddress=2001:db8:7::1", "Enable=true"), datamodel.ErrValue, b+"IPAddress")
	p, q := h.add(wan+"IPv6Prefix."), h.add(wan+"IPv6Prefix.")
	h.set(p, "Enable=true", "Prefix=2001:DB8:7::/64")
	blames(t, h.trySet(q, "Prefix=2001:db8:7:0::/64", "Enable=true"), datamodel.ErrValue, q+"Prefix")
}

// A VLAN may stand before the link that it is on, whose MTU bounds its own:
// both rise to carry PPPoE (RFC 4638).
func TestVLANBeforeItsLink(t *testing.T) {
	h := build(t)
	h.router.EditLink("eth0.7", func(l *platform.Link) {
		l.Kind, l.Parent, l.VLANID, l.MTU, l.Enabled = platform.LinkVLAN, "eth0", 7, 1500, true
	})
	vlan, wan := h.find("Device.IP.Interface.", "Name", "eth0.7"), h.find("Device.IP.Interface.", "Name", "eth0")
	h.set("", vlan+"MaxMTUSize=1508", wan+"MaxMTUSize=1508")
	h.want(vlan, "MaxMTUSize=1508")
	h.want(wan, "MaxMTUSize=1508")
	h.set("", wan+"MaxMTUSize=1500", vlan+"MaxMTUSize=1500")
	h.want(vlan, "MaxMTUSize=1500")
}
