// IP interfaces and routes of a router that has logical interfaces: what is
// written goes to its configuration, and reaches the system with the reload.

package tr181_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"

	"gatehouse/datamodel"
	"gatehouse/datamodel/dmtest"
	"gatehouse/datamodel/tr181"
	"gatehouse/platform"
	"gatehouse/platform/fake"
)

const (
	interfaces = "Device.IP.Interface."
	forwarding = "Device.Routing.Router.1.IPv4Forwarding."
)

func (h *house) interfaceRow(key string) platform.Interface {
	h.Helper()
	for _, e := range rows(h.TB, h.platform.Interfaces.Table.Rows(h.Context())) {
		if e.Key == key {
			return e.Value
		}
	}
	h.Fatalf("no interface %s", key)
	panic("unreachable")
}

func TestLogicalOracle(t *testing.T) {
	h := buildOn(t, fake.NewLogical())
	dmtest.Oracle(t, h.tree)
	dmtest.RoundTrip(t, h.tree)
}

// The address of the LAN, and everything that hangs on it, in one request.
func TestLogicalAddress(t *testing.T) {
	h := buildOn(t, fake.NewLogical())
	lan := h.find(interfaces, "Name", "lan")
	own := h.find(lan+"IPv4Address.", "IPAddress", "192.168.1.1")
	r := h.commit(own, "IPAddress=10.7.0.1", "SubnetMask=255.255.0.0")
	if !slices.Equal(r.After, []datamodel.Action{{Name: "reload", Arg: "network"}}) {
		t.Errorf("left to do: %+v", r)
	}
	// Read back at once, from where it is written; the system has not heard yet.
	h.want(own, "IPAddress=10.7.0.1", "SubnetMask=255.255.0.0", "Enable=true", "Status=Error")
	if !h.hasAddress("br-lan", "192.168.1.1/24") {
		t.Error("the system was told before the end of the session")
	}
	h.reload("network")
	h.want(own, "Status=Enabled")
	h.want(lan, "IPv4AddressNumberOfEntries=1", "Status=Up")
	if h.hasAddress("br-lan", "192.168.1.1/24") || !h.hasAddress("br-lan", "10.7.0.1/16") {
		t.Error("the system does not have it")
	}
	h.start()
	h.want(own, "IPAddress=10.7.0.1")

	// What no device can have would take the LAN away.
	for _, bad := range []string{"224.0.0.1", "255.255.255.255", "0.1.2.3", "10.7.0.0", "10.7.255.255", "240.0.0.1", "127.0.0.5"} {
		blames(t, h.trySet(own, "IPAddress="+bad), datamodel.ErrValue, own+"IPAddress")
	}
	blames(t, h.trySet(own, "IPAddress=10.7.1.255", "SubnetMask=255.255.255.0"), datamodel.ErrValue, own+"IPAddress")

	// A second one: off and empty at first.
	a := h.add(lan + "IPv4Address.")
	h.want(a, "Enable=false", "Status=Disabled", "IPAddress=", "SubnetMask=", "AddressingType=Static")
	h.set(a, "SubnetMask=255.255.255.0")
	h.want(a, "IPAddress=", "SubnetMask=255.255.255.0")
	blames(t, h.trySet(a, "Enable=true"), datamodel.ErrValue, a+"IPAddress")
	h.set(a, "IPAddress=192.168.7.1", "Enable=true")
	h.reload("network")
	h.want(a, "Status=Enabled")
	h.set(a, "Enable=false")
	h.reload("network")
	h.want(a, "Status=Disabled", "IPAddress=192.168.7.1")
	if h.hasAddress("br-lan", "192.168.7.1/24") {
		t.Error("it is there although it is off")
	}
	h.delete(a)
	if n := len(h.interfaceRow("lan").Addrs); n != 2 {
		t.Errorf("%d addresses are configured", n)
	}
	for pair, name := range map[string]string{"SubnetMask=255.0.255.0": "SubnetMask", "IPAddress=10.7.0": "IPAddress", "Status=Enabled": "Status"} {
		want := datamodel.ErrValue
		if name == "Status" {
			want = datamodel.ErrReadOnly
		}
		blames(t, h.trySet(own, pair), want, own+name)
	}
}

