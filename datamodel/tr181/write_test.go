package tr181_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

func TestIPv4AddressLife(t *testing.T) {
	h := build(t)
	wan := h.find("Device.IP.Interface.", "Name", "eth0")
	a := h.add(wan + "IPv4Address.")
	h.want(a, "Enable=false", "Status=Disabled", "IPAddress=", "SubnetMask=", "AddressingType=Static")

	h.set(a, "IPAddress=198.51.100.7", "SubnetMask=255.255.255.0")
	if h.hasAddress("eth0", "198.51.100.7/24") {
		t.Error("it is there before it was enabled")
	}
	h.set(a, "Enable=true")
	h.want(a, "Enable=true", "Status=Enabled")
	h.want(wan, "IPv4AddressNumberOfEntries=2") // kept and kernel row are one
	if !h.hasAddress("eth0", "198.51.100.7/24") {
		t.Error("the system does not have it")
	}

	h.set(a, "SubnetMask=255.255.255.128")
	if h.hasAddress("eth0", "198.51.100.7/24") || !h.hasAddress("eth0", "198.51.100.7/25") {
		t.Error("the mask has not changed")
	}
	h.set(a, "Enable=0")
	h.want(a, "Status=Disabled", "IPAddress=198.51.100.7")
	if h.hasAddress("eth0", "198.51.100.7/25") {
		t.Error("it is there although it was disabled")
	}
	h.set(a, "Enable=1")
	h.delete(a)
	if h.hasAddress("eth0", "198.51.100.7/25") {
		t.Error("it is there although it was deleted")
	}
	if next := h.add(wan + "IPv4Address."); next == a {
		t.Errorf("the number of %s was given again", a)
	}
}

func TestIPv4AddressInOneRequest(t *testing.T) {
	h := build(t)
	wan := h.find("Device.IP.Interface.", "Name", "eth0")
	err := h.try(func(tx *datamodel.Tx) error {
		tx.AutoCreate = true
		return tx.Set(t.Context(),
			datamodel.Assignment{Path: wan + "IPv4Address.[mine].Enable", Value: "true", Type: "xsd:boolean"},
			datamodel.Assignment{Path: wan + "IPv4Address.[mine].IPAddress", Value: "198.51.100.7"},
			datamodel.Assignment{Path: wan + "IPv4Address.[mine].SubnetMask", Value: "255.255.255.0"})
	})
	if err != nil {
		t.Fatal(err)
	}
	h.want(h.find(wan+"IPv4Address.", "Alias", "mine"), "Status=Enabled", "IPAddress=198.51.100.7")
}

// What an ACS added survives the agent, under its number.
func TestIPv4AddressOverRestart(t *testing.T) {
	h := build(t)
	wan := h.find("Device.IP.Interface.", "Name", "eth0")
	a := h.add(wan + "IPv4Address.")
	h.set(a, "Enable=true", "IPAddress=198.51.100.7", "SubnetMask=255.255.255.0", "Alias=mine")
	before := h.values(a)
	h.start()
	for name, value := range h.values(a) {
		if before[name] != value {
			t.Errorf("%s was %q and is %q", name, before[name], value)
		}
	}
	// A reboot: the kernel has forgotten.
	h.router.RemoveAddress(platform.Address{Link: "eth0", Prefix: prefix("198.51.100.7/24")})
	h.want(a, "Status=Error", "Enable=true")
	if err := h.model.Reapply(t.Context(), h.tree); err != nil {
		t.Fatal(err)
	}
	h.want(a, "Status=Enabled")
}

