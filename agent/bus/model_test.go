package bus_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"gatehouse/agent/api"
	"gatehouse/agent/bus"
	"gatehouse/agent/core"
	"gatehouse/platform"
)

func TestPeerValues(t *testing.T) {
	h := build(t)
	c := h.dial()
	got := c.get(wan, "Device.DeviceInfo.UpTime", "Device.RootDataModelVersion")
	if _, ok := got["Device.DeviceInfo.UpTime"].(uint32); !ok {
		t.Errorf("UpTime is %T", got["Device.DeviceInfo.UpTime"])
	}
	if got[wan+"Status"] != "Up" || got[wan+"Enable"] != true {
		t.Errorf("%v", got)
	}
	c.refused(c.call("DataModel.GetValues", []string{"Device.Nope"}, options{}).Err, "InvalidName", "Device.Nope")
	c.refused(c.call("DataModel.GetValues", []string{}, options{}).Err, "InvalidArguments")
	c.refused(c.call("DataModel.GetValues", []string{wan}, options{"Depth": dbus.MakeVariant(1)}).Err, "InvalidArguments", "Depth")
	var names []struct {
		Name, Type string
		Writable   bool
	}
	c.must("DataModel.GetNames", []any{"Device.", true, options{}}, &names)
	if len(names) < 5 || names[0].Type == "" {
		t.Errorf("%v", names)
	}
}

func TestPeerTransaction(t *testing.T) {
	h := build(t)
	c := h.dial()
	var path string
	c.must("DataModel.AddObject", []any{wan + "IPv4Address.", options{"Enable": dbus.MakeVariant(false)}, options{}}, &path)
	if !strings.HasPrefix(path, wan+"IPv4Address.") {
		t.Fatal(path)
	}
	if err := c.set(path+"IPAddress", "192.0.2.9", path+"SubnetMask", "255.255.255.0", path+"Enable", true); err != nil {
		t.Fatal(err)
	}
	if got := c.get(path); got[path+"IPAddress"] != "192.0.2.9" || got[path+"Enable"] != true {
		t.Error(got)
	}
	// One error for each parameter, and nothing set.
	err := c.set(path+"IPAddress", "here", path+"Enable", "maybe", "Device.Nope", "1", path+"SubnetMask", "255.255.0.0")
	c.refused(err, "InvalidValue", "Device.Nope", path+"IPAddress", path+"Enable")
	if e := err.(dbus.Error); len(e.Body) != 2 || dbus.SignatureOf(e.Body[1]).String() != "aav" || len(e.Body[1].([][]any)) != 3 {
		t.Errorf("%v", e.Body)
	}
	if got := c.get(path + "SubnetMask"); got[path+"SubnetMask"] != "255.255.255.0" {
		t.Error("half of it was done: ", got)
	}
	c.refused(c.set(path+"Enable", int32(1)), "InvalidType", path+"Enable")
	c.refused(c.set(wan+"Name", "x"), "NotWritable", wan+"Name")
	c.refused(c.call("DataModel.DryRun", options{path + "IPAddress": dbus.MakeVariant("here")}, options{}).Err, "InvalidValue", path)
	if err := c.call("DataModel.DryRun", options{path + "IPAddress": dbus.MakeVariant("192.0.2.10")}, options{}).Err; err != nil {
		t.Error(err)
	}
	if got := c.get(path + "IPAddress"); got[path+"IPAddress"] != "192.0.2.9" {
		t.Error("a dry run is wet: ", got)
	}
	c.must("DataModel.DeleteObject", []any{[]string{path}, options{}})
	c.refused(c.call("DataModel.DeleteObject", []string{path}, options{}).Err, "InvalidName", path)
}

func TestPeerAttributes(t *testing.T) {
	h := build(t)
	c := h.dial()
	c.must("DataModel.SetAttributes", []any{[]string{wan + "Status"}, options{"Notification": dbus.MakeVariant(int32(2))}, options{}})
	var got []struct {
		Name         string
		Notification int32
		AccessList   []string
	}
	c.must("DataModel.GetAttributes", []any{[]string{wan + "Status"}, options{}}, &got)
	if len(got) != 1 || got[0].Notification != 2 {
		t.Error(got)
	}
	c.refused(c.call("DataModel.SetAttributes", []string{wan}, options{"Notification": dbus.MakeVariant(int32(9))}, options{}).Err, "InvalidArguments")
}

