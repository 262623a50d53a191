package acs

import (
	"regexp"
	"strings"
)

// forcedDevice2 are the parameters that every Inform of a Device:2 CPE carries
// (TR-181, forcedInform).
var forcedDevice2 = []string{
	"Device.RootDataModelVersion",
	"Device.DeviceInfo.HardwareVersion",
	"Device.DeviceInfo.SoftwareVersion",
	"Device.DeviceInfo.ProvisioningCode",
	"Device.ManagementServer.ParameterKey",
	"Device.ManagementServer.ConnectionRequestURL",
	"Device.ManagementServer.AliasBasedAddressing",
}

// numbered are the events without a command key (TR-069 3.7.1.5).
var numbered = map[string]bool{
	"0 BOOTSTRAP": true, "1 BOOT": true, "2 PERIODIC": true, "3 SCHEDULED": true, "4 VALUE CHANGE": true,
	"5 KICKED": true, "6 CONNECTION REQUEST": true, "7 TRANSFER COMPLETE": true, "8 DIAGNOSTICS COMPLETE": true,
	"9 REQUEST DOWNLOAD": true, "10 AUTONOMOUS TRANSFER COMPLETE": true, "11 DU STATE CHANGE COMPLETE": true,
	"12 AUTONOMOUS DU STATE CHANGE COMPLETE": true, "13 WAKEUP": true, "14 HEARTBEAT": true,
}

// companions are events that come with another one.
var companions = map[string]string{
	"M ScheduleInform":   "3 SCHEDULED",
	"M Reboot":           "1 BOOT",
	"M Download":         "7 TRANSFER COMPLETE",
	"M ScheduleDownload": "7 TRANSFER COMPLETE",
	"M Upload":           "7 TRANSFER COMPLETE",
	"M ChangeDUState":    "11 DU STATE CHANGE COMPLETE",
}

var (
	oui         = regexp.MustCompile(`^[0-9A-F]{6}$`)
	vendorEvent = regexp.MustCompile(`^(M X_\S+|X [0-9A-F]{6} .+|X \S+ .+)$`)
)

// checkInform looks at the content of an Inform (TR-069 A.3.3.1).
func (r *run) checkInform(m *Message, i *Inform) {
	k := r.checker(m)
	b := m.Body
	k.sequence(RuleInform, b, "DeviceId", "Event", "MaxEnvelopes", "CurrentTime", "RetryCount", "ParameterList")
	if id := b.Child("DeviceId"); id != nil {
		k.device(id, i.Device)
	}
	k.events(b.Child("Event"), i)
	if i.MaxEnvelopes != "1" {
		k.bad(RuleInform, "TR-069 A.3.3.1", "MaxEnvelopes %q", i.MaxEnvelopes)
	}
	k.is(RuleInform, b.Child("CurrentTime"), "dateTime")
	k.is(RuleInform, b.Child("RetryCount"), "unsignedInt")
	k.values(RuleInform, b.Child("ParameterList"))
	for _, name := range r.s.o.Forced {
		if _, ok := i.Parameters.Get(name); !ok {
			k.bad(RuleInform, "TR-181 forcedInform", "%s is missing", name)
		}
	}
	for _, p := range i.Parameters {
		if strings.HasSuffix(p.Name, ".") {
			k.bad(RuleInform, "TR-069 A.3.3.1", "%s is an object", p.Name)
		}
	}
}

func (k *checker) device(n *Node, d DeviceID) {
	k.sequence(RuleInform, n, "Manufacturer", "OUI", "ProductClass", "SerialNumber")
	for _, c := range n.Children {
		k.longest(RuleInform, c, 64)
	}
	if !oui.MatchString(d.OUI) {
		k.bad(RuleInform, "TR-069 A.3.3.1", "OUI %q is not six upper-case hexadecimal digits", d.OUI)
	}
	if d.SerialNumber == "" {
		k.bad(RuleInform, "TR-069 A.3.3.1", "no SerialNumber")
	}
}

// events checks the event list (TR-069 3.7.1.5).
func (k *checker) events(n *Node, i *Inform) {
	k.array(RuleEvent, n, k.ns, "EventStruct", 64)
	// A session that failed after its events were delivered is retried without any.
	if len(i.Events) == 0 && i.RetryCount == 0 {
		k.bad(RuleEvent, "TR-069 3.7.1.5", "no event at all")
	}
	for _, m := range n.members() {
		if k.sequence(RuleEvent, m, "EventCode", "CommandKey") {
			k.longest(RuleEvent, m.Child("EventCode"), 64)
			k.longest(RuleEvent, m.Child("CommandKey"), 32)
		}
	}
	seen := map[Event]bool{}
	for _, e := range i.Events {
		if seen[e] {
			k.bad(RuleEvent, "TR-069 3.7.1.5", "event %q twice", e.Code)
		}
		seen[e] = true
		k.event(e, i)
	}
	k.combinations(i)
}

func (k *checker) event(e Event, i *Inform) {
	with, method := companions[e.Code]
	switch {
	case numbered[e.Code]:
		if e.CommandKey != "" {
			k.bad(RuleEvent, "TR-069 3.7.1.5", "event %q with command key %q", e.Code, e.CommandKey)
		}
	case method:
		// A command key may be empty: it is then the one of the request.
		if !i.Has(with) && (with != "7 TRANSFER COMPLETE" || !i.Has("10 AUTONOMOUS TRANSFER COMPLETE")) {
			k.bad(RuleEvent, "TR-069 3.7.1.5", "event %q without %q", e.Code, with)
		}
	case !vendorEvent.MatchString(e.Code):
		k.bad(RuleEvent, "cwmp-1-2.xsd", "event code %q", e.Code)
	}
}

// combinations checks events that exclude or need each other.
func (k *checker) combinations(i *Inform) {
	if i.Has("0 BOOTSTRAP") {
		// It discards what was pending before it. What can stand next to it has
		// come up since, and no transfer, schedule or change can have.
		for _, e := range i.Events {
			switch e.Code {
			case "2 PERIODIC", "3 SCHEDULED", "7 TRANSFER COMPLETE", "M Download", "M Upload", "M ScheduleInform", "M Reboot":
				k.bad(RuleEvent, "TR-069 3.7.1.5", "event %q beside 0 BOOTSTRAP, which discards it", e.Code)
			}
		}
	}
	if i.Has("14 HEARTBEAT") && len(i.Events) > 1 {
		k.bad(RuleEvent, "TR-069 O", "14 HEARTBEAT beside other events")
	}
	if i.Has("7 TRANSFER COMPLETE") && !i.Has("M Download") && !i.Has("M Upload") && !i.Has("M ScheduleDownload") {
		k.bad(RuleEvent, "TR-069 3.7.1.5", "7 TRANSFER COMPLETE without its M event")
	}
	if i.Has("3 SCHEDULED") && !i.Has("M ScheduleInform") {
		k.bad(RuleEvent, "TR-069 3.7.1.5", "3 SCHEDULED without M ScheduleInform")
	}
	if i.Has("4 VALUE CHANGE") && len(i.Parameters) == 0 {
		k.bad(RuleEvent, "TR-069 3.7.1.5", "4 VALUE CHANGE without a parameter")
	}
}