// Addresses that the protocol gave are shown, and cannot be written or added to.
func TestLogicalDynamicAddress(t *testing.T) {
	h := buildOn(t, fake.NewLogical())
	wan := h.find(interfaces, "Name", "wan")
	given := h.find(wan+"IPv4Address.", "IPAddress", "203.0.113.17")
	h.want(given, "AddressingType=DHCP", "Status=Enabled")
	blames(t, h.trySet(given, "IPAddress=203.0.113.18"), datamodel.ErrReadOnly, given+"IPAddress")
	blames(t, h.tryDelete(given), datamodel.ErrDenied, given)
	err := h.try(func(tx *datamodel.Tx) error { _, err := tx.Add(t.Context(), wan+"IPv4Address."); return err })
	if !errors.Is(err, datamodel.ErrDenied) || !strings.Contains(err.Error(), "dhcp") {
		t.Errorf("adding a static one: %v", err)
	}
}

func TestLogicalIPv6Address(t *testing.T) {
	h := buildOn(t, fake.NewLogical())
	lan := h.find(interfaces, "Name", "lan")
	p := h.find(lan+"IPv6Prefix.", "Prefix", "2001:db8:100::/64")
	a := h.add(lan + "IPv6Address.")
	h.want(a, "Status=Disabled", "IPAddress=", "Prefix=")
	blames(t, h.trySet(a, "IPAddress=2001:db8:9::5", "Prefix="+p), datamodel.ErrValue, a+"Prefix")
	h.set(a, "Enable=true", "IPAddress=2001:db8:100::5", "Prefix="+p)
	h.want(a, "Status=Error", "Prefix="+strings.TrimSuffix(p, "."))
	h.reload("network")
	h.want(a, "Status=Enabled", "IPAddressStatus=Preferred")
	if !h.hasAddress("br-lan", "2001:db8:100::5/64") {
		t.Error("the system does not have it with the length of its prefix")
	}
	// The first address in a prefix of ours, both in one request.
	q := h.add(lan + "IPv6Prefix.")
	h.set(q, "Enable=true", "Prefix=2001:db8:7::/64")
	h.set(a, "IPAddress=2001:db8:7::1", "Prefix="+q)
	h.want(a, "IPAddress=2001:db8:7::1", "Prefix="+strings.TrimSuffix(q, "."))
	h.reload("network")
	h.want(q, "Status=Enabled", "OnLink=true")
	h.start()
	h.want(a, "Status=Enabled", "Prefix="+strings.TrimSuffix(q, "."))
	h.delete(a)
	if n := len(h.interfaceRow("lan").Addrs); n != 2 {
		t.Errorf("%d addresses are configured", n)
	}
}