func TestPeerWatch(t *testing.T) {
	h := build(t)
	c, other := h.dial(), h.dial()
	var id uint32
	var now options
	c.must("DataModel.Watch", []any{[]string{wan + "Status", "Device.Ethernet.Interface.*.Status"}, options{}}, &id, &now)
	if now[wan+"Status"].Value() != "Up" {
		t.Error(now)
	}
	h.router.SetLink("eth0", false)
	s := c.next("org.gatehouse1.DataModel.ValuesChanged")
	if s.Body[0] != id || s.Body[1].(options)[wan+"Status"].Value() != "Down" {
		t.Error(s.Body)
	}
	h.router.EditLink("eth9", func(l *platform.Link) { l.MAC = "00:00:5e:00:53:99" })
	row, _ := c.next("org.gatehouse1.DataModel.InstanceAdded").Body[1].(string)
	h.router.RemoveLink("eth9")
	if s := c.next("org.gatehouse1.DataModel.InstanceRemoved"); s.Body[1] != row {
		t.Error(s.Body, row)
	}
	c.refused(other.call("DataModel.Unwatch", id).Err, "InvalidArguments")
	c.must("DataModel.Unwatch", []any{id})
	c.refused(c.call("DataModel.Unwatch", id).Err, "InvalidArguments")
	for len(other.signals) > 0 {
		if s := <-other.signals; strings.HasPrefix(s.Name, "org.gatehouse1.DataModel") {
			t.Error("somebody else was told: ", s)
		}
	}
	c.refused(c.call("DataModel.Watch", []string{"Device.Nope"}, options{}).Err, "InvalidName", "Device.Nope")
}

// TestPeerThousandWatches: all of them are told, and are gone with who held
// them.
func TestPeerThousandWatches(t *testing.T) {
	h := build(t)
	c := h.dial()
	ids := map[uint32]bool{}
	for range 1000 {
		var id uint32
		var now options
		c.must("DataModel.Watch", []any{[]string{wan + "Status"}, options{}}, &id, &now)
		ids[id] = true
	}
	c.refused(c.call("DataModel.Watch", []string{wan + "Status"}, options{}).Err, "Full")
	h.router.SetLink("eth0", false)
	for len(ids) > 0 {
		delete(ids, c.next("org.gatehouse1.DataModel.ValuesChanged").Body[0].(uint32))
	}
	c.Close()
	other := h.dial()
	for err := error(dbus.Error{}); err != nil; {
		err = other.call("DataModel.Watch", []string{wan + "Status"}, options{}).Err
	}
}

func TestPeerAgent(t *testing.T) {
	h := build(t)
	c := h.dial()
	if err := c.AddMatchSignal(dbus.WithMatchSender(bus.Name)); err != nil {
		t.Fatal(err)
	}
	v, err := c.Object(bus.Name, bus.Path).GetProperty("org.gatehouse1.Agent.State")
	if err != nil || v.Value() != "idle" {
		t.Error(v, err)
	}
	c.must("Agent.Inform", []any{"X 00005E Button", options{}})
	if n := len(h.core.Asked()); n != 1 {
		t.Error(n, "messages reach the core")
	}
	c.refused(c.call("Agent.Inform", "1 BOOT", options{}).Err, "InvalidArguments")
	var changed []string
	c.must("Agent.Reload", []any{options{}}, &changed)
	if !slices.Equal(changed, []string{"ManagementServer.URL"}) {
		t.Error(changed)
	}
	began := time.Unix(1e9, 0)
	h.core.Tell(core.Status{State: core.InSession, Session: "s1", Started: began})
	if s := c.next("org.gatehouse1.Agent.SessionStarted"); s.Body[0] != "s1" {
		t.Error(s.Body)
	}
	if s := c.next("org.freedesktop.DBus.Properties.PropertiesChanged"); s.Body[1].(options)["State"].Value() != "in session" {
		t.Error(s.Body)
	}
	h.core.Tell(core.Status{State: core.Waiting, Session: "s1", Started: began, Ended: began.Add(time.Second), Sessions: 1, Failures: 1, LastError: "no route"})
	if s := c.next("org.gatehouse1.Agent.SessionEnded"); s.Body[0] != "s1" || s.Body[1] != false || s.Body[2] != "no route" {
		t.Error(s.Body)
	}
	err = c.Object(bus.Name, bus.Path).SetProperty("org.gatehouse1.Agent.State", dbus.MakeVariant("idle"))
	c.refused(err, "org.freedesktop.DBus.Error.PropertyReadOnly")
	_, err = c.Object(bus.Name, bus.Path).GetProperty("org.gatehouse1.Agent.Nope")
	c.refused(err, "org.freedesktop.DBus.Error.UnknownProperty")
}

