package rpc_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"

	"gatehouse/agent/core"
	"gatehouse/cwmp"
	"gatehouse/datamodel"
	"gatehouse/platform"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// TestParameterKey is stored with the values, the empty one too, by each of
// the three methods that have it, and untouched when they fail.
func TestParameterKey(t *testing.T) {
	h := build(t)
	key := func(want string) {
		t.Helper()
		if got := h.get(ms + "ParameterKey"); got != want {
			t.Errorf("ParameterKey is %q, want %q", got, want)
		}
	}
	h.must(set("1", di, "ProvisioningCode=a"))
	key("1")
	h.must(cwmp.AddObject{ObjectName: ms + "InformParameter.", ParameterKey: "2"})
	key("2")
	h.must(cwmp.DeleteObject{ObjectName: ms + "InformParameter.1.", ParameterKey: "3"})
	key("3")
	for _, r := range []cwmp.Request{
		set("4", di, "UpTime=1"), set("4", ms, "InstanceMode=Both"), cwmp.AddObject{ObjectName: di, ParameterKey: "4"},
		cwmp.AddObject{ObjectName: "Device.Ethernet.Interface.", ParameterKey: "4"},
		cwmp.DeleteObject{ObjectName: ms + "InformParameter.1.", ParameterKey: "4"},
	} {
		if f := h.fault(r); f == nil {
			t.Errorf("%s went well", r.Method())
		}
		key("3")
	}
	h.must(set("", di, "ProvisioningCode=b"))
	key("")
}