func TestLogicalInterface(t *testing.T) {
	h := buildOn(t, fake.NewLogical())
	h.router.EditLink("eth5", func(l *platform.Link) { l.MAC = "00:00:5e:00:53:55" })
	link := h.find("Device.Ethernet.Link.", "Name", "eth5")
	i := h.add(interfaces)
	h.want(i, "Enable=false", "Status=Down", "LowerLayers=", "Type=Normal")
	a := h.add(i + "IPv4Address.")
	h.set("Device.", i[7:]+"Enable=true", i[7:]+"LowerLayers="+link, i[7:]+"MaxMTUSize=1400", i[7:]+"IPv6Enable=false", i[7:]+"Alias=guests",
		a[7:]+"IPAddress=192.168.9.1", a[7:]+"SubnetMask=255.255.255.0", a[7:]+"Enable=true")
	key := h.get(i + "Name")
	if got := h.interfaceRow(key); !got.Enabled || got.Device != "eth5" || got.MTU != 1400 || got.IPv6 || got.Proto != "static" || len(got.Addrs) != 1 {
		t.Errorf("configured: %+v", got)
	}
	h.reload("network")
	h.want(i, "Status=Up", "LowerLayers="+strings.TrimSuffix(link, "."), "MaxMTUSize=1400", "Alias=guests")
	h.want(a, "Status=Enabled")
	h.set(i, "Enable=false")
	h.reload("network")
	h.want(i, "Status=Down")
	h.want("Device.Routing.Router.1.", "IPv4ForwardingNumberOfEntries=4")

	lan := h.find(interfaces, "Name", "lan")
	blames(t, h.trySet(i, "LowerLayers="+lan), datamodel.ErrValue, i+"LowerLayers")
	blames(t, h.trySet(i, "LowerLayers="+link+","+link), datamodel.ErrValue, i+"LowerLayers")
	h.set(i, "LowerLayers=")
	h.want(i, "LowerLayers=")
	h.start()
	h.want(i, "Alias=guests", "Enable=false")
	h.delete(i)
	if h.lookup(interfaces, "Name", key) != "" {
		t.Error("it is still there")
	}
	lo := h.find(interfaces, "Name", "loopback")
	blames(t, h.trySet(lo, "Enable=false"), datamodel.ErrValue, lo+"Enable")
	blames(t, h.tryDelete(lo), datamodel.ErrDenied, lo)
	// The link goes: the interface is there, and says so.
	h.router.RemoveLink("br-lan")
	h.want(lan, "Status=NotPresent", "LowerLayers=", "MaxMTUSize=1500", "Stats.BytesSent=0")
}

func TestLogicalReset(t *testing.T) {
	h := buildOn(t, fake.NewLogical())
	wan := h.find(interfaces, "Name", "wan")
	r := h.commit(wan, "Reset=true")
	if !slices.Contains(r.After, datamodel.Action{Name: tr181.ResetInterface, Arg: "wan"}) {
		t.Errorf("left to do: %+v", r)
	}
	h.want(wan, "Reset=false")
	if err := h.model.ResetInterfaces(t.Context(), []string{"wan", "nosuch", "lan"}); !errors.Is(err, platform.ErrGone) {
		t.Errorf("one of them is not there: %v", err)
	}
	if h.router.InterfaceRestarts("wan") != 1 || h.router.InterfaceRestarts("lan") != 1 {
		t.Error("they were not restarted")
	}
	h.platform.Interfaces.Restart = nil
	h.start()
	blames(t, h.trySet(wan, "Reset=true"), datamodel.ErrNoName, wan+"Reset")
}

// A reset of a link takes its addresses and routes along, and brings them back:
// those by DHCP, too, which nobody else would.
func TestLinkReset(t *testing.T) {
	h := build(t)
	wan := h.find(interfaces, "Name", "eth0")
	before := len(rows(t, h.platform.Routes.Routes(t.Context(), false)))
	if r := h.commit(wan, "Reset=1"); !slices.Equal(r.After, []datamodel.Action{{Name: tr181.ResetInterface, Arg: "eth0"}}) {
		t.Errorf("left to do: %+v", r)
	}
	if err := h.model.ResetInterfaces(t.Context(), []string{"eth0"}); err != nil {
		t.Fatal(err)
	}
	h.want(wan, "Enable=true", "Status=Up", "IPv4Address.1.IPAddress=203.0.113.17")
	if got := len(rows(t, h.platform.Routes.Routes(t.Context(), false))); got != before {
		t.Errorf("%d routes were %d", got, before)
	}
	lo := h.find(interfaces, "Name", "lo")
	blames(t, h.trySet(lo, "Reset=true"), datamodel.ErrValue, lo+"Reset")
}