// S003-33, S003-36: the provider's configuration is fetched, forgotten or read
// anew on command, and a failure says why.
func TestPeerProvider(t *testing.T) {
	h := build(t)
	c := h.dial()
	var changed bool
	if c.must("Provider.Fetch", []any{options{}}, &changed); !changed {
		t.Error("nothing has changed")
	}
	c.must("Provider.Reset", []any{options{}})
	err := c.call("Provider.Reload", options{}).Err
	if c.refused(err, "Failed"); !strings.Contains(err.Error(), "damaged") {
		t.Error(err)
	}
	for name, want := range map[string]string{"Status": "Enabled", "Source": "live", "LastError": "none of late"} {
		if v, err := c.Object(bus.Name, bus.Path).GetProperty("org.gatehouse1.Provider." + name); err != nil || v.Value() != want {
			t.Errorf("%s: %v, %v", name, v, err)
		}
	}
	h.allow(func(uint32, []uint32) api.Caller { return api.Caller{Name: "reader", Rights: api.Read} })
	reader := h.dial()
	reader.refused(reader.call("Provider.Fetch", options{}).Err, "NotPermitted")
}

// TestPeerBadInput: what makes no sense is refused, and nobody else suffers.
func TestPeerBadInput(t *testing.T) {
	h := build(t)
	c := h.dial()
	const invalid = "org.freedesktop.DBus.Error.InvalidArgs"
	c.refused(c.call("DataModel.GetValues", "Device.").Err, invalid, "asa{sv}")
	c.refused(c.call("DataModel.GetValues").Err, invalid)
	c.refused(c.call("DataModel.SetValues", map[string]string{"Device.X": "1"}, options{}).Err, invalid)
	c.refused(c.call("DataModel.Nope").Err, "org.freedesktop.DBus.Error.UnknownMethod")
	c.refused(c.Object(bus.Name, "/org/gatehouse1/nope").Call("org.gatehouse1.DataModel.GetValues", 0).Err, "org.freedesktop.DBus.Error.NoSuchObject")
	if c.Object(bus.Name, bus.Path).Call("Ping", 0).Err == nil {
		t.Error("a method of no interface is answered")
	}
	if err := c.Object(bus.Name, bus.Path).Call("org.freedesktop.DBus.Peer.Ping", 0).Err; err != nil {
		t.Error(err)
	}
	huge := make([]string, 10<<20/64)
	for i := range huge {
		huge[i] = strings.Repeat("x", 60)
	}
	c.refused(c.call("DataModel.GetValues", huge, options{}).Err, invalid, "bytes")
	c.refused(c.call("DataModel.GetValues", make([]string, 100_000), options{}).Err, "InvalidArguments")
	nested := dbus.MakeVariant("deep")
	for range 30 {
		nested = dbus.MakeVariant(nested)
	}
	c.refused(c.set(wan+"Enable", nested), "InvalidType", wan)
	c.refused(c.set(wan+"Enable", 1.5), "InvalidType", wan)
	if got := c.get(wan + "Status"); got[wan+"Status"] != "Up" {
		t.Error(got)
	}
}

func TestPeerFloodOfCalls(t *testing.T) {
	h := build(t)
	c := h.dial()
	calls := make(chan *dbus.Call, 100)
	for range 100 {
		c.Object(bus.Name, bus.Path).Go("org.gatehouse1.DataModel.GetValues", 0, calls, []string{"Device."}, options{})
	}
	busy := 0
	for range 100 {
		if call := <-calls; call.Err != nil {
			c.refused(call.Err, "Busy")
			busy++
		}
	}
	t.Log(busy, "of 100 were refused")
	c.get(wan)
}
