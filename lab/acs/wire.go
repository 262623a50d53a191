package acs

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// DeviceID names a CPE (DeviceIdStruct of the Inform).
type DeviceID struct {
	Manufacturer, OUI, ProductClass, SerialNumber string
}

// Key is the name under which a device is known here: `OUI-Serial`.
func (d DeviceID) Key() string { return d.OUI + "-" + d.SerialNumber }

// Event is one entry of an Inform's event list.
type Event struct {
	Code, CommandKey string
}

// Parameter is a name, its XSD type as `xsd:string`, and its value as text.
type Parameter struct {
	Name, Type, Value string
}

// P is short for a Parameter in scripts.
func P(name, typ, value string) Parameter {
	return Parameter{Name: name, Type: typ, Value: value}
}

// Values are parameters in the order in which they arrived.
type Values []Parameter

// Get is the value called name; ok tells an empty value from none.
func (v Values) Get(name string) (value string, ok bool) {
	for _, p := range v {
		if p.Name == name {
			return p.Value, true
		}
	}
	return "", false
}

// Map is the values by name.
func (v Values) Map() map[string]string {
	m := make(map[string]string, len(v))
	for _, p := range v {
		m[p.Name] = p.Value
	}
	return m
}

// Inform is the opening message of a session.
type Inform struct {
	Device       DeviceID
	Events       []Event
	MaxEnvelopes string
	CurrentTime  time.Time // zero when it could not be read
	RetryCount   uint32
	Parameters   Values
	Namespace    string // the cwmp namespace it was sent in
	Versions     string // header SupportedCWMPVersions, "" when absent
}

// Has tells whether the Inform carries an event with this code.
func (i *Inform) Has(code string) bool {
	for _, e := range i.Events {
		if e.Code == code {
			return true
		}
	}
	return false
}

// ParameterInfo is one line of a GetParameterNamesResponse.
type ParameterInfo struct {
	Name     string
	Writable bool
}

// Attribute is one line of a GetParameterAttributesResponse.
type Attribute struct {
	Name         string
	Notification int
	AccessList   []string
}

// SetAttribute is one line of a SetParameterAttributes. A nil pointer leaves
// that attribute as it is (NotificationChange or AccessListChange false).
type SetAttribute struct {
	Name         string
	Notification *int
	AccessList   *[]string
}

// Notify is a SetAttribute that changes the notification alone.
func Notify(name string, notification int) SetAttribute {
	return SetAttribute{Name: name, Notification: &notification}
}

// Download holds the arguments of a Download (TR-069 A.3.2.8).
type Download struct {
	CommandKey, FileType, URL, Username, Password string
	FileSize                                      uint32
	TargetFileName                                string
	DelaySeconds                                  uint32
	SuccessURL, FailureURL                        string
}

// Upload holds the arguments of an Upload (TR-069 A.4.1.5).
type Upload struct {
	CommandKey, FileType, URL, Username, Password string
	DelaySeconds                                  uint32
}

// Transfer is what a Download or Upload was answered with.
type Transfer struct {
	Status                  int // 0: done and applied, 1: the result comes later
	StartTime, CompleteTime string
}

// Fault is a CWMP fault, in either direction.
type Fault struct {
	Code       int
	Text       string
	SOAPCode   string // faultcode: Client or Server
	Parameters []ParameterFault
}

// ParameterFault is one SetParameterValuesFault.
type ParameterFault struct {
	Name string
	Code int
	Text string
}

func (f *Fault) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "fault %d %s", f.Code, f.Text)
	for _, p := range f.Parameters {
		fmt.Fprintf(&b, "; %s: %d %s", p.Name, p.Code, p.Text)
	}
	return b.String()
}

// FaultOf finds the Fault in err, nil when there is none.
func FaultOf(err error) *Fault {
	var f *Fault
	if errors.As(err, &f) {
		return f
	}
	return nil
}

// Message is a parsed envelope from a CPE.
type Message struct {
	ID     string // cwmp:ID, "" when absent
	HasID  bool
	Method string // local name of the body's element: Inform, Fault, …
	Body   *Node  // that element
	Fault  *Fault // set when Method is Fault
	root   *Node
}