// TestAllOrNothing: whoever refuses, and however late, nothing is changed, and
// the same request goes well afterwards.
func TestAllOrNothing(t *testing.T) {
	refused := errors.New("refused by the router")
	tests := []struct {
		name string
		fail func(h *house, err error)
	}{
		{"prepare", func(h *house, err error) { h.router.FailPrepare(err) }},
		{"commit", func(h *house, err error) { h.router.FailCommit(0, err) }},
		{"kept rows", func(h *house, err error) { h.file("kept-ipv4-addresses").Refuse(err) }},
		{"journal", func(h *house, err error) { h.file("journal").Refuse(err) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, inBubble(func(t *testing.T) { // lifetimes run by the clock
			h := build(t)
			a := h.add(wan + "IPv4Address.")
			h.must(set("before", di, "ProvisioningCode=old"))
			before := h.values("Device.IP.", ms, di+"ProvisioningCode")
			req := set("after", "", di+"ProvisioningCode=new", a+"IPAddress=198.51.100.7", a+"SubnetMask=255.255.255.0", a+"Enable=true")
			tt.fail(h, refused)
			if f := h.fault(req); f == nil {
				t.Fatal("it went well")
			}
			if h.settings.Get("DeviceInfo.ProvisioningCode") != "old" {
				t.Error("the settings were changed")
			}
			tt.fail(h, nil)
			if after := h.values("Device.IP.", ms, di+"ProvisioningCode"); !slices.Equal(before, after) {
				t.Errorf("before %v\nafter %v", before, after)
			}
			if len(h.core.Posted()) > 0 {
				t.Errorf("core was told %v", h.core.Posted())
			}
			h.must(req)
			if v, k := h.get(a+"IPAddress"), h.get(ms+"ParameterKey"); v != "198.51.100.7" || k != "after" {
				t.Errorf("then IPAddress is %q and ParameterKey %q", v, k)
			}
		}))
	}
}

// inBubble is f in virtual time.
func inBubble(f func(t *testing.T)) func(t *testing.T) {
	return func(t *testing.T) { synctest.Test(t, f) }
}

// TestObjects: an instance is made with its defaults, is there at once, and
// its number is never given again.
func TestObjects(t *testing.T) {
	h := build(t)
	table := ms + "InformParameter."
	one := h.add(table)
	if h.get(one+"Enable") != "false" || h.get(ms+"InformParameterNumberOfEntries") != "1" {
		t.Error("it is not as it should be by default")
	}
	h.must(cwmp.DeleteObject{ObjectName: one})
	if f := h.fault(cwmp.GetParameterValues{ParameterNames: []string{one}}); f == nil || f.Code != 9005 {
		t.Errorf("after it was deleted: %v", f)
	}
	if two := h.add(table); two == one {
		t.Errorf("%s was given twice", two)
	}
	r := h.must(cwmp.AddObject{ObjectName: table + "[named]."}).(cwmp.AddObjectResponse)
	if h.get(table+itoa(r.InstanceNumber)+".Alias") != "named" {
		t.Error("the alias was not kept")
	}
	if f := h.fault(cwmp.AddObject{ObjectName: table + "[named]."}); f == nil {
		t.Error("the alias was given twice")
	}
	h.must(cwmp.DeleteObject{ObjectName: table + "[named]."})
}

// TestAutoCreate: SetParameterValues makes the rows of unknown aliases when
// the ACS has asked for it, all of them or none.
func TestAutoCreate(t *testing.T) {
	h := build(t)
	table := ms + "InformParameter."
	req := set("", table, "[a].ParameterName="+di+"UpTime", "[a].Enable=true", "[b].ParameterName="+di+"ProcessStatus.CPUUsage")
	if f := h.fault(req); f == nil || f.Code != 9003 || len(f.Parameters) != 3 {
		t.Fatalf("without AutoCreateInstances: %v", f)
	}
	h.set(ms, "AutoCreateInstances=true")
	bad := set("", table, "[a].ParameterName="+di+"UpTime", "[b].ParameterName="+di+"SoftwareVersion")
	if f := h.fault(bad); f == nil || f.Code != 9003 || len(f.Parameters) != 1 || f.Parameters[0].Name != table+"[b].ParameterName" {
		t.Errorf("one of two rows is wrong: %v", f)
	}
	if n := h.get(ms + "InformParameterNumberOfEntries"); n != "0" {
		t.Errorf("%s rows after a refusal", n)
	}
	h.must(req)
	if h.get(table+"[a].Enable") != "true" || h.get(ms+"InformParameterNumberOfEntries") != "2" {
		t.Error("the rows are not there")
	}
}

// TestNoNewsToWhoWrote: what the ACS itself has changed is no VALUE CHANGE,
// what anybody else has is (design §6).
func TestNoNewsToWhoWrote(t *testing.T) {
	h := build(t)
	a := h.add(ms + "InformParameter.")
	h.set(a, "Alias=mine", "ParameterName="+di+"UpTime")
	h.set(ms, "AutoCreateInstances=true")
	h.watch(di+"ProvisioningCode", ms+"Username", ms+"InformParameterNumberOfEntries", a+"ParameterName", a+"Alias", wan+"Status")
	if h.news() {
		t.Fatal("news before anything has changed")
	}
	cpu := di + "ProcessStatus.CPUUsage"
	for _, r := range []cwmp.Request{
		set("", di, "ProvisioningCode=1"),
		set("", "", ms+"Username=u", ms+"InformParameter.[mine].ParameterName="+cpu),
		set("", ms+"InformParameter.[mine].", "Alias=other"),
		cwmp.AddObject{ObjectName: ms + "InformParameter."},
		set("", ms+"InformParameter.", "[made].ParameterName="+di+"MemoryStatus.Free"),
		cwmp.DeleteObject{ObjectName: ms + "InformParameter.2."},
	} {
		h.must(r)
		if h.news() {
			t.Fatalf("%+v came back as a VALUE CHANGE", r)
		}
	}
	if h.fault(set("", di, "ProvisioningCode=2", "UpTime=1")) == nil || h.news() {
		t.Error("a refused call made news")
	}
	h.router.SetLink("eth0", false)
	if !h.news() {
		t.Error("nobody was told that the link went down")
	}
}

// A service needs a reload after its configuration was written.
type service struct{ Mode string }

type reloadLater struct{ write func() }

func (*reloadLater) Prepare(context.Context) error          { return nil }
func (p *reloadLater) Commit(context.Context) (bool, error) { p.write(); return false, nil }
func (*reloadLater) Rollback(context.Context) error         { return nil }

// TestStatusOne: where a reload is due the answer says so, and core gets the
// work for after the session; a refused call leaves none.
func TestStatusOne(t *testing.T) {
	h := build(t)
	mode := "off"
	params := []datamodel.Param[service]{
		{Name: "Mode", At: func(s *service) any { return &s.Mode }, Access: datamodel.ReadWrite, Check: datamodel.Enum{"off", "on"}},
	}
	if _, err := h.tree.Add(datamodel.Define("Device.X_TEST_Service.", params, datamodel.Source[service]{
		Rows: datamodel.One(func(context.Context, []datamodel.Key) (service, error) { return service{mode}, nil }),
		Stage: func(_ context.Context, tx *datamodel.Tx, _ []datamodel.Key, c datamodel.Change[service]) error {
			tx.After("reload", "service")
			_, err := datamodel.Enlist(tx, "service", func() (*reloadLater, error) {
				return &reloadLater{func() { mode = c.New.Mode }}, nil
			})
			return err
		},
	})); err != nil {
		t.Fatal(err)
	}
	if r := h.must(set("", di, "ProvisioningCode=a")).(cwmp.SetParameterValuesResponse); r.Status != 0 || len(h.core.Posted()) > 0 {
		t.Errorf("status %d, core was told %v", r.Status, h.core.Posted())
	}
	if h.fault(set("", "", "Device.X_TEST_Service.Mode=loud")) == nil || len(h.core.Posted()) > 0 {
		t.Error("a refused call left work")
	}
	if r := h.must(set("", "", "Device.X_TEST_Service.Mode=on")).(cwmp.SetParameterValuesResponse); r.Status != 1 {
		t.Errorf("status %d, want 1", r.Status)
	}
	if v := h.get("Device.X_TEST_Service.Mode"); v != "on" {
		t.Errorf("it reads %q before the reload", v)
	}
	if len(h.core.Posted()) != 1 {
		t.Fatalf("core was told %v", h.core.Posted())
	}
	if _, ok := h.core.Posted()[0].(core.After); !ok {
		t.Errorf("core was told %v", h.core.Posted())
	}
}

// TestDeviceMethods: what core is asked for, and what it refuses.
func TestDeviceMethods(t *testing.T) {
	h := build(t)
	h.must(cwmp.Reboot{CommandKey: " a  b "})
	h.must(cwmp.FactoryReset{})
	h.must(cwmp.ScheduleInform{DelaySeconds: 4294967295, CommandKey: "k"})
	want := []core.Message{core.Reboot{CommandKey: " a  b "}, core.FactoryReset{}, core.ScheduleInform{Delay: 4294967295e9, CommandKey: "k"}}
	if !slices.Equal(h.core.Asked(), want) {
		t.Errorf("asked %v, want %v", h.core.Asked(), want)
	}
	for err, code := range map[error]int{core.ErrUnsupported: 9001, core.ErrStopped: 9001, core.ErrRange: 9003, errDisk: 9002} {
		h.core.Refuse(err)
		for _, r := range []cwmp.Request{cwmp.Reboot{}, cwmp.FactoryReset{}, cwmp.ScheduleInform{DelaySeconds: 1}} {
			if f := h.fault(r); f == nil || f.Code != code {
				t.Errorf("%s with %v: %v, want %d", r.Method(), err, f, code)
			}
		}
	}
}

// TestReadBack: a value is right at once, as the system has it.
func TestReadBack(t *testing.T) {
	h := build(t)
	a := h.add(wan + "IPv4Address.")
	h.set(a, "IPAddress=198.51.100.7", "SubnetMask=255.255.255.0", "Enable=true")
	if s := h.get(a + "Status"); s != "Enabled" {
		t.Errorf("Status is %s", s)
	}
	there := false
	for x, err := range h.router.Platform().Addresses.Addresses(t.Context()) {
		there = there || err == nil && x.Link == "eth0" && x.Prefix == netip.MustParsePrefix("198.51.100.7/24")
	}
	if !there {
		t.Error("the router does not have it")
	}
	h.router.RemoveAddress(platform.Address{Link: "eth0", Prefix: netip.MustParsePrefix("198.51.100.7/24")})
	if s := h.get(a + "Status"); s == "Enabled" {
		t.Error("Status is Enabled without it")
	}
}