func TestIPv4AddressRefusals(t *testing.T) {
	h := build(t)
	wan := h.find("Device.IP.Interface.", "Name", "eth0")
	lan := h.find("Device.IP.Interface.", "Name", "br-lan")
	a := h.add(wan + "IPv4Address.")
	commits := h.router.Commits()
	for name, test := range map[string]struct {
		set   []string
		want  error
		blame []string
	}{
		"a mask with a hole":    {[]string{"SubnetMask=255.0.255.0"}, datamodel.ErrValue, []string{"SubnetMask"}},
		"no address":            {[]string{"IPAddress=1.2.3"}, datamodel.ErrValue, []string{"IPAddress"}},
		"multicast":             {[]string{"Enable=true", "IPAddress=224.0.0.1", "SubnetMask=255.255.255.0"}, datamodel.ErrValue, []string{"IPAddress"}},
		"the network's address": {[]string{"Enable=true", "IPAddress=198.51.100.0", "SubnetMask=255.255.255.0"}, datamodel.ErrValue, []string{"IPAddress"}},
		"there already":         {[]string{"Enable=true", "IPAddress=203.0.113.17", "SubnetMask=255.255.255.0"}, datamodel.ErrValue, []string{"IPAddress", "SubnetMask"}},
		"two at once":           {[]string{"IPAddress=1.2.3", "Status=Enabled"}, datamodel.ErrReadOnly, []string{"IPAddress", "Status"}},
	} {
		t.Run(name, func(t *testing.T) {
			before := h.values(a)
			for i := range test.blame {
				test.blame[i] = a + test.blame[i]
			}
			blames(t, h.trySet(a, test.set...), test.want, test.blame...)
			for n, v := range h.values(a) {
				if before[n] != v {
					t.Errorf("%s was %q and is %q", n, before[n], v)
				}
			}
		})
	}
	if h.router.Commits() != commits {
		t.Error("the system was touched")
	}
	// Addresses of the system stay as they are, but can be given an alias.
	own := h.find(lan+"IPv4Address.", "IPAddress", "192.168.1.1")
	blames(t, h.trySet(own, "SubnetMask=255.255.0.0"), datamodel.ErrReadOnly, own+"SubnetMask")
	blames(t, h.tryDelete(own), datamodel.ErrDenied, own)
	h.set(own, "Alias=router")
	h.want(own, "Alias=router", "SubnetMask=255.255.255.0")
	// Not yet complete is no refusal.
	h.set(a, "Enable=true")
	h.want(a, "Status=Error_Misconfigured")
}

// All or nothing: one parameter of one object fails, at whatever stage. In the
// bubble no time passes that a value could tell.
func TestAllOrNothing(t *testing.T) {
	for name, fail := range map[string]func(h *house){
		"value":   func(*house) {},
		"prepare": func(h *house) { h.router.FailPrepare(errors.New("no")) },
		"commit":  func(h *house) { h.router.FailCommit(1, errors.New("no")) },
		"flash":   func(h *house) { h.file("ipv4-addresses").Refuse(errors.New("read-only file system")) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { allOrNothing(build(t), name == "value", fail) })
		})
	}
}

func allOrNothing(h *house, badValue bool, fail func(h *house)) {
	wan := h.find("Device.IP.Interface.", "Name", "eth0")
	a := h.add(wan + "IPv4Address.")
	h.set(a, "IPAddress=198.51.100.7", "SubnetMask=255.255.255.0")
	r := h.add("Device.Routing.Router.1.IPv4Forwarding.")
	before := h.values("Device.")
	fail(h)
	set := []string{
		a[7:] + "Enable=true", wan[7:] + "MaxMTUSize=1400", "ManagementServer.Username=other",
		r[7:] + "Enable=true", r[7:] + "DestIPAddress=192.0.2.0", r[7:] + "DestSubnetMask=255.255.255.0", r[7:] + "GatewayIPAddress=203.0.113.2",
	}
	if badValue {
		set = append(set, "ManagementServer.PeriodicInformInterval=0")
	}
	if err := h.trySet("Device.", set...); err == nil {
		h.Fatal("it was done")
	}
	if diff := cmp.Diff(before, h.values("Device.")); diff != "" {
		h.Error(diff)
	}
	if h.hasAddress("eth0", "198.51.100.7/24") {
		h.Error("the address is in the system")
	}
	if _, ok := h.route("192.0.2.0/24"); ok {
		h.Error("the route is in the system")
	}
}

