package tr181_test

import (
	"strings"
	"testing"

	"gatehouse/platform"
)

// A link goes and its route points nowhere; it comes back and so does the
// route.
func TestDanglingInterface(t *testing.T) {
	h := build(t)
	link := platform.Link{Name: "tun0", Index: 50, Kind: platform.LinkTunnel, Enabled: true, MTU: 1400}
	appear := func(index int) {
		link.Index = index
		h.router.EditLink("tun0", func(l *platform.Link) { *l = link })
	}
	appear(50)
	if err := h.model.Reapply(t.Context(), h.tree); err != nil {
		t.Fatal(err)
	}
	tun := h.find("Device.IP.Interface.", "Name", "tun0")
	r := h.add("Device.Routing.Router.1.IPv4Forwarding.")
	h.set(r, "DestIPAddress=192.0.2.0", "DestSubnetMask=255.255.255.0", "Interface="+tun, "Enable=true")
	h.set(tun, "MaxMTUSize=1300")
	h.want(r, "Status=Enabled")
	h.router.RemoveLink("tun0")
	h.want(r, "Status=Error", "Interface=")
	if err := h.model.Reapply(t.Context(), h.tree); err != nil {
		t.Fatal(err)
	}
	appear(51)
	if err := h.model.Reapply(t.Context(), h.tree); err != nil {
		t.Fatal(err)
	}
	h.want(r, "Status=Enabled", "Interface="+strings.TrimSuffix(tun, "."))
	h.want(tun, "MaxMTUSize=1300")
}

// Reapply does not fight with whoever changes things by hand.
func TestReapplyLeavesAlone(t *testing.T) {
	h := build(t)
	wan := h.find("Device.IP.Interface.", "Name", "eth0")
	a := h.add(wan + "IPv4Address.")
	h.set(a, "Enable=true", "IPAddress=198.51.100.7", "SubnetMask=255.255.255.0")
	reapply := func() {
		t.Helper()
		if err := h.model.Reapply(t.Context(), h.tree); err != nil {
			t.Error(err)
		}
	}
	reapply()
	commits := h.router.Commits()
	h.router.RemoveAddress(platform.Address{Link: "eth0", Prefix: prefix("198.51.100.7/24")})
	reapply()
	if h.hasAddress("eth0", "198.51.100.7/24") || h.router.Commits() != commits {
		t.Error("it was put back against somebody's will")
	}
	h.router.EditLink("eth0", func(l *platform.Link) { l.Enabled = false })
	reapply()
	h.router.EditLink("eth0", func(l *platform.Link) { l.Enabled = true })
	reapply()
	if !h.hasAddress("eth0", "198.51.100.7/24") {
		t.Error("it was not put back when the link was switched on")
	}
}

// At the start the way to a gateway may not be there yet.
func TestReapplyOwes(t *testing.T) {
	h := build(t)
	r := h.add("Device.Routing.Router.1.IPv4Forwarding.")
	h.set(r, "DestIPAddress=192.0.2.0", "DestSubnetMask=255.255.255.0", "GatewayIPAddress=203.0.113.9", "Enable=true")
	var dhcp platform.Address
	for _, a := range rows(t, h.platform.Addresses.Addresses(t.Context())) {
		if a.Prefix == prefix("203.0.113.17/24") {
			dhcp = a
		}
	}
	h.router.RemoveAddress(dhcp)
	h.router.RemoveRoutes(func(r platform.Route) bool { return r.Link == "eth0" })
	h.start()
	err := h.model.Reapply(t.Context(), h.tree)
	if err == nil || !strings.Contains(err.Error(), "192.0.2.0/24") {
		t.Errorf("got %v, want the route to be named", err)
	}
	if err := h.model.Reapply(t.Context(), h.tree); err != nil {
		t.Errorf("said twice: %v", err)
	}
	h.want(r, "Status=Error")
	h.router.SetAddress(dhcp)
	if err := h.model.Reapply(t.Context(), h.tree); err != nil {
		t.Error(err)
	}
	h.want(r, "Status=Enabled")
}

