package rpc_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"gatehouse/cwmp"
	"gatehouse/platform"
)

var validName = regexp.MustCompile(`^Device\.(([A-Za-z_][\w-]*|[1-9]\d*)\.)*([A-Za-z_][\w-]*)?$`)

// TestClosure: every name that GetParameterNames lists can be read, and has
// attributes; each is there once, and nothing else is (field: GPN lists names
// that GPV refuses, a tab in a name).
func TestClosure(t *testing.T) {
	h := build(t)
	h.add(ms + "InformParameter.")
	h.add(wan + "IPv4Address.")
	var leaves []string
	seen, objects := map[string]bool{}, map[string]bool{}
	for _, n := range h.names("", false) {
		if !validName.MatchString(n.Name) {
			t.Errorf("%q is no name", n.Name)
		}
		if seen[n.Name] {
			t.Errorf("%s: listed twice", n.Name)
		}
		seen[n.Name] = true
		up := strings.TrimSuffix(n.Name, ".")
		if parent := up[:strings.LastIndexByte(up, '.')+1]; n.Name != "Device." && !objects[parent] {
			t.Errorf("%s: listed without %s before it", n.Name, parent)
		}
		if strings.HasSuffix(n.Name, ".") {
			objects[n.Name] = true
		} else {
			leaves = append(leaves, n.Name)
		}
	}
	if len(leaves) < 300 {
		t.Fatalf("%d parameters only", len(leaves))
	}
	same := func(what string, got []string) {
		t.Helper()
		want := slices.Sorted(slices.Values(leaves))
		slices.Sort(got)
		for _, n := range got {
			if _, ok := slices.BinarySearch(want, n); !ok {
				t.Errorf("%s of %s, which is not listed", what, n)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: %d, but %d parameters are listed", what, len(got), len(want))
		}
	}
	var values, attrs, each []string
	for _, v := range h.values("") {
		values = append(values, v.Name)
	}
	for _, a := range h.attributes("") {
		attrs = append(attrs, a.Name)
	}
	for _, v := range h.values(leaves...) {
		each = append(each, v.Name)
	}
	same("a value", values)
	same("attributes", attrs)
	same("a value by name", each)
	if a := h.attributes(leaves...); len(a) != len(leaves) {
		t.Errorf("attributes of %d, asked for %d", len(a), len(leaves))
	}
	for o := range objects {
		h.values(o) // must not be a fault
	}
}

// TestNextLevel: level by level one finds what the whole list has, and the
// object itself is not among its children.
func TestNextLevel(t *testing.T) {
	h := build(t)
	if root := h.names("", true); len(root) != 1 || root[0].Name != "Device." {
		t.Fatalf("below the whole tree: %v", root)
	}
	var whole, found []cwmp.ParameterInfo
	whole = h.names("Device.", false)
	found = append(found, h.names("", true)...)
	for i := 0; i < len(found); i++ {
		if o := found[i].Name; strings.HasSuffix(o, ".") {
			for _, n := range h.names(o, true) {
				if rest, ok := strings.CutPrefix(n.Name, o); !ok || rest == "" || strings.Contains(strings.TrimSuffix(rest, "."), ".") {
					t.Errorf("%s is not right below %s", n.Name, o)
				}
				found = append(found, n)
			}
		}
	}
	byName := func(a, b cwmp.ParameterInfo) int { return strings.Compare(a.Name, b.Name) }
	slices.SortFunc(whole, byName)
	slices.SortFunc(found, byName)
	if !slices.Equal(whole, found) {
		t.Errorf("%d names level by level, %d at once", len(found), len(whole))
	}
}

// TestWritable as TR-069 A.3.2.3 has it: a table can be added to, an instance
// be deleted, a parameter be set.
func TestWritable(t *testing.T) {
	h := build(t)
	h.add(ms + "InformParameter.")
	want := map[string]bool{
		"Device.": false, di: false, ms + "InformParameter.": true, ms + "InformParameter.1.": true,
		ms + "InformParameter.1.Enable": true, "Device.Ethernet.Interface.": false, "Device.Ethernet.Interface.1.": false,
		di + "UpTime": false, di + "ProvisioningCode": true, "Device.IP.InterfaceNumberOfEntries": false,
	}
	for _, n := range h.names("", false) {
		if w, ok := want[n.Name]; ok && w != n.Writable {
			t.Errorf("%s: writable %v, want %v", n.Name, n.Writable, w)
		}
		delete(want, n.Name)
	}
	if len(want) > 0 {
		t.Errorf("not listed: %v", want)
	}
}

// TestHidden: a password reads as nothing.
func TestHidden(t *testing.T) {
	h := build(t)
	h.set(ms, "Password=secret", "ConnectionRequestPassword=secret")
	for _, v := range h.values("") {
		if strings.Contains(v.Value, "secret") {
			t.Errorf("%s tells %q", v.Name, v.Value)
		}
	}
	if got := h.settings.Get("ManagementServer.Password"); got != "secret" {
		t.Errorf("it is %q", got)
	}
}

// TestTextsSurvive: nothing is trimmed or collapsed, and control bytes are
// handed to the encoder as they are (field: whitespace, control bytes).
func TestTextsSurvive(t *testing.T) {
	h := build(t)
	for _, text := range []string{"  a  b\t", "\n", "ü€😀", `<>&'"]]>`, "\x02\x7f", ""} {
		h.must(set(text, di, "ProvisioningCode="+text))
		if v, k := h.get(di+"ProvisioningCode"), h.get(ms+"ParameterKey"); v != text || k != text {
			t.Errorf("%q came back as %q, and the key as %q", text, v, k)
		}
	}
	name := "a\x01b\xff <tv>"
	h.router.SetNeighbor(platform.Neighbor{Link: "br-lan", MAC: "00:00:5e:00:53:77", Addr: addr("192.168.1.7"), Hostname: name, Active: true})
	if !slices.ContainsFunc(h.values("Device.Hosts."), func(v cwmp.ParameterValue) bool { return v.Value == name }) {
		t.Errorf("no host is called %q", name)
	}
}

// TestInstanceAlias: with InstanceMode InstanceAlias what is below what the
// ACS wrote is spelled with aliases, in values, names and attributes alike.
func TestInstanceAlias(t *testing.T) {
	h := build(t)
	a := h.add(ms + "InformParameter.")
	h.set(a, "Alias=mine")
	h.set(ms, "InstanceMode=InstanceAlias")
	leaf := ms + "InformParameter.[mine].Enable"
	for _, asked := range []string{"", ms, ms + "InformParameter.", ms + "InformParameter.*.", ms + "InformParameter.[mine].", leaf} {
		var v, n, at []string
		for _, x := range h.values(asked) {
			v = append(v, x.Name)
		}
		for _, x := range h.names(asked, false) {
			if !strings.HasSuffix(x.Name, ".") {
				n = append(n, x.Name)
			}
		}
		for _, x := range h.attributes(asked) {
			at = append(at, x.Name)
		}
		slices.Sort(v)
		slices.Sort(n)
		slices.Sort(at)
		if !slices.Contains(v, leaf) || !slices.Equal(v, n) || !slices.Equal(v, at) {
			t.Errorf("%q: %s is in %d values: %v, %d names, %d attributes", asked, leaf, len(v), slices.Contains(v, leaf), len(n), len(at))
		}
	}
	if v := h.values(a + "Alias"); len(v) != 1 || v[0].Name != a+"Alias" {
		t.Errorf("what was written as a number came back as %v", v)
	}
}

// TestAttributes: atomic, in order, and forced ones stay (TR-069 A.3.2.4).
func TestAttributes(t *testing.T) {
	h := build(t)
	change := func(name string, n int) cwmp.SetParameterAttribute {
		return cwmp.SetParameterAttribute{Name: name, NotificationChange: true, Notification: n}
	}
	of := func(name string) int { t.Helper(); return h.attributes(name)[0].Notification }
	h.must(cwmp.SetParameterAttributes{ParameterList: []cwmp.SetParameterAttribute{
		change(wan, 1), change(wan+"Status", 2), change(di+"SoftwareVersion", 0), {Name: di + "UpTime", Notification: 2},
	}})
	for name, want := range map[string]int{wan + "Enable": 1, wan + "Status": 2, di + "SoftwareVersion": 2, di + "UpTime": 0} {
		if got := of(name); got != want {
			t.Errorf("%s: notification %d, want %d", name, got, want)
		}
	}
	if f := h.fault(cwmp.SetParameterAttributes{ParameterList: []cwmp.SetParameterAttribute{change(wan+"Enable", 0), change("Device.Nope", 0)}}); f == nil || f.Code != 9005 {
		t.Errorf("got %v", f)
	}
	if of(wan+"Enable") != 1 {
		t.Error("half of a refused call was applied")
	}
	h.must(cwmp.SetParameterAttributes{ParameterList: []cwmp.SetParameterAttribute{{Name: wan + "Enable", AccessListChange: true}}})
	if a := h.attributes(wan + "Enable")[0]; len(a.AccessList) != 0 || a.Notification != 1 {
		t.Errorf("got %+v", a)
	}
}

// TestNumbersAreKept: the number that an answer tells is on disk before it.
func TestNumbersAreKept(t *testing.T) {
	h := build(t)
	h.router.EditLink("eth9", func(l *platform.Link) { l.MAC = "00:00:5e:00:53:99" })
	h.values("Device.Ethernet.")
	if !strings.Contains(h.file("numbers").Text(), "eth9") {
		t.Errorf("the number of eth9 was told and is not kept:\n%s", h.file("numbers").Text())
	}
	h.file("numbers").Refuse(errDisk)
	h.router.EditLink("eth10", func(l *platform.Link) { l.MAC = "00:00:5e:00:53:9a" })
	if v := h.values("Device.Ethernet."); !slices.ContainsFunc(v, func(p cwmp.ParameterValue) bool { return p.Value == "eth10" }) {
		t.Error("a disk that cannot be written keeps the ACS from reading")
	}
	for _, r := range []cwmp.Request{
		cwmp.SetParameterAttributes{ParameterList: []cwmp.SetParameterAttribute{{Name: "Device.Ethernet.", NotificationChange: true, Notification: 1}}},
		cwmp.AddObject{ObjectName: ms + "InformParameter."},
	} {
		if f := h.fault(r); f == nil || f.Code != 9002 {
			t.Errorf("%s: %v, though the numbers could not be kept", r.Method(), f)
		}
	}
}