func TestConfiguredRoute(t *testing.T) {
	h := buildOn(t, fake.NewLogical())
	lan, wan := h.find(interfaces, "Name", "lan"), h.find(interfaces, "Name", "wan")
	r := h.add(forwarding)
	h.want(r, "Enable=false", "Status=Disabled", "StaticRoute=true", "ForwardingMetric=-1", "Origin=Static", "DestIPAddress=", "Interface=")
	h.set(r, "DestIPAddress=192.0.2.0", "DestSubnetMask=255.255.255.0", "GatewayIPAddress=192.168.1.2", "Interface="+lan, "Enable=true")
	h.want(r, "Status=Error", "Interface="+strings.TrimSuffix(lan, "."), "GatewayIPAddress=192.168.1.2")
	h.reload("network")
	h.want(r, "Status=Enabled")
	if got, ok := h.route("192.0.2.0/24"); !ok || got.Link != "br-lan" {
		t.Errorf("the system has %+v (%v)", got, ok)
	}
	h.want("Device.Routing.Router.1.", "IPv4ForwardingNumberOfEntries=5") // configured and kernel row are one
	h.set(r, "ForwardingMetric=50")
	h.start()
	h.want(r, "ForwardingMetric=50", "DestIPAddress=192.0.2.0")

	blames(t, h.trySet(r, "DestSubnetMask="), datamodel.ErrValue, r+"DestSubnetMask")
	blames(t, h.trySet(r, "DestIPAddress=192.0.2.1"), datamodel.ErrValue, r+"DestIPAddress")
	kernel := h.find(forwarding, "DestIPAddress", "203.0.113.0")
	blames(t, h.trySet(kernel, "Enable=false"), datamodel.ErrReadOnly, kernel+"Enable")
	// An interface without a link, and a route without a way.
	h.set(r, "GatewayIPAddress=", "Interface=")
	h.want(r, "Status=Error_Misconfigured")
	h.set(r, "Interface="+wan)
	h.reload("network")
	h.want(r, "Status=Enabled")
	h.delete(r)
	h.reload("network")
	if _, ok := h.route("192.0.2.0/24"); ok {
		t.Error("the system still has it")
	}
}

func TestConfiguredIPv6Route(t *testing.T) {
	h := buildOn(t, fake.NewLogical())
	wan6 := h.find(interfaces, "Name", "wan6")
	table := "Device.Routing.Router.1.IPv6Forwarding."
	// Routes of the system are on the interface that does IPv6.
	h.want(h.find(table, "DestIPPrefix", "2001:db8:1::/64"), "Interface="+strings.TrimSuffix(wan6, "."))
	r := h.add(table)
	h.want(r, "Enable=false", "Status=Disabled")
	if n := h.get("Device.Routing.Router.1.IPv4ForwardingNumberOfEntries"); n != "4" {
		t.Errorf("%s IPv4 routes, for a new one of the other family", n)
	}
	blames(t, h.trySet(r, "DestIPPrefix=2001:db8:900::1/48"), datamodel.ErrValue, r+"DestIPPrefix")
	h.set(r, "DestIPPrefix=2001:db8:900::/48", "NextHop=fe80::9", "Interface="+wan6, "Enable=true")
	h.reload("network")
	h.want(r, "Status=Enabled", "ForwardingMetric=-1", "NextHop=fe80::9")
	blames(t, h.trySet(r, "DestIPPrefix="), datamodel.ErrValue, r+"DestIPPrefix")
	h.delete(r)
}

func TestOnlyRouter(t *testing.T) {
	for name, router := range both {
		t.Run(name, func(t *testing.T) {
			h := buildOn(t, router())
			blames(t, h.trySet("Device.Routing.Router.1.", "Enable=false"), datamodel.ErrDenied, "Device.Routing.Router.1.Enable")
			h.set("Device.Routing.Router.1.", "Enable=true")
		})
	}
}

