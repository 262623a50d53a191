package api_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"gatehouse/agent/api"
	"gatehouse/agent/core"
	"gatehouse/platform/fake"
)

// TestRights: every method asks for its right, and for nothing else.
func TestRights(t *testing.T) {
	h := build(t)
	ctx := h.Context()
	calls := []struct {
		name string
		need api.Rights
		call func(c api.Caller) error
	}{
		{"Get", api.Read, func(c api.Caller) error { _, err := collect(h.api.Get(ctx, c, []string{wan})); return err }},
		{"Names", api.Read, func(c api.Caller) error { _, err := collect(h.api.Names(ctx, c, wan, true)); return err }},
		{"GetAttributes", api.Read, func(c api.Caller) error { _, err := collect(h.api.GetAttributes(ctx, c, []string{wan})); return err }},
		{"Status", api.Read, func(c api.Caller) error { _, err := h.api.Status(c); return err }},
		{"Watch", api.Read, func(c api.Caller) error {
			for _, err := range h.api.Watch(ctx, c, []string{wan}) {
				return err
			}
			return nil
		}},
		{"Set", api.Write, func(c api.Caller) error { _, err := h.api.Set(ctx, c, nil, false); return err }},
		{"dry run", api.Write, func(c api.Caller) error { _, err := h.api.Set(ctx, c, nil, true); return err }},
		{"Add", api.Write, func(c api.Caller) error { _, err := h.api.Add(ctx, c, wan+"IPv4Address.", nil); return err }},
		{"Delete", api.Write, func(c api.Caller) error { return h.api.Delete(ctx, c, nil) }},
		{"SetNotification", api.Write, func(c api.Caller) error { return h.api.SetNotification(ctx, c, []string{wan}, 1) }},
		{"Inform", api.Act, func(c api.Caller) error { return h.api.Inform(ctx, c, "") }},
		{"ReloadConfig", api.Act, func(c api.Caller) error { _, err := h.api.ReloadConfig(ctx, c); return err }},
	}
	for _, tt := range calls {
		if err := tt.call(api.Caller{Rights: tt.need}); err != nil {
			t.Errorf("%s with its right: %v", tt.name, err)
		}
		h.named(tt.call(api.Caller{Rights: api.Everything &^ tt.need}), api.NotPermitted)
		h.named(tt.call(nobody), api.NotPermitted)
	}
}

// TestNamedErrors: what every door says of each refusal.
func TestNamedErrors(t *testing.T) {
	h := build(t)
	ctx := h.Context()
	set := func(pairs ...string) error { return h.set(pairs...) }
	a, err := h.api.Add(ctx, root, wan+"IPv4Address.", nil)
	if err != nil {
		t.Fatal(err)
	}
	h.named(set("Device.Nope", "1", wan+"Name", "x", a+"Enable", "maybe", a+"IPAddress", "here"), api.InvalidName,
		"Device.Nope", wan+"Name", a+"Enable", a+"IPAddress")
	h.named(set(wan+"Name", "x"), api.NotWritable, wan+"Name")
	h.named(set(a+"Enable", "maybe"), api.InvalidValue, a+"Enable")
	h.named(set(a+"Enable", "true", a+"Enable", "true"), api.InvalidArguments, a+"Enable")
	_, err = h.api.Add(ctx, root, "Device.Ethernet.Interface.", nil)
	h.named(err, api.Denied, "Device.Ethernet.Interface.")
	h.named(h.api.Delete(ctx, root, []string{wan + "IPv4Address.99."}), api.InvalidName, wan+"IPv4Address.99.")
	_, err = collect(h.api.Names(ctx, root, "Device.DeviceInfo.UpTime", true))
	h.named(err, api.InvalidArguments, "Device.DeviceInfo.UpTime")
	h.router.FailPrepare(syscall.ENOSPC)
	h.named(set(a+"IPAddress", "192.0.2.9", a+"SubnetMask", "255.255.255.0", a+"Enable", "true"), api.Full,
		a+"IPAddress", a+"SubnetMask", a+"Enable")
	h.router.FailPrepare(nil)
	h.router.FailRead(fake.Links, errors.New("netlink is gone"))
	_, err = collect(h.api.Get(ctx, root, []string{wan + "Status"}))
	h.named(err, api.Unavailable, wan) // the instance is looked for first
	h.router.FailRead(fake.Links, nil)

	h.core.Refuse(core.ErrFull)
	h.named(h.api.Inform(ctx, root, ""), api.Full)
	h.core.Refuse(core.ErrStopped)
	h.named(h.api.Inform(ctx, root, ""), api.Stopping)
	h.core.Refuse(errors.New("what?"))
	h.named(h.api.Inform(ctx, root, ""), api.Failed)
	h.fail = errors.New("conf:3: what?")
	_, err = h.api.ReloadConfig(ctx, root)
	h.named(err, api.InvalidValue)
	if !strings.Contains(fmt.Sprint(err), "conf:3") {
		t.Errorf("it does not say where: %v", err)
	}
	h.named(h.api.SetNotification(ctx, root, []string{wan}, 7), api.InvalidArguments)
	h.named(h.api.SetNotification(ctx, root, []string{"Device.Nope"}, 1), api.InvalidName, "Device.Nope")
}

