package acs

// This file holds what an ACS asks about transfers, and what it is told of
// them.

import (
	"fmt"
	"strconv"
	"strings"
)

// ScheduleDownload holds the arguments of a ScheduleDownload (TR-069 A.4.1.8).
type ScheduleDownload struct {
	CommandKey, FileType, URL, Username, Password string
	FileSize                                      uint32
	TargetFileName                                string
	Windows                                       []Window
}

// Window is one of its windows, in seconds from its receipt.
type Window struct {
	Start, End    uint32
	Mode, Message string
	MaxRetries    int
}

// QueuedTransfer is one line of GetAllQueuedTransfers; GetQueuedTransfers tells
// CommandKey and State alone.
type QueuedTransfer struct {
	CommandKey     string
	State          int // 1 not started, 2 in progress, 3 completed
	IsDownload     bool
	FileType       string
	FileSize       int
	TargetFileName string
}

// TransferComplete is what a CPE told of a transfer. Code 0 is success.
type TransferComplete struct {
	CommandKey              string
	Code                    int
	Text                    string
	StartTime, CompleteTime string
}

// ScheduleDownload asks the CPE to fetch a file in one of its windows.
func (c *Conversation) ScheduleDownload(d ScheduleDownload) error {
	members := make([]string, len(d.Windows))
	for i, w := range d.Windows {
		members[i] = "<TimeWindowStruct>" + el("WindowStart", number(w.Start)) + el("WindowEnd", number(w.End)) +
			el("WindowMode", w.Mode) + el("UserMessage", w.Message) + el("MaxRetries", strconv.Itoa(w.MaxRetries)) + "</TimeWindowStruct>"
	}
	args := el("CommandKey", d.CommandKey) + el("FileType", d.FileType) + el("URL", d.URL) +
		el("Username", d.Username) + el("Password", d.Password) + el("FileSize", number(d.FileSize)) +
		el("TargetFileName", d.TargetFileName) + array("TimeWindowList", "cwmp:TimeWindowStruct", members)
	_, err := c.call("ScheduleDownload", args, fmt.Sprintf("%s from %s, %d windows", d.FileType, d.URL, len(d.Windows)))
	return err
}

// CancelTransfer asks the CPE to drop what waits under a key.
func (c *Conversation) CancelTransfer(key string) error {
	_, err := c.call("CancelTransfer", el("CommandKey", key), fmt.Sprintf("key %q", key))
	return err
}

// GetQueuedTransfers asks for the queue, by the older method.
func (c *Conversation) GetQueuedTransfers() ([]QueuedTransfer, error) {
	return c.queued("GetQueuedTransfers")
}

// GetAllQueuedTransfers asks for the queue.
func (c *Conversation) GetAllQueuedTransfers() ([]QueuedTransfer, error) {
	return c.queued("GetAllQueuedTransfers")
}

func (c *Conversation) queued(method string) ([]QueuedTransfer, error) {
	n, err := c.Call(method, "")
	if err != nil {
		return nil, err
	}
	var all []QueuedTransfer
	for _, m := range n.Child("TransferList").members() {
		all = append(all, QueuedTransfer{
			CommandKey: m.Child("CommandKey").String(), State: integer(m.Child("State")),
			IsDownload: truth(m.Child("IsDownload").String()), FileType: m.Child("FileType").String(),
			FileSize: integer(m.Child("FileSize")), TargetFileName: m.Child("TargetFileName").String(),
		})
	}
	return all, nil
}

// Transfers is what the CPE told of its transfers in this session.
func (s *Session) Transfers() []TransferComplete {
	var all []TransferComplete
	for _, x := range s.Exchanges {
		if !strings.Contains(string(x.Body), "TransferComplete") {
			continue
		}
		m, err := readMessage(x.Body)
		if err != nil || m.Method != "TransferComplete" {
			continue
		}
		f := m.Body.Child("FaultStruct")
		all = append(all, TransferComplete{
			CommandKey: m.Body.Child("CommandKey").String(), Code: integer(f.Child("FaultCode")), Text: f.Child("FaultString").String(),
			StartTime: m.Body.Child("StartTime").String(), CompleteTime: m.Body.Child("CompleteTime").String(),
		})
	}
	return all
}
