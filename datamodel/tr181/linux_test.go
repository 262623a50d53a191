//go:build linux

package tr181_test

import (
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"gatehouse/datamodel"
	"gatehouse/platform/linux"
)

// namespace moves the test into a network namespace of its own, with one end
// of a veth pair called wan0, and returns the namespace. The thread is never
// unlocked, so it dies with the test.
func namespace(t *testing.T) *os.File {
	t.Helper()
	if os.Getuid() != 0 {
		lacking(t, "needs root: it makes a network namespace")
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		lacking(t, "no network namespace here: %v", err)
	}
	ns, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "wan0"}, PeerName: "isp0"}
	if err := netlink.LinkAdd(pair); err != nil {
		lacking(t, "no veth pair here: %v", err)
	}
	for _, name := range []string{"lo", "wan0", "isp0"} {
		l, err := netlink.LinkByName(name)
		if err == nil {
			err = netlink.LinkSetUp(l)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return ns
}

func kernelAddresses(t *testing.T, link string) (all []string) {
	t.Helper()
	l, err := netlink.LinkByName(link)
	if err != nil {
		t.Fatal(err)
	}
	addrs, err := netlink.AddrList(l, netlink.FAMILY_ALL)
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
	ns := namespace(t)
	p, err := linux.New(linux.Options{NetNS: ns})
	if err != nil {
		t.Fatal(err)
	}
	if p.Network == nil {
		lacking(t, "the network cannot be written: no CAP_NET_ADMIN")
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
	if all := kernelAddresses(t, "wan0"); !slices.Contains(all, "192.0.2.7/24") {
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
	l, err := netlink.LinkByName("wan0")
	if err != nil || l.Attrs().MTU != 1400 {
		t.Errorf("the kernel has %+v, %v", l, err)
	}

	h.delete(r)
	h.delete(a)
	if all := kernelAddresses(t, "wan0"); slices.Contains(all, "192.0.2.7/24") {
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

// lacking skips the test, or fails it where nothing may be lacking.
func lacking(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("GATEHOUSE_PEERS") == "must" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}