// A crash in the middle of a transaction is undone at the next start.
func TestCrashInTransaction(t *testing.T) {
	h := build(t)
	wan := h.find("Device.IP.Interface.", "Name", "eth0")
	a := h.add(wan + "IPv4Address.")
	h.set(a, "IPAddress=198.51.100.7", "SubnetMask=255.255.255.0")
	kept := h.file("ipv4-addresses").Text()
	journal := &recorder{File: h.file("journal")}
	h.journal = journal
	h.start()
	h.set("Device.", a[7:]+"Enable=true", wan[7:]+"MaxMTUSize=1400")
	if len(journal.first) == 0 {
		t.Fatal("nothing was journalled")
	}
	// The process died before it could say that it was done.
	journal.Write(string(journal.first))
	h.start()
	h.want("Device.", a[7:]+"Enable=false", a[7:]+"Status=Disabled", wan[7:]+"MaxMTUSize=1500")
	if h.hasAddress("eth0", "198.51.100.7/24") {
		t.Error("the system still has the address")
	}
	if got := h.file("ipv4-addresses").Text(); got != kept {
		t.Errorf("kept:\n%s\nwant:\n%s", got, kept)
	}
	// It died before it touched the network: there is nothing to undo.
	journal.Write(string(journal.first))
	h.start()
	h.want("Device.", a[7:]+"Status=Disabled", wan[7:]+"MaxMTUSize=1500")
	if journal.Text() != "" {
		t.Error("the journal is still there")
	}
	if err := h.model.Reapply(t.Context(), h.tree); err != nil {
		t.Error(err)
	}
	h.want("Device.", wan[7:]+"MaxMTUSize=1500")
}

func TestIPv6Address(t *testing.T) {
	h := build(t)
	lan := h.find("Device.IP.Interface.", "Name", "br-lan")
	wan := h.find("Device.IP.Interface.", "Name", "eth0")
	p := h.find(lan+"IPv6Prefix.", "Prefix", "2001:db8:100::/64")
	foreign := h.find(wan+"IPv6Prefix.", "Prefix", "2001:db8:1::/64")
	a := h.add(lan + "IPv6Address.")
	h.want(a, "Status=Disabled", "IPAddressStatus=Invalid", "Origin=Static", "ValidLifetime=9999-12-31T23:59:59Z", "Prefix=")

	blames(t, h.trySet(a, "IPAddress=2001:db8:200::5", "Prefix="+p), datamodel.ErrValue, a+"Prefix")
	blames(t, h.trySet(a, "IPAddress=2001:db8:1::5", "Prefix="+foreign), datamodel.ErrValue, a+"Prefix")
	blames(t, h.trySet(a, "Prefix="+lan), datamodel.ErrValue, a+"Prefix")

	h.set(a, "Enable=true", "IPAddress=2001:db8:100::5", "Prefix="+p)
	h.want(a, "Status=Enabled", "IPAddressStatus=Preferred", "Prefix="+strings.TrimSuffix(p, "."))
	if !h.hasAddress("br-lan", "2001:db8:100::5/64") {
		t.Error("the system does not have it with the length of its prefix")
	}
	h.start()
	h.want(a, "Status=Enabled", "Prefix="+strings.TrimSuffix(p, "."))
	h.delete(a)
	b := h.add(lan + "IPv6Address.")
	h.set(b, "Enable=true", "IPAddress=2001:db8:300::5")
	if !h.hasAddress("br-lan", "2001:db8:300::5/128") {
		t.Error("without a prefix an address is alone")
	}
}

