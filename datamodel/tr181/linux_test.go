//go:build linux

package tr181_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"gatehouse/datamodel"
	"gatehouse/lab/rooms"
	"gatehouse/platform/linux"
)

func kernelAddresses(t *testing.T, h *netlink.Handle, link string) (all []string) {
	t.Helper()
	l, err := h.LinkByName(link)
	if err != nil {
		t.Fatal(err)
	}
	addrs, err := h.AddrList(l, netlink.FAMILY_ALL)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		all = append(all, a.IPNet.String())
	}
	return all
}

// The same story as on the router in memory, told to a kernel.
func TestLinux(t *testing.T) {
	room := rooms.New(t)
	rooms.Cable(rooms.End{Room: room, Name: "wan0"}, rooms.End{Room: room, Name: "isp0"})
	kernel := room.Handle()
	p, err := linux.New(linux.Options{NetNS: room.File})
	if err != nil {
		t.Fatal(err)
	}
	if p.Network == nil {
		rooms.Lacking(t, "the network cannot be written: no CAP_NET_ADMIN")
	}
	h := build(t)
	h.platform = p
	h.start()
	if err := h.model.Reapply(t.Context(), h.tree); err != nil {
		t.Fatal(err)
	}
	wan := h.find("Device.IP.Interface.", "Name", "wan0")
	h.want(wan, "Enable=true", "LowerLayers="+strings.TrimSuffix(h.find("Device.Ethernet.Link.", "Name", "wan0"), "."))

	a := h.add(wan + "IPv4Address.")
	h.set(a, "Enable=true", "IPAddress=192.0.2.7", "SubnetMask=255.255.255.0")
	h.want(a, "Status=Enabled", "AddressingType=Static")
	if all := kernelAddresses(t, kernel, "wan0"); !slices.Contains(all, "192.0.2.7/24") {
		t.Errorf("the kernel has %v", all)
	}
	router := "Device.Routing.Router.1.IPv4Forwarding."
	r := h.add(router)
	h.set(r, "Enable=true", "DestIPAddress=198.51.100.0", "DestSubnetMask=255.255.255.0", "GatewayIPAddress=192.0.2.1", "Interface="+wan)
	h.want(r, "Status=Enabled")
	blames(t, h.trySet(r, "GatewayIPAddress=203.0.113.1"), datamodel.ErrValue, r+"GatewayIPAddress")

	// The link goes down and up: the kernel forgets the route, Reapply does not.
	h.set(wan, "Enable=false")
	h.want(r, "Status=Error")
	if err := h.model.Reapply(t.Context(), h.tree); err != nil {
		t.Fatal(err)
	}
	h.set(wan, "Enable=true", "MaxMTUSize=1400")
	if err := h.model.Reapply(t.Context(), h.tree); err != nil {
		t.Fatal(err)
	}
	h.want(r, "Status=Enabled")
	l, err := kernel.LinkByName("wan0")
	if err != nil || l.Attrs().MTU != 1400 {
		t.Errorf("the kernel has %+v, %v", l, err)
	}

	h.delete(r)
	h.delete(a)
	if all := kernelAddresses(t, kernel, "wan0"); slices.Contains(all, "192.0.2.7/24") {
		t.Errorf("the kernel still has %v", all)
	}
	if h.lookup(wan+"IPv4Address.", "IPAddress", "192.0.2.7") != "" {
		t.Error("the row is still there")
	}
}

// The machine itself, whatever it is: all that is listed can be read.
func TestThisMachine(t *testing.T) {
	p, err := linux.New(linux.Options{})
	if err != nil {
		t.Skipf("no netlink here: %v", err)
	}
	p.Network = nil // look, do not touch
	h := build(t)
	h.platform = p
	h.start()
	all := h.values("Device.")
	if len(all) < 100 || all["Device.DeviceInfo.MemoryStatus.Total"] == "0" {
		t.Errorf("%d parameters", len(all))
	}
	lo := h.find("Device.IP.Interface.", "Name", "lo")
	h.want(lo, "Type=Loopback", "Loopback=true")
}
