package tr181_test

import (
	"errors"
	"flag"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"gatehouse/datamodel"
	"gatehouse/datamodel/tr181"
	"gatehouse/platform"
	"gatehouse/platform/fake"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

// The whole tree of the router in memory, one golden file for each component;
// of the one with logical interfaces, of those that refer to them. The bubble's
// clock stands still, so that times are the same each run. Statistics are in
// TestStats.
func TestGolden(t *testing.T) {
	golden(t, "testdata", fake.New, nil)
	golden(t, "testdata/logical", fake.NewLogical, []string{"IP", "Routing", "InterfaceStack", "Hosts", "DNS", "NeighborDiscovery"})
}

func golden(t *testing.T, dir string, router func() *fake.Router, only []string) {
	got := map[string]*strings.Builder{}
	synctest.Test(t, func(t *testing.T) {
		all := buildOn(t, router()).values("Device.")
		for _, name := range slices.Sorted(maps.Keys(all)) {
			component, _, deep := strings.Cut(strings.TrimPrefix(name, "Device."), ".")
			if strings.Contains(name, ".Stats.") || only != nil && !(deep && slices.Contains(only, component)) {
				continue
			}
			if !deep {
				component = "Device"
			}
			if got[component] == nil {
				got[component] = &strings.Builder{}
			}
			got[component].WriteString(name + "=" + all[name] + "\n")
		}
	})
	files, err := filepath.Glob(dir + "/*.golden")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if component := strings.TrimSuffix(filepath.Base(name), ".golden"); got[component] == nil {
			t.Errorf("%s: there is no such component", name)
		}
	}
	for component, text := range got {
		name := filepath.Join(dir, component+".golden")
		if *update {
			if err := os.WriteFile(name, []byte(text.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(text.String(), "\n")); diff != "" {
			t.Errorf("%s is not the golden one (-update writes it anew):\n%s", name, diff)
		}
	}
}

func TestStats(t *testing.T) {
	h := build(t)
	eth := h.find("Device.Ethernet.Interface.", "Name", "eth0")
	h.want(eth+"Stats.", "BytesSent=182334120", "BytesReceived=5312908771", "PacketsSent=1203442", "PacketsReceived=4100221",
		"ErrorsReceived=2", "DiscardPacketsReceived=11", "MulticastPacketsReceived=5120")
	ip := h.find("Device.IP.Interface.", "Name", "eth0")
	h.want(ip+"Stats.", "BytesReceived=5312908771")
	h.router.EditLink("eth0", func(l *platform.Link) { l.Stats.ErrorsSent = 1<<32 + 7 })
	h.want(eth+"Stats.", "ErrorsSent=7") // StatsCounter32 wraps
}

// What GetParameterNames lists is what GetParameterValues gives.
func TestClosure(t *testing.T) {
	for name, router := range both {
		t.Run(name, func(t *testing.T) { closure(t, buildOn(t, router())) })
	}
}

func closure(t *testing.T, h *house) {
	h.add("Device.ManagementServer.InformParameter.")
	all := h.values("Device.")
	for _, n := range rows(t, h.tree.Names(t.Context(), "", false)) {
		if n.Object {
			continue
		}
		it, err := h.tree.Reader(datamodel.ReadOptions{}).Get(t.Context(), n.Path)
		if err != nil {
			t.Errorf("%s is listed, but: %v", n.Path, err)
		} else if it.Type != n.Type {
			t.Errorf("%s: listed as %v, read as %v", n.Path, n.Type, it.Type)
		}
		if _, ok := all[n.Path]; !ok {
			t.Errorf("%s is listed, but not in the walk", n.Path)
		}
		delete(all, n.Path)
	}
	for name := range all {
		t.Errorf("%s is in the walk, but not listed", name)
	}
}

func TestOneDumpPerSource(t *testing.T) {
	h := build(t)
	h.router.ResetDumps()
	h.values("Device.")
	for source, want := range map[fake.Source]int{
		fake.Links: 1, fake.Addresses: 1, fake.Neighbors: 1, fake.DNS: 1, fake.Time: 1, fake.Sensors: 1, fake.Logs: 1,
		fake.Routes:    2, // one for each family
		fake.Processes: 2, // the table, and the load
		fake.System:    4, // uptime, host name, memory, TCP
		fake.IPv6:      3, // the links, and each family as a whole
		fake.Identity:  0, // the agent knows it
	} {
		if got := h.router.Dumps(source); got != want {
			t.Errorf("%s was read %d times, want %d", source, got, want)
		}
	}
	h.router.ResetDumps()
	h.values("Device.DeviceInfo.MemoryStatus.")
	if got := h.router.Dumps(fake.Links) + h.router.Dumps(fake.Processes); got != 0 {
		t.Errorf("reading MemoryStatus read %d other tables", got)
	}
}

// Every count is what it counts.
func TestCounts(t *testing.T) {
	all := build(t).values("Device.")
	count := regexp.MustCompile(`^(.*\.)(\w+)NumberOfEntries$`)
	seen := 0
	for name, value := range all {
		m := count.FindStringSubmatch(name)
		if m == nil {
			continue
		}
		rows := map[string]bool{}
		for other := range all {
			table := m[2]
			if table == "Forward" { // the one count of the standard with a name of its own
				table = "Forwarding"
			}
			if rest, ok := strings.CutPrefix(other, m[1]+table+"."); ok {
				number, _, _ := strings.Cut(rest, ".")
				if _, err := strconv.Atoi(number); err == nil {
					rows[number] = true
				}
			}
		}
		if strconv.Itoa(len(rows)) != value {
			t.Errorf("%s = %s, but there are %d", name, value, len(rows))
		}
		seen++
	}
	if seen < 20 {
		t.Errorf("only %d counts", seen)
	}
}

// References are paths of rows that are there, and InterfaceStack is all of
// the LowerLayers.
func TestReferences(t *testing.T) {
	for name, router := range both {
		t.Run(name, func(t *testing.T) { references(t, buildOn(t, router()).values("Device.")) })
	}
}

func references(t *testing.T, all map[string]string) {
	stack := map[string]bool{}
	for name, value := range all {
		if pair, ok := strings.CutSuffix(name, ".HigherLayer"); ok {
			stack[value+" > "+all[pair+".LowerLayer"]] = true
		}
		for _, ref := range strings.Split(value, ",") {
			if !strings.HasPrefix(ref, "Device.") {
				continue
			}
			if !slices.ContainsFunc(slices.Collect(maps.Keys(all)), func(n string) bool { return strings.HasPrefix(n, ref+".") }) {
				t.Errorf("%s points to %s, which is not there", name, ref)
			}
		}
	}
	for name, value := range all {
		object, ok := strings.CutSuffix(name, ".LowerLayers")
		if !ok || value == "" {
			continue
		}
		for _, lower := range strings.Split(value, ",") {
			if !stack[object+" > "+lower] {
				t.Errorf("%s stands on %s, but InterfaceStack does not say so", object, lower)
			}
			delete(stack, object+" > "+lower)
		}
	}
	for pair := range stack {
		t.Errorf("InterfaceStack has %s, but no LowerLayers does", pair)
	}
}

func TestVLAN(t *testing.T) {
	h := build(t)
	h.router.EditLink("eth0.7", func(l *platform.Link) {
		*l = platform.Link{Name: "eth0.7", Index: 70, Kind: platform.LinkVLAN, Parent: "eth0", VLANID: 7, MAC: "00:00:5e:00:53:01", Enabled: true, MTU: 1500}
	})
	ip := h.find("Device.IP.Interface.", "Name", "eth0.7")
	vlan := h.get(ip + "LowerLayers")
	h.want(vlan+".", "VLANID=7", "Name=eth0.7")
	link := h.get(vlan + ".LowerLayers")
	h.want(link+".", "Name=eth0")
	if h.lookup("Device.Ethernet.Link.", "Name", "eth0.7") != "" {
		t.Error("a VLAN is no Ethernet.Link")
	}
}

func TestSourceUnavailable(t *testing.T) {
	for source, path := range map[fake.Source]string{
		fake.Links:     "Device.Ethernet.Interface.1.Status",
		fake.Addresses: "Device.IP.Interface.1.IPv4Address.1.IPAddress",
		fake.Routes:    "Device.Routing.Router.1.IPv4Forwarding.1.Enable",
		fake.Neighbors: "Device.Hosts.Host.1.PhysAddress",
		fake.IPv6:      "Device.IP.IPv6Status",
		fake.DNS:       "Device.DNS.Client.Status",
		fake.Time:      "Device.Time.Status",
		fake.System:    "Device.DeviceInfo.UpTime",
		fake.Processes: "Device.DeviceInfo.ProcessStatus.CPUUsage",
		fake.Sensors:   "Device.DeviceInfo.TemperatureStatus.TemperatureSensor.1.Value",
		fake.Logs:      "Device.DeviceInfo.VendorLogFile.1.Name",
	} {
		t.Run(string(source), func(t *testing.T) {
			h := build(t)
			before := h.values("Device.")
			h.router.FailRead(source, errors.New("out of order"))
			left := 0
			o := datamodel.ReadOptions{Unavailable: func(string, error) { left++ }}
			after := map[string]string{}
			for item, err := range h.tree.Reader(o).Values(t.Context(), "Device.") {
				if err != nil {
					t.Fatal(err)
				}
				after[item.Name] = item.Value
			}
			if _, there := after[path]; there || left == 0 || len(after) == 0 || len(after) >= len(before) {
				t.Errorf("a walk gave %d of %d parameters, and told of %d left out", len(after), len(before), left)
			}
			_, err := h.tree.Reader(o).Get(t.Context(), path)
			var un *datamodel.Unavailable
			if !errors.As(err, &un) || !strings.Contains(err.Error(), "out of order") {
				t.Errorf("%s: got %v, want Unavailable", path, err)
			}
			h.router.FailRead(source, nil)
			if h.values("Device.")[path] == "" {
				t.Errorf("%s does not come back", path)
			}
		})
	}
}

// On a flash that dies the tables that the agent keeps are left out of a walk, and
// an error where they are named.
func TestKeptTableUnavailable(t *testing.T) {
	h := build(t)
	h.dead = errors.New("I/O error")
	h.start()
	left := map[string]bool{}
	o := datamodel.ReadOptions{Unavailable: func(path string, _ error) { left[path] = true }}
	for _, err := range h.tree.Reader(o).Values(t.Context(), "Device.") {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{
		"Device.XMPP.Connection.", "Device.ManagementServer.InformParameter.", "Device.IP.Interface.1.IPv4Address.",
		"Device.IP.Interface.1.IPv6Prefix.",
		"Device.Routing.Router.1.IPv4Forwarding.", "Device.Routing.Router.1.IPv6Forwarding.",
	} {
		if !left[path] {
			t.Errorf("%s is not told as left out; %v are", path, slices.Sorted(maps.Keys(left)))
		}
		var un *datamodel.Unavailable
		if _, err := h.tree.Reader(o).Get(t.Context(), path+"1.Alias"); !errors.As(err, &un) || !strings.Contains(err.Error(), "I/O error") {
			t.Errorf("%s: got %v, want Unavailable", path, err)
		}
	}
}

func TestRowGone(t *testing.T) {
	h := build(t)
	eth4 := h.find("Device.Ethernet.Interface.", "Name", "eth4")
	h.router.RemoveLink("eth4")
	if _, err := h.tree.Reader(datamodel.ReadOptions{}).Get(t.Context(), eth4+"Status"); !errors.Is(err, datamodel.ErrNoName) {
		t.Errorf("got %v, want ErrNoName", err)
	}
	if h.lookup("Device.Ethernet.Interface.", "Name", "eth4") != "" {
		t.Error("it is still there")
	}
	// Its number waits for it.
	h.router.EditLink("eth4", func(l *platform.Link) {
		*l = platform.Link{Name: "eth4", Index: 40, MAC: "00:00:5e:00:53:05", Enabled: true, MTU: 1500}
	})
	if again := h.find("Device.Ethernet.Interface.", "Name", "eth4"); again != eth4 {
		t.Errorf("eth4 was %s and is %s", eth4, again)
	}
}

// Each role may be missing. The rest of the tree does not suffer.
func TestRolesMissing(t *testing.T) {
	for name, test := range map[string]struct {
		drop func(*platform.Platform)
		gone string
	}{
		"System":    {func(p *platform.Platform) { p.System = nil }, "Device.DeviceInfo.UpTime"},
		"Processes": {func(p *platform.Platform) { p.Processes = nil }, "Device.DeviceInfo.ProcessStatus."},
		"Sensors":   {func(p *platform.Platform) { p.Sensors = nil }, "Device.DeviceInfo.TemperatureStatus."},
		"Logs":      {func(p *platform.Platform) { p.Logs = nil }, "Device.DeviceInfo.VendorLogFile."},
		"Links":     {func(p *platform.Platform) { p.Links = nil }, "Device.Ethernet."},
		"Addresses": {func(p *platform.Platform) { p.Addresses = nil }, "Device.IP.Interface.1.IPv4Address."},
		"Routes":    {func(p *platform.Platform) { p.Routes = nil }, "Device.Routing."},
		"Neighbors": {func(p *platform.Platform) { p.Neighbors = nil }, "Device.Hosts."},
		"IPv6":      {func(p *platform.Platform) { p.IPv6 = nil }, "Device.NeighborDiscovery."},
		"Resolver":  {func(p *platform.Platform) { p.Resolver = nil }, "Device.DNS."},
		"Clock":     {func(p *platform.Platform) { p.Clock = nil }, "Device.Time."},
		"Network":   {func(p *platform.Platform) { p.Network = nil }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := build(t)
			test.drop(&h.platform)
			h.start()
			all := h.values("Device.")
			if all["Device.RootDataModelVersion"] != "2.19" {
				t.Error("the root is gone, too")
			}
			for n, v := range all {
				if test.gone != "" && strings.HasPrefix(n, test.gone) {
					t.Errorf("%s is still there", n)
				}
				if strings.HasSuffix(n, ".Router") && name == "Routes" && v != "" {
					t.Errorf("%s points to %s", n, v)
				}
			}
		})
	}
	t.Run("nothing", func(t *testing.T) {
		tree, err := datamodel.New(datamodel.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tree.Add(tr181.New(platform.Platform{}, tr181.Agent{}).Objects()...); err != nil {
			t.Fatal(err)
		}
		for _, err := range tree.Values(t.Context(), "Device.") {
			if err != nil {
				t.Error(err)
			}
		}
	})
}

// A network that cannot be written says so in GetParameterNames.
func TestReadOnlyNetwork(t *testing.T) {
	h := build(t)
	h.platform.Network = nil
	h.start()
	for _, n := range rows(t, h.tree.Names(t.Context(), "Device.IP.", false)) {
		if n.Writable && !strings.HasSuffix(n.Path, ".Alias") && !strings.HasPrefix(n.Path, "Device.IP.Diagnostics.") {
			t.Errorf("%s is writable", n.Path)
		}
	}
}

// S002-18: an ACS knows the device by these.
func TestForcedInform(t *testing.T) {
	h := build(t)
	got := map[string]string{}
	h.router.ResetDumps()
	for item, err := range h.tree.Inform(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		got[item.Name] = item.Value
	}
	want := map[string]string{
		"Device.RootDataModelVersion":                  "2.19",
		"Device.DeviceInfo.HardwareVersion":            "rev B",
		"Device.DeviceInfo.SoftwareVersion":            "1.4.2",
		"Device.DeviceInfo.ProvisioningCode":           "abc",
		"Device.ManagementServer.ParameterKey":         "",
		"Device.ManagementServer.ConnectionRequestURL": "http://203.0.113.17:7547/cr",
		"Device.ManagementServer.AliasBasedAddressing": "true",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if h.router.Dumps(fake.Links) != 0 {
		t.Error("the Inform reads links")
	}
}

func TestHintsReachTheirObjects(t *testing.T) {
	h := build(t)
	for _, test := range []struct {
		topic datamodel.Topic
		yes   []string
		no    []string
	}{
		{tr181.LinkChanged, []string{"Device.Ethernet.Interface.1.Status", "Device.IP.Interface.2.Status", "Device.InterfaceStack.",
			"Device.Bridging.Bridge.1.Port.1.Status", "Device.IP.Interface.1.Stats.BytesSent"}, []string{"Device.Time.Status", "Device.DeviceInfo.HostName"}},
		{tr181.AddressChanged, []string{"Device.IP.Interface.2.IPv4Address.1.IPAddress", "Device.IP.Interface.2.IPv6Address.",
			"Device.IP.Interface.2.IPv4AddressNumberOfEntries", "Device.ManagementServer.ConnectionRequestURL"}, []string{"Device.Hosts.Host.1.Active"}},
		{tr181.RouteChanged, []string{"Device.Routing.Router.1.IPv4Forwarding.", "Device.Routing.Router.1.IPv6ForwardingNumberOfEntries"},
			[]string{"Device.IP.Interface.2.Status"}},
		{tr181.NeighborChanged, []string{"Device.Hosts.", "Device.Hosts.Host.1.Active"}, []string{"Device.DNS.Client.Status"}},
		{tr181.ResolverChanged, []string{"Device.DNS.Client.Server.1.DNSServer"}, []string{"Device.Hosts."}},
		{tr181.HostnameChanged, []string{"Device.DeviceInfo.HostName"}, []string{"Device.DeviceInfo.MemoryStatus.Total"}},
		{tr181.ClockStepped, []string{"Device.Time.Status"}, []string{"Device.DeviceInfo.HostName"}},
		{tr181.SettingsChanged, []string{"Device.ManagementServer.URL", "Device.DeviceInfo.ProvisioningCode"}, []string{"Device.Time.Status"}},
	} {
		for _, path := range test.yes {
			if !h.tree.Concerns(path, test.topic) {
				t.Errorf("topic %d does not concern %s", test.topic, path)
			}
		}
		for _, path := range test.no {
			if h.tree.Concerns(path, test.topic) {
				t.Errorf("topic %d concerns %s", test.topic, path)
			}
		}
	}
}

// A big routing table is one dump, and not kept: the agent's own routes are
// found among ten thousand.
func TestManyRoutes(t *testing.T) {
	h := build(t)
	many := make([]platform.Route, 10_000)
	for i := range many {
		dest := netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0})
		many[i] = platform.Route{Dest: netip.PrefixFrom(dest, 24), Gateway: netip.MustParseAddr("203.0.113.1"), Link: "eth0", Protocol: "bgp"}
	}
	h.router.AddRoute(many...)
	h.router.ResetDumps()
	n := 0
	for item, err := range h.tree.Values(t.Context(), "Device.Routing.Router.1.IPv4Forwarding.") {
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(item.Name, ".DestIPAddress") {
			n++
		}
	}
	if n != len(many)+4 {
		t.Errorf("%d routes, want %d", n, len(many)+4)
	}
	if got := h.router.Dumps(fake.Routes); got != 1 {
		t.Errorf("the routes were read %d times", got)
	}
}