// The first address in a prefix: the prefix comes first.
func TestIPv6Prefix(t *testing.T) {
	h := build(t)
	lan := h.find("Device.IP.Interface.", "Name", "br-lan")
	p := h.add(lan + "IPv6Prefix.")
	h.want(p, "Enable=false", "Status=Disabled", "Prefix=", "PrefixStatus=Invalid", "Origin=Static", "StaticType=Static", "OnLink=false")
	a := h.add(lan + "IPv6Address.")
	blames(t, h.trySet(a, "Prefix="+p), datamodel.ErrValue, a+"Prefix")
	blames(t, h.trySet(p, "Prefix=2001:db8:7::1/64"), datamodel.ErrValue, p+"Prefix")
	blames(t, h.trySet(p, "Enable=true", "Prefix=fd00:db8::/64"), datamodel.ErrValue, p+"Prefix") // there already
	h.set(p, "Enable=true", "Prefix=2001:db8:7::/64")
	h.want(p, "Status=Enabled", "PrefixStatus=Preferred", "OnLink=false")

	count := h.get(lan + "IPv6PrefixNumberOfEntries")
	h.set(a, "Enable=true", "IPAddress=2001:db8:7::1", "Prefix="+p)
	h.want(lan, "IPv6PrefixNumberOfEntries="+count) // the system's equal is the same row
	h.want(p, "OnLink=true", "PrefixStatus=Preferred")
	if !h.hasAddress("br-lan", "2001:db8:7::1/64") {
		t.Error("the system does not have the address in its prefix")
	}
	own := h.find(lan+"IPv6Prefix.", "Prefix", "2001:db8:100::/64")
	blames(t, h.trySet(own, "Enable=false"), datamodel.ErrReadOnly, own+"Enable")
	blames(t, h.tryDelete(own), datamodel.ErrDenied, own)

	// The prefix goes, the address keeps its length, over a reboot as well.
	h.delete(p)
	h.want(a, "Status=Enabled", "Prefix=")
	h.start()
	h.router.RemoveAddress(platform.Address{Link: "br-lan", Prefix: prefix("2001:db8:7::1/64")})
	if err := h.model.Reapply(t.Context(), h.tree); err != nil {
		t.Fatal(err)
	}
	if !h.hasAddress("br-lan", "2001:db8:7::1/64") {
		t.Error("the address has lost its length")
	}
	h.set(a, "IPAddress=2001:db8:7::2")
	if !h.hasAddress("br-lan", "2001:db8:7::2/64") || h.hasAddress("br-lan", "2001:db8:7::1/64") {
		t.Error("the address was not changed")
	}
}

func TestIPv4Route(t *testing.T) {
	h := build(t)
	table := "Device.Routing.Router.1.IPv4Forwarding."
	wan := h.find("Device.IP.Interface.", "Name", "eth0")
	r := h.add(table)
	h.want(r, "Enable=false", "Status=Disabled", "StaticRoute=true", "ForwardingMetric=-1", "Origin=Static", "ForwardingPolicy=-1")
	h.set(r, "DestIPAddress=192.0.2.0", "DestSubnetMask=255.255.255.0", "GatewayIPAddress=203.0.113.2", "Interface="+wan, "Enable=true")
	h.want(r, "Status=Enabled", "Interface="+strings.TrimSuffix(wan, "."))
	h.want("Device.Routing.Router.1.", "IPv4ForwardingNumberOfEntries=5")
	if got, ok := h.route("192.0.2.0/24"); !ok || got.Gateway.String() != "203.0.113.2" || !got.Static {
		t.Errorf("the system has %+v (%v)", got, ok)
	}
	h.set(r, "GatewayIPAddress=203.0.113.3", "ForwardingMetric=50")
	if got, _ := h.route("192.0.2.0/24"); got.Gateway.String() != "203.0.113.3" || got.Metric != 50 {
		t.Errorf("the system has %+v", got)
	}
	h.start()
	h.want(r, "Status=Enabled", "ForwardingMetric=50", "Interface="+strings.TrimSuffix(wan, "."))

	blames(t, h.trySet(r, "GatewayIPAddress=192.0.2.77"), datamodel.ErrValue, r+"GatewayIPAddress")
	blames(t, h.trySet(r, "DestIPAddress=192.0.2.1"), datamodel.ErrValue, r+"DestIPAddress")
	blames(t, h.trySet(r, "DestSubnetMask=0.255.0.0"), datamodel.ErrValue, r+"DestSubnetMask")
	blames(t, h.trySet(r, "Interface=Device.Ethernet.Interface.1"), datamodel.ErrValue, r+"Interface")
	blames(t, h.trySet(r, "Interface=Device.IP.Interface.99"), datamodel.ErrValue, r+"Interface")
	kernel := h.find(table, "DestIPAddress", "203.0.113.0")
	blames(t, h.trySet(kernel, "Enable=false"), datamodel.ErrReadOnly, kernel+"Enable")
	blames(t, h.tryDelete(kernel), datamodel.ErrDenied, kernel)

	h.delete(r)
	if _, ok := h.route("192.0.2.0/24"); ok {
		t.Error("the system still has it")
	}
}

