package rpc_test

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"gatehouse/agent/core"
	"gatehouse/cwmp"
	"gatehouse/platform/fake"
)

const (
	di   = "Device.DeviceInfo."
	ms   = "Device.ManagementServer."
	wan  = "Device.IP.Interface.2." // eth0
	long = "123456789012345678901234567890123"
)

// TestWrongInput: the fault for every wrong input (TR-069 A.3.2, A.5.1).
func TestWrongInput(t *testing.T) {
	gpv := func(paths ...string) cwmp.Request { return cwmp.GetParameterValues{ParameterNames: paths} }
	gpn := func(path string, next bool) cwmp.Request {
		return cwmp.GetParameterNames{ParameterPath: path, NextLevel: next}
	}
	gpa := func(paths ...string) cwmp.Request { return cwmp.GetParameterAttributes{ParameterNames: paths} }
	spa := func(name string, n int) cwmp.Request {
		return cwmp.SetParameterAttributes{ParameterList: []cwmp.SetParameterAttribute{{Name: name, NotificationChange: true, Notification: n}}}
	}
	add := func(name, key string) cwmp.Request { return cwmp.AddObject{ObjectName: name, ParameterKey: key} }
	del := func(name, key string) cwmp.Request { return cwmp.DeleteObject{ObjectName: name, ParameterKey: key} }
	tests := []struct {
		name string
		req  cwmp.Request
		want int // 0: none
	}{
		{"GPV nothing", gpv(), 0},
		{"GPV unknown", gpv("Device.Nope"), 9005},
		{"GPV one of two is unknown", gpv(di+"UpTime", di+"UpTimes"), 9005},
		{"GPV object without its dot", gpv("Device.DeviceInfo"), 9005},
		{"GPV parameter with a dot", gpv(di + "UpTime."), 9005},
		{"GPV other case", gpv("Device.deviceinfo."), 9005},
		{"GPV other root", gpv("InternetGatewayDevice."), 9005},
		{"GPV missing instance", gpv("Device.IP.Interface.99.Enable"), 9005},
		{"GPV missing instance, partial", gpv("Device.IP.Interface.99."), 9005},
		{"GPV instance 0", gpv("Device.IP.Interface.0."), 9005},
		{"GPV template", gpv("Device.IP.Interface.{i}."), 9005},
		{"GPV missing alias", gpv("Device.IP.Interface.[none]."), 9005},
		{"GPV tab in a name", gpv(di + "UpTime\t"), 9005},
		{"GPV huge name", gpv("Device." + strings.Repeat("A.", 5000)), 9005},
		{"GPV valid, nothing below", gpv(ms + "InformParameter."), 0},
		{"GPV wildcard", gpv("Device.IP.Interface.*.Enable"), 0},
		{"GPN everything", gpn("", false), 0},
		{"GPN root", gpn("", true), 0},
		{"GPN leaf", gpn(di+"UpTime", false), 0},
		{"GPN leaf with NextLevel", gpn(di+"UpTime", true), 9003},
		{"GPN count with NextLevel", gpn("Device.IP.InterfaceNumberOfEntries", true), 9003},
		{"GPN unknown leaf with NextLevel", gpn(di+"Nope", true), 9005},
		{"GPN object without its dot", gpn("Device.IP", true), 9005},
		{"GPN unknown", gpn("Device.Nope.", true), 9005},
		{"GPN missing instance", gpn("Device.IP.Interface.99.", true), 9005},
		{"GPA everything", gpa(""), 0},
		{"GPA unknown", gpa("Device.Nope"), 9005},
		{"GPA object without its dot", gpa("Device.IP"), 9005},
		{"GPA wildcard", gpa("Device.IP.Interface.*.Status"), 0},
		{"GPA unknown wildcard", gpa("Device.IP.Nope.*.Status"), 9005},
		{"SPA unknown", spa("Device.Nope", 2), 9005},
		{"SPA missing instance", spa("Device.IP.Interface.99.", 2), 9005},
		{"SPA notification 7", spa(di+"UpTime", 7), 9003},
		{"SPA notification -1", spa(di+"UpTime", -1), 9003},
		{"SPA cannot be active", spa(ms+"ParameterKey", 2), 9009},
		{"SPA passive is never denied", spa(ms+"ParameterKey", 1), 0},
		{"SPA forced stays", spa(di+"SoftwareVersion", 0), 0},
		{"SPA partial", spa("Device.IP.", 1), 0},
		{"AddObject no table", add(di, ""), 9005},
		{"AddObject instance", add("Device.IP.Interface.2.", ""), 9005},
		{"AddObject unknown", add("Device.Nope.", ""), 9005},
		{"AddObject parameter", add(di+"UpTime", ""), 9005},
		{"AddObject without its dot", add(ms+"InformParameter", ""), 9005},
		{"AddObject nothing", add("", ""), 9005},
		{"AddObject root", add("Device.", ""), 9005},
		{"AddObject below a missing instance", add("Device.IP.Interface.99.IPv4Address.", ""), 9005},
		{"AddObject not creatable", add("Device.Ethernet.Interface.", ""), 9001},
		{"AddObject not creatable, with alias", add("Device.Ethernet.Interface.[x].", ""), 9001},
		{"AddObject long key", add(ms+"InformParameter.", long), 9003},
		{"DeleteObject missing instance", del(ms+"InformParameter.99.", ""), 9005},
		{"DeleteObject missing alias", del(ms+"InformParameter.[none].", ""), 9005},
		{"DeleteObject table", del(ms+"InformParameter.", ""), 9005},
		{"DeleteObject every instance", del(ms+"InformParameter.*.", ""), 9005},
		{"DeleteObject no table", del(di, ""), 9005},
		{"DeleteObject nothing", del("", ""), 9005},
		{"DeleteObject root", del("Device.", ""), 9005},
		{"DeleteObject unknown", del("Device.Nope.1.", ""), 9005},
		{"DeleteObject without its dot", del("Device.IP.Interface.2", ""), 9005},
		{"DeleteObject not deletable", del("Device.Ethernet.Interface.1.", ""), 9001},
		{"DeleteObject long key", del(ms+"InformParameter.1.", long), 9003},
		{"SPV long key", set(long, ms, "Username=x"), 9003},
		{"SPV only a key", set("k", ""), 0},
		{"Reboot long key", cwmp.Reboot{CommandKey: long}, 9003},
		{"Reboot key of 32 characters", cwmp.Reboot{CommandKey: strings.Repeat("ü", 32)}, 0},
		{"ScheduleInform without delay", cwmp.ScheduleInform{}, 9003},
		{"ScheduleInform long key", cwmp.ScheduleInform{DelaySeconds: 1, CommandKey: long}, 9003},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := 0
			if f := build(t).fault(tt.req); f != nil {
				got = f.Code
				if len(f.Parameters) > 0 {
					t.Errorf("%v names parameters", f)
				}
			}
			if got != tt.want {
				t.Errorf("fault %d, want %d", got, tt.want)
			}
		})
	}
}