// TestBusy: a call from inside a transaction's own callback is refused, not a
// deadlock (design §7).
func TestBusy(t *testing.T) {
	h := build(t)
	inner := errors.New("not called")
	remove := reentrant(h, &inner)
	defer remove()
	if err := h.set("Device.X_TEST_Loop.Go", "true"); err != nil {
		t.Fatal(err)
	}
	h.named(inner, api.Busy)
}

func TestSetIsAllOrNothing(t *testing.T) {
	h := build(t)
	a, err := h.api.Add(h.Context(), root, wan+"IPv4Address.", assign("IPAddress", "192.0.2.9", "SubnetMask", "255.255.255.0"))
	if err != nil {
		t.Fatal(err)
	}
	if h.get(a+"IPAddress") != "192.0.2.9" {
		t.Error("Add has not set its parameters")
	}
	if len(h.written) != 1 || !slices.Equal(h.written[0], []string{a}) {
		t.Errorf("told of %q", h.written)
	}
	before := h.get(wan + "IPv4AddressNumberOfEntries")
	_, err = h.api.Add(h.Context(), root, wan+"IPv4Address.", assign("IPAddress", "here"))
	h.named(err, api.InvalidValue, lastProblem(err))
	if h.set(a+"IPAddress", "192.0.2.10", a+"SubnetMask", "no") == nil || h.get(a+"IPAddress") != "192.0.2.9" {
		t.Error("half of a refused set was applied")
	}
	h.router.FailCommit(0, errors.New("no"))
	if h.set(a+"Enable", "true") == nil || h.get(a+"Enable") != "false" {
		t.Error("half of a failed set was applied")
	}
	if h.api.Delete(h.Context(), root, []string{a, wan + "IPv4Address.99."}) == nil || h.get(a+"IPAddress") != "192.0.2.9" {
		t.Error("half of a refused delete was applied")
	}
	if after := h.get(wan + "IPv4AddressNumberOfEntries"); after != before {
		t.Errorf("%s addresses, then %s", before, after)
	}
	if len(h.written) != 1 {
		t.Errorf("told of what was refused: %q", h.written)
	}
}

func lastProblem(err error) string {
	var e *api.Error
	if errors.As(err, &e) {
		return e.Problems[len(e.Problems)-1].Path
	}
	return ""
}

// TestDryRun says what a set would say, and changes nothing.
func TestDryRun(t *testing.T) {
	h := build(t)
	a, err := h.api.Add(h.Context(), root, wan+"IPv4Address.", assign("IPAddress", "192.0.2.9", "SubnetMask", "255.255.255.0"))
	if err != nil {
		t.Fatal(err)
	}
	commits := h.router.Commits()
	if _, err := h.api.Set(h.Context(), root, assign(a+"Enable", "true"), true); err != nil {
		t.Error(err)
	}
	_, err = h.api.Set(h.Context(), root, assign(a+"Enable", "maybe"), true)
	h.named(err, api.InvalidValue, a+"Enable")
	h.router.FailPrepare(errors.New("the router would refuse"))
	if _, err := h.api.Set(h.Context(), root, assign(a+"Enable", "true"), true); err == nil {
		t.Error("Prepare was not asked")
	}
	if h.get(a+"Enable") != "false" || h.router.Commits() != commits || len(h.written) != 1 {
		t.Error("a dry run has changed something")
	}
}