// Each table that is kept can be undone after a crash, also while its objects
// are absent.
func TestUndoKnowsAllTables(t *testing.T) {
	h := build(t)
	check := func() {
		t.Helper()
		undo := h.model.Undo()
		for name := range h.files {
			if name != "numbers" && name != "journal" && undo[name] == nil {
				t.Errorf("%s cannot be undone", name)
			}
		}
	}
	check()
	h.platform = platform.Platform{Identity: h.platform.Identity} // safe mode
	h.start()
	check()
	if err := h.model.Undo()["ipv4-routes"](t.Context(), []byte("row main 1\n")); err != nil || h.file("ipv4-routes").Text() != "row main 1\n" {
		t.Errorf("got %q, %v", h.file("ipv4-routes").Text(), err)
	}
	if err := h.model.Reapply(t.Context(), h.tree); err != nil {
		t.Error(err)
	}
}

// A link goes down and comes back before anybody looks. The kernel has dropped
// what led by it all the same.
func TestReapplyAfterAFastFlap(t *testing.T) {
	h := build(t)
	wan := h.find("Device.IP.Interface.", "Name", "eth0")
	r := h.add("Device.Routing.Router.1.IPv4Forwarding.")
	h.set(r, "Enable=true", "DestIPAddress=172.16.1.0", "DestSubnetMask=255.255.255.0", "Interface="+wan)
	reapply := func() {
		t.Helper()
		if err := h.model.Reapply(t.Context(), h.tree); err != nil {
			t.Fatal(err)
		}
	}
	reapply()
	for _, on := range []bool{false, true} {
		h.router.EditLink("eth0", func(l *platform.Link) { l.Enabled = on })
	}
	h.router.RemoveRoutes(func(r platform.Route) bool { return r.Dest == prefix("172.16.1.0/24") })
	reapply()
	h.want(r, "Status=Enabled")
	h.router.RemoveRoutes(func(r platform.Route) bool { return r.Dest == prefix("172.16.1.0/24") })
	reapply()
	h.want(r, "Status=Error") // by hand, and the link has not moved since
}

// IPv6 of a link is switched by itself. The kernel has forgotten it when the link
// comes back, and forgets the addresses of ours while it is off.
func TestReapplyIPv6(t *testing.T) {
	h := build(t)
	link := platform.Link{Name: "tun0", Kind: platform.LinkTunnel, Enabled: true, MTU: 1400}
	appear := func(index int) {
		link.Index = index
		h.router.EditLink("tun0", func(l *platform.Link) { *l = link })
		h.router.SetIPv6Link(platform.IPv6Link{Link: "tun0", Enabled: true})
	}
	reapply := func() {
		t.Helper()
		if err := h.model.Reapply(t.Context(), h.tree); err != nil {
			t.Fatal(err)
		}
	}
	appear(50)
	tun := h.find("Device.IP.Interface.", "Name", "tun0")
	a := h.add(tun + "IPv6Address.")
	h.set(a, "Enable=true", "IPAddress=2001:db8:77::1")
	reapply()
	h.set(tun, "IPv6Enable=false")
	h.want(tun, "IPv6Enable=false", "Enable=true")
	h.want(a, "Status=Error")
	reapply()

	h.router.RemoveLink("tun0")
	reapply()
	appear(51)
	reapply()
	h.want(tun, "IPv6Enable=false")
	if h.hasAddress("tun0", "2001:db8:77::1/128") {
		t.Error("an address where IPv6 is off")
	}
	h.set(tun, "IPv6Enable=true")
	reapply()
	h.want(tun, "IPv6Enable=true")
	h.want(a, "Status=Enabled")

	lo := h.find("Device.IP.Interface.", "Name", "lo")
	if err := h.trySet(lo, "IPv6Enable=false"); err == nil || !strings.Contains(err.Error(), lo+"IPv6Enable") {
		t.Errorf("the loopback without IPv6: %v", err)
	}
}