// TestEveryBadParameter: 9003 and an entry for each of them, none for the good
// ones (TR-069 A.3.2.1).
func TestEveryBadParameter(t *testing.T) {
	tests := []struct {
		name string
		set  []cwmp.ParameterValue
		want []string // "name code"
	}{
		{"unknown", pv("", di+"Nope", "1"), []string{di + "Nope 9005"}},
		{"partial", pv("", di, "1"), []string{di + " 9005"}},
		{"wildcard", pv("", "Device.IP.Interface.*.Enable", "1"), []string{"Device.IP.Interface.*.Enable 9005"}},
		{"missing instance", pv("", "Device.IP.Interface.99.Enable", "1"), []string{"Device.IP.Interface.99.Enable 9005"}},
		{"unknown alias", pv("", ms+"InformParameter.[a].Enable", "1"), []string{ms + "InformParameter.[a].Enable 9005"}},
		{"read-only", pv("", di+"UpTime", "1"), []string{di + "UpTime 9008"}},
		{"count", pv("", "Device.IP.InterfaceNumberOfEntries", "1"), []string{"Device.IP.InterfaceNumberOfEntries 9008"}},
		{"type", pv("xsd:string", ms+"PeriodicInformInterval", "60"), []string{ms + "PeriodicInformInterval 9006"}},
		{"no number", pv("", ms+"PeriodicInformInterval", "soon"), []string{ms + "PeriodicInformInterval 9007"}},
		{"out of range", pv("", ms+"PeriodicInformInterval", "0"), []string{ms + "PeriodicInformInterval 9007"}},
		{"no boolean", pv("", ms+"PeriodicInformEnable", "yes"), []string{ms + "PeriodicInformEnable 9007"}},
		{"no dateTime", pv("", ms+"PeriodicInformTime", "yesterday"), []string{ms + "PeriodicInformTime 9007"}},
		{"none of the words", pv("", ms+"InstanceMode", "Both"), []string{ms + "InstanceMode 9007"}},
		{"too long", pv("", di+"ProvisioningCode", strings.Repeat("a", 65)), []string{di + "ProvisioningCode 9007"}},
		{"the same twice", pv("", di+"ProvisioningCode", "a", di+"ProvisioningCode", "a"), []string{di + "ProvisioningCode 9003"}},
		{"no URL", pv("", ms+"URL", "nonsense"), []string{ms + "URL 9007"}},
		{"forced already", pv("", ms+"InformParameter.1.ParameterName", di+"SoftwareVersion"), []string{ms + "InformParameter.1.ParameterName 9007"}},
		{"all of them", pv("", di+"Nope", "1", di+"ProvisioningCode", "fine", di+"UpTime", "1", ms+"InstanceMode", "Both"),
			[]string{di + "Nope 9005", di + "UpTime 9008", ms + "InstanceMode 9007"}},
		{"what the type refuses, and what the setting does, in one row",
			pv("", ms+"InstanceMode", "Both", ms+"URL", "nonsense", ms+"PeriodicInformInterval", "60"),
			[]string{ms + "InstanceMode 9007", ms + "URL 9007"}},
		{"what the type refuses, and what another row does",
			pv("", ms+"InstanceMode", "Both", ms+"InformParameter.1.ParameterName", di+"SoftwareVersion"),
			[]string{ms + "InstanceMode 9007", ms + "InformParameter.1.ParameterName 9007"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := build(t)
			h.add(ms + "InformParameter.")
			h.must(set("before", di, "ProvisioningCode=old"))
			f := h.fault(cwmp.SetParameterValues{ParameterList: tt.set, ParameterKey: "after"})
			if f == nil || f.Code != 9003 {
				t.Fatalf("got %v, want fault 9003", f)
			}
			var got []string
			for _, p := range f.Parameters {
				got = append(got, fmt.Sprintf("%s %d", p.Name, p.Code))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if v, k := h.get(di+"ProvisioningCode"), h.get(ms+"ParameterKey"); v != "old" || k != "before" {
				t.Errorf("ProvisioningCode is %q and ParameterKey %q after a refusal", v, k)
			}
		})
	}
}

func pv(typ string, pairs ...string) (list []cwmp.ParameterValue) {
	for p := range slices.Chunk(pairs, 2) {
		list = append(list, cwmp.ParameterValue{Name: p[0], Value: p[1], Type: typ})
	}
	return list
}

// TestSecretsStayOut: a refused password is in no fault, and in no log.
func TestSecretsStayOut(t *testing.T) {
	h := build(t)
	secret := strings.Repeat("hunter2", 60)
	f := h.fault(set("", ms, "Password="+secret, "ConnectionRequestPassword="+secret))
	if f == nil || len(f.Parameters) != 2 {
		t.Fatalf("got %v", f)
	}
	if text := fmt.Sprintf("%+v", f) + h.log.String(); strings.Contains(text, "hunter2") {
		t.Errorf("told: %s", text)
	}
}

// TestMethodsNotBuilt: what is not built answers 9000 and is not listed, and
// what is listed is built.
func TestMethodsNotBuilt(t *testing.T) {
	h := build(t)
	listed := h.must(cwmp.GetRPCMethods{}).(cwmp.GetRPCMethodsResponse).MethodList
	built := []cwmp.Request{
		cwmp.GetRPCMethods{}, cwmp.SetParameterValues{}, cwmp.GetParameterValues{}, cwmp.GetParameterNames{},
		cwmp.SetParameterAttributes{}, cwmp.GetParameterAttributes{}, cwmp.AddObject{}, cwmp.DeleteObject{},
		cwmp.Reboot{}, cwmp.FactoryReset{}, cwmp.ScheduleInform{},
	}
	for _, r := range built {
		if f := h.fault(r); f != nil && f.Code == 9000 {
			t.Errorf("%s: %v", r.Method(), f)
		}
		listed = slices.DeleteFunc(listed, func(name string) bool { return name == r.Method() })
	}
	if len(listed) > 0 {
		t.Errorf("listed but not built: %q", listed)
	}
	listed = h.must(cwmp.GetRPCMethods{}).(cwmp.GetRPCMethodsResponse).MethodList
	for _, r := range []cwmp.Request{
		cwmp.Download{}, cwmp.Upload{}, cwmp.ScheduleDownload{}, cwmp.CancelTransfer{}, cwmp.GetQueuedTransfers{},
		cwmp.GetAllQueuedTransfers{}, cwmp.ChangeDUState{},
	} {
		if f := h.fault(r); f == nil || f.Code != 9000 {
			t.Errorf("%s: %v, want fault 9000", r.Method(), f)
		}
		if slices.Contains(listed, r.Method()) {
			t.Errorf("%s is listed", r.Method())
		}
	}
}

// TestUnavailable: a source that does not answer is left out of a walk, and
// 9002 that names it where it was asked for by name.
func TestUnavailable(t *testing.T) {
	h := build(t)
	all := len(h.values(""))
	h.router.FailRead(fake.Links, syscall.EIO)
	if n := len(h.values("")); n == 0 || n >= all {
		t.Errorf("%d of %d parameters", n, all)
	}
	f := h.fault(cwmp.GetParameterValues{ParameterNames: []string{wan + "Status"}})
	if f == nil || f.Code != 9002 || !strings.Contains(f.Message, "link") {
		t.Errorf("got %v, want 9002 that names the source", f)
	}
}

// TestNoRoom: 9004, and never for a parameter.
func TestNoRoom(t *testing.T) {
	h := build(t)
	for _, err := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		h.file("journal").Refuse(err)
		h.file("kept-inform-parameters").Refuse(err)
		if f := h.fault(cwmp.AddObject{ObjectName: ms + "InformParameter."}); f == nil || f.Code != 9004 {
			t.Errorf("AddObject with %v: %v", err, f)
		}
	}
	h.file("journal").Refuse(nil)
	h.router.FailPrepare(syscall.ENOSPC)
	a := h.add(wan + "IPv4Address.")
	f := h.fault(set("", a, "IPAddress=192.0.2.9", "SubnetMask=255.255.255.0", "Enable=true"))
	if f == nil || f.Code != 9004 || len(f.Parameters) > 0 {
		t.Errorf("SetParameterValues: %v %v", f, f.Parameters)
	}
	h.core.Refuse(core.ErrFull)
	for _, r := range []cwmp.Request{cwmp.Reboot{}, cwmp.ScheduleInform{DelaySeconds: 1}} {
		if f := h.fault(r); f == nil || f.Code != 9004 {
			t.Errorf("%s: %v", r.Method(), f)
		}
	}
}

// TestInternalErrorsStayInside: of what it cannot mend an ACS learns 9002, and
// the log the rest (S003-23).
func TestInternalErrorsStayInside(t *testing.T) {
	h := build(t)
	h.file("attributes").Refuse(errDisk)
	f := h.fault(cwmp.SetParameterAttributes{ParameterList: []cwmp.SetParameterAttribute{{Name: di + "UpTime", NotificationChange: true, Notification: 1}}})
	if f == nil || f.Code != 9002 || strings.Contains(f.Message, "input/output") {
		t.Errorf("got %v", f)
	}
	if !strings.Contains(h.log.String(), "input/output") {
		t.Errorf("logged: %s", h.log)
	}
}