func TestValues(t *testing.T) {
	h := build(t)
	all, err := collect(h.api.Get(h.Context(), reader, []string{"Device.DeviceInfo.UpTime", wan + "Enable"}))
	if err != nil || len(all) != 2 {
		t.Fatal(all, err)
	}
	if v := all[0]; v.Type != "unsignedInt" || v.Writable || v.Origin != "file" {
		t.Errorf("got %+v", v)
	}
	if v := all[1]; v.Name != wan+"Enable" || v.Type != "boolean" || v.Value != "true" {
		t.Errorf("got %+v", v)
	}
	names, err := collect(h.api.Names(h.Context(), reader, "Device.DeviceInfo.", true))
	if err != nil || !slices.Contains(names, api.Name{Name: "Device.DeviceInfo.UpTime", Type: "unsignedInt"}) ||
		!slices.Contains(names, api.Name{Name: "Device.DeviceInfo.MemoryStatus.", Type: "object"}) {
		t.Errorf("got %+v, %v", names, err)
	}
}

func TestAttributes(t *testing.T) {
	h := build(t)
	if err := h.api.SetNotification(h.Context(), root, []string{wan + "Status"}, 2); err != nil {
		t.Fatal(err)
	}
	all, err := collect(h.api.GetAttributes(h.Context(), reader, []string{wan + "Status", wan + "Name"}))
	if err != nil || len(all) != 2 || all[0].Notification != 2 || all[1].Notification != 0 {
		t.Errorf("got %+v, %v", all, err)
	}
}

func TestStatus(t *testing.T) {
	s, err := build(t).api.Status(reader)
	if err != nil || s.State != "waiting" || s.RetryCount != 3 || s.LastError != "no route to host" || s.Version != "test" ||
		!slices.Equal(s.Pending, []string{"1 BOOT", "M Reboot (k)"}) {
		t.Errorf("got %+v, %v", s, err)
	}
}

// TestInform: a session now, with a vendor's event or none; the standard's
// events are the agent's own to report.
func TestInform(t *testing.T) {
	h := build(t)
	for _, event := range []string{"", "X 0011AA Button", "X 0011AA ü"} {
		if err := h.api.Inform(h.Context(), root, event); err != nil {
			t.Errorf("%q: %v", event, err)
		}
	}
	if len(h.core.Asked()) != 3 {
		t.Errorf("core was told %v", h.core.Asked())
	}
	h.core.Set(core.Status{State: core.Disabled})
	h.named(h.api.Inform(h.Context(), root, ""), api.Unavailable)
	h.core.Set(core.Status{State: core.Idle})
	h.acs = ""
	h.named(h.api.Inform(h.Context(), root, ""), api.Unavailable)
	for _, event := range []string{
		"0 BOOTSTRAP", "7 TRANSFER COMPLETE", "X", "X 0011AA", "X 0011AA ", "X 0011aa b", "X 0011A b", "0011AA b", "X 0011AA a\nb",
		"X 0011AA " + strings.Repeat("a", 60), "X 0011AA \xff",
	} {
		h.named(h.api.Inform(h.Context(), root, event), api.InvalidArguments)
	}
}

// TestAfterIsNoRefusal: what follows a commit cannot refuse it any more.
func TestAfterIsNoRefusal(t *testing.T) {
	h := build(t)
	inner := errors.New("not called")
	defer reentrant(h, &inner)()
	h.core.Refuse(core.ErrStopped)
	deferred, err := h.api.Set(h.Context(), root, assign("Device.X_TEST_Loop.Go", "true"), false)
	if err != nil || !deferred || len(h.written) != 1 {
		t.Errorf("deferred %v, %v; told of %q", deferred, err, h.written)
	}
}
