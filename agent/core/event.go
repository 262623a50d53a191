package core

import (
	"slices"
	"strings"
)

// An Event is one entry of an Inform's Event list. CommandKey is the key of
// the call that caused it, and empty for the numbered events.
type Event struct{ Code, CommandKey string }

// Event codes, spelled as TR-069 3.7.1.5 spells them.
const (
	Bootstrap                       = "0 BOOTSTRAP"
	Boot                            = "1 BOOT"
	Periodic                        = "2 PERIODIC"
	Scheduled                       = "3 SCHEDULED"
	ValueChanged                    = "4 VALUE CHANGE"
	Kicked                          = "5 KICKED"
	ConnectionRequested             = "6 CONNECTION REQUEST"
	TransferComplete                = "7 TRANSFER COMPLETE"
	DiagnosticsComplete             = "8 DIAGNOSTICS COMPLETE"
	RequestDownload                 = "9 REQUEST DOWNLOAD"
	AutonomousTransferComplete      = "10 AUTONOMOUS TRANSFER COMPLETE"
	DUStateChangeComplete           = "11 DU STATE CHANGE COMPLETE"
	AutonomousDUStateChangeComplete = "12 AUTONOMOUS DU STATE CHANGE COMPLETE"
	Wakeup                          = "13 WAKEUP"
	Heartbeat                       = "14 HEARTBEAT"
	MReboot                         = "M Reboot"
	MScheduleInform                 = "M ScheduleInform"
	MDownload                       = "M Download"
	MScheduleDownload               = "M ScheduleDownload"
	MUpload                         = "M Upload"
	MChangeDUState                  = "M ChangeDUState"
)

const (
	maxEvents = 64                       // entries of one Inform: EventList is an array of 64 (TR-069 A.3.3.1)
	maxOwed   = 16                       // of them, entries that go with calls of their own: as many as the queue of transfers keeps
	maxKeyed  = maxEvents - 15 - maxOwed // further entries that carry a key; the rest is room for the single ones
)

// A keep tells how long an undelivered event is tried again (TR-069 table 7).
type keep uint8

const (
	keepSession keep = iota // gone with the session that fails to deliver it
	keepBoot                // kept until the device reboots
	keepAlways              // kept until delivered, or until a BOOTSTRAP occurs
)

// A kind is what TR-069 says of one event code.
type kind struct {
	code   string
	keep   keep
	answer bool // delivered by the response to a call of its own, not by the InformResponse
	keyed  bool // one entry per CommandKey: "Multiple"
}

// kinds is in the order in which an Inform lists its events.
var kinds = [...]kind{
	{code: Bootstrap, keep: keepAlways},
	{code: Boot, keep: keepBoot},
	{code: Periodic, keep: keepAlways},
	{code: Scheduled, keep: keepAlways},
	{code: ValueChanged, keep: keepBoot},
	{code: Kicked, keep: keepSession, answer: true},
	{code: ConnectionRequested, keep: keepSession},
	{code: TransferComplete, keep: keepAlways, answer: true},
	{code: DiagnosticsComplete, keep: keepBoot},
	{code: RequestDownload, keep: keepBoot, answer: true},
	{code: AutonomousTransferComplete, keep: keepAlways, answer: true},
	{code: DUStateChangeComplete, keep: keepAlways, answer: true},
	{code: AutonomousDUStateChangeComplete, keep: keepAlways, answer: true},
	{code: Wakeup, keep: keepBoot},
	{code: Heartbeat, keep: keepSession},
	{code: MReboot, keep: keepAlways, keyed: true},
	{code: MScheduleInform, keep: keepAlways, keyed: true},
	{code: MDownload, keep: keepAlways, answer: true, keyed: true},
	{code: MScheduleDownload, keep: keepAlways, answer: true, keyed: true},
	{code: MUpload, keep: keepAlways, answer: true, keyed: true},
	{code: MChangeDUState, keep: keepAlways, answer: true, keyed: true},
}

// kindOf returns what is known of code. An event of a vendor ("X 0011AA Hot",
// "M X_EXAMPLE_Scan") is kept until the device reboots and delivered by the
// InformResponse; those that begin with "M " carry a key.
func kindOf(code string) kind {
	if i := rank(code); i < len(kinds) {
		return kinds[i]
	}
	return kind{code: code, keep: keepBoot, keyed: strings.HasPrefix(code, "M ")}
}

// rank is the place of code in an Inform; vendors' events come last.
func rank(code string) int {
	if i := slices.IndexFunc(kinds[:], func(k kind) bool { return k.code == code }); i >= 0 {
		return i
	}
	return len(kinds)
}