// A default route with a metric of its own, beside the one by DHCP.
func TestIPv4DefaultRoute(t *testing.T) {
	h := build(t)
	r := h.add("Device.Routing.Router.1.IPv4Forwarding.")
	h.set(r, "GatewayIPAddress=203.0.113.2", "ForwardingMetric=700", "Enable=true")
	h.want(r, "Status=Enabled", "DestIPAddress=", "DestSubnetMask=")
	h.set(r, "GatewayIPAddress=")
	h.want(r, "Status=Error_Misconfigured")
}

func TestIPv6Route(t *testing.T) {
	h := build(t)
	lan := h.find("Device.IP.Interface.", "Name", "br-lan")
	r := h.add("Device.Routing.Router.1.IPv6Forwarding.")
	h.set(r, "DestIPPrefix=2001:db8:900::/48", "NextHop=fe80::9", "Interface="+lan, "Enable=true")
	h.want(r, "Status=Enabled", "ForwardingMetric=-1", "NextHop=fe80::9", "ExpirationTime=9999-12-31T23:59:59Z")
	if got, ok := h.route("2001:db8:900::/48"); !ok || got.Metric != 1024 || got.Link != "br-lan" {
		t.Errorf("the system has %+v (%v)", got, ok)
	}
	blames(t, h.trySet(r, "DestIPPrefix=2001:db8:900::1/48"), datamodel.ErrValue, r+"DestIPPrefix")
	blames(t, h.trySet(r, "Interface="), datamodel.ErrValue, r+"NextHop")
	h.delete(r)
	if _, ok := h.route("2001:db8:900::/48"); ok {
		t.Error("the system still has it")
	}
}

func TestLinkSwitches(t *testing.T) {
	h := build(t)
	eth := h.find("Device.Ethernet.Interface.", "Name", "eth0")
	ip := h.find("Device.IP.Interface.", "Name", "eth0")
	h.set(ip, "MaxMTUSize=1400")
	h.set(eth, "Enable=false")
	h.want(eth, "Enable=false", "Status=Down")
	h.want(ip, "Enable=false", "Status=Down", "MaxMTUSize=1400")

	blames(t, h.trySet("Device.", eth[7:]+"Enable=true", ip[7:]+"Enable=false"), datamodel.ErrValue, ip+"Enable")
	h.set("Device.", eth[7:]+"Enable=true", ip[7:]+"Enable=true", ip[7:]+"MaxMTUSize=1300")
	h.want(ip, "Enable=true", "Status=Up", "MaxMTUSize=1300")
	blames(t, h.trySet(ip, "MaxMTUSize=65"), datamodel.ErrValue, ip+"MaxMTUSize")  // the system's limit
	blames(t, h.trySet(ip, "MaxMTUSize=63"), datamodel.ErrValue, ip+"MaxMTUSize")  // the standard's
	blames(t, h.trySet(ip, "MaxMTUSize=600"), datamodel.ErrValue, ip+"MaxMTUSize") // it has IPv6
	lo := h.find("Device.IP.Interface.", "Name", "lo")
	blames(t, h.trySet(lo, "Enable=false"), datamodel.ErrValue, lo+"Enable")

	h.set(eth, "Enable=false")
	h.router.EditLink("eth0", func(l *platform.Link) { l.Enabled, l.MTU = true, 1500 }) // a reboot
	h.start()
	if err := h.model.Reapply(t.Context(), h.tree); err != nil {
		t.Fatal(err)
	}
	h.want(ip, "Enable=false", "MaxMTUSize=1300")
}