// A row that an operator edits beside us, a service that does not answer: the
// rest of the tree is there.
func TestLogicalUnavailable(t *testing.T) {
	h := buildOn(t, fake.NewLogical())
	for source, path := range map[fake.Source]string{fake.States: interfaces + "1.Status", "config interfaces": interfaces + "1.Name", "config routing": forwarding + "1.Enable"} {
		h.router.FailRead(source, errors.New("out of order"))
		_, err := h.tree.Reader(datamodel.ReadOptions{}).Get(t.Context(), path)
		var un *datamodel.Unavailable
		if !errors.As(err, &un) {
			t.Errorf("%s: %v", path, err)
		}
		if len(h.values("Device.DeviceInfo.")) == 0 {
			t.Error("DeviceInfo suffers")
		}
		h.router.FailRead(source, nil)
		h.get(path)
	}
}

// An interface that a protocol made by itself is shown, and not ours to change.
func TestLogicalMadeByProtocol(t *testing.T) {
	h := buildOn(t, fake.NewLogical())
	h.platform.Interfaces.State = withState{h.platform.Interfaces.State, platform.InterfaceState{
		Key: "wan_4", Up: true, Device: "eth0", Addrs: []platform.Address{{Link: "eth0", Prefix: prefix("192.0.0.2/29"), Dynamic: true}},
	}}
	h.start()
	i := h.find(interfaces, "Name", "wan_4")
	h.want(i, "Enable=true", "Status=Up", "IPv4AddressNumberOfEntries=1")
	blames(t, h.trySet(i, "Enable=false"), datamodel.ErrReadOnly, i+"Enable")
	if err := h.tryDelete(i); !errors.Is(err, datamodel.ErrDenied) {
		t.Errorf("deleting it: %v", err)
	}
}

// withState has one more state.
type withState struct {
	all  platform.InterfaceStates
	more platform.InterfaceState
}

func (w withState) InterfaceStates(ctx context.Context) iter.Seq2[platform.InterfaceState, error] {
	return func(yield func(platform.InterfaceState, error) bool) {
		for s, err := range w.all.InterfaceStates(ctx) {
			if !yield(s, err) {
				return
			}
		}
		yield(w.more, nil)
	}
}

// A server of the client that names no interface belongs to the one that leads
// out, for on OpenWrt it has to be somebody's.
func TestLogicalNameServer(t *testing.T) {
	h := buildOn(t, fake.NewLogical())
	s := h.add(client)
	h.want(s, "Interface="+strings.TrimSuffix(h.find(interfaces, "Name", "wan"), "."))
	r := h.add(relay)
	h.want(r, "Interface=")
}

// The prefix of which all interfaces have their shares.
func TestULAPrefix(t *testing.T) {
	h := buildOn(t, fake.NewLogical())
	h.want("Device.IP.", "ULAPrefix=fd00:db8:1::/48")
	for _, bad := range []string{"2001:db8::/48", "fd00:db8:1::/64", "fd00:db8:1::1/48", "10.0.0.0/8"} {
		if err := h.trySet("Device.IP.", "ULAPrefix="+bad); !errors.Is(err, datamodel.ErrValue) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	h.set("Device.IP.", "ULAPrefix=fd12:3456:789a::/48")
	h.want("Device.IP.", "ULAPrefix=fd12:3456:789a::/48")
	h.set("Device.IP.", "ULAPrefix=")
	h.want("Device.IP.", "ULAPrefix=")

	h.platform.Globals = noGlobals{h.platform.Globals}
	h.start()
	h.want("Device.IP.", "ULAPrefix=", "IPv6Enable=true")
	if err := h.trySet("Device.IP.", "ULAPrefix=fd12:3456:789a::/48"); !errors.Is(err, datamodel.ErrDenied) {
		t.Errorf("without a section for it: %v", err)
	}
}

// noGlobals is a configuration without the section.
type noGlobals struct {
	platform.Table[platform.GlobalConfig]
}

func (noGlobals) Rows(context.Context) iter.Seq2[platform.Entry[platform.GlobalConfig], error] {
	return func(func(platform.Entry[platform.GlobalConfig], error) bool) {}
}