// 9007 for a parameter that is in every Inform anyway (cwmp.md §12).
func TestInformParameter(t *testing.T) {
	h := build(t)
	table := "Device.ManagementServer.InformParameter."
	r := h.add(table)
	h.want(r, "Enable=false", "ParameterName=", "EventList=")
	for _, forced := range []string{
		"Device.RootDataModelVersion", "Device.DeviceInfo.SoftwareVersion", "Device.ManagementServer.ParameterKey",
	} {
		blames(t, h.trySet(r, "ParameterName="+forced), datamodel.ErrValue, r+"ParameterName")
	}
	for item, err := range h.tree.Inform(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		blames(t, h.trySet(r, "ParameterName="+item.Name), datamodel.ErrValue, r+"ParameterName")
	}
	blames(t, h.trySet(r, "ParameterName=Device.IP."), datamodel.ErrValue, r+"ParameterName")
	h.set(r, "ParameterName=Device.IP.Interface.*.Status", "EventList=1 BOOT,2 PERIODIC", "Enable=true")
	h.start()
	h.want(r, "ParameterName=Device.IP.Interface.*.Status", "EventList=1 BOOT,2 PERIODIC", "Enable=true")
	second := h.add(table)
	blames(t, h.trySet(second, "Enable=true", "ParameterName=Device.IP.Interface.*.Status"), datamodel.ErrValue, second+"ParameterName")
	h.delete(r)
	h.want("Device.ManagementServer.", "InformParameterNumberOfEntries=1")
}

func TestManagementServer(t *testing.T) {
	h := build(t)
	const ms = "Device.ManagementServer."
	h.set(ms, "URL=http://acs2.example:7547/x", "Password=hidden", "PeriodicInformInterval=60", "PeriodicInformTime=2026-01-01T00:00:00Z",
		"HTTPCompression=GZIP", "InstanceMode=InstanceAlias", "DelayReboot=30")
	h.want(ms, "URL=http://acs2.example:7547/x", "Password=", "PeriodicInformInterval=60", "PeriodicInformTime=2026-01-01T00:00:00Z",
		"HTTPCompression=GZIP", "InstanceMode=InstanceAlias", "DelayReboot=30")
	if h.settings["ManagementServer.Password"] != "hidden" {
		t.Error("the password has not arrived")
	}
	for pair, name := range map[string]string{
		"URL=ftp://acs.example/": "URL", "URL=https://": "URL", "HTTPCompression=Compress": "HTTPCompression",
		"CWMPRetryIntervalMultiplier=999": "CWMPRetryIntervalMultiplier", "DelayReboot=-2": "DelayReboot",
		"Username=" + strings.Repeat("x", 257): "Username",
	} {
		blames(t, h.trySet(ms, pair), datamodel.ErrValue, ms+name)
	}
	blames(t, h.trySet(ms, "ParameterKey=x"), datamodel.ErrReadOnly, ms+"ParameterKey")
	h.set("Device.DeviceInfo.", "ProvisioningCode=xyz")
	h.want("Device.DeviceInfo.", "ProvisioningCode=xyz")
}

// A setting that does not parse costs itself only.
func TestManagementServerBadSetting(t *testing.T) {
	h := build(t)
	h.settings["ManagementServer.PeriodicInformInterval"] = "soon"
	h.want("Device.ManagementServer.", "PeriodicInformInterval=0", "URL=https://acs.example/")
}
