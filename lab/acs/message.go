package acs

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Parse reads an envelope of either side, strictly.
func Parse(data []byte) (*Message, error) { return readMessage(data) }

// readMessage parses an envelope as far as is needed to know what it is. What
// is odd but readable is left for checkEnvelope.
func readMessage(data []byte) (*Message, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("not UTF-8")
	}
	if i := bytes.IndexByte(data, 0); i >= 0 {
		return nil, fmt.Errorf("byte %d is NUL", i)
	}
	root, err := parseXML(data)
	if err != nil {
		return nil, err
	}
	if root.Local != "Envelope" || root.Space != nsEnvelope {
		return nil, fmt.Errorf("the document element is {%s}%s, not a SOAP 1.1 Envelope", root.Space, root.Local)
	}
	m := &Message{root: root}
	for _, c := range root.Children {
		switch {
		case c.Space != nsEnvelope:
		case c.Local == "Header":
			for _, h := range c.Children {
				if h.Local == "ID" && strings.HasPrefix(h.Space, nsCWMP) {
					m.ID, m.HasID = h.Text, true
				}
			}
		case c.Local == "Body" && len(c.Children) > 0:
			m.Body = c.Children[0]
		}
	}
	if m.Body == nil {
		return nil, errors.New("no Body, or nothing in it")
	}
	if m.Method = m.Body.Local; m.Method == "Fault" && m.Body.Space == nsEnvelope {
		m.Fault = readFault(m.Body)
	}
	return m, nil
}

func readFault(n *Node) *Fault {
	d := n.Child("detail").Child("Fault")
	f := &Fault{Code: integer(d.Child("FaultCode")), Text: d.Child("FaultString").String()}
	f.SOAPCode = n.Child("faultcode").String()
	if _, local, ok := strings.Cut(f.SOAPCode, ":"); ok {
		f.SOAPCode = local
	}
	if d == nil {
		f.Text = n.Child("faultstring").String()
		return f
	}
	for _, c := range d.Children {
		if c.Local == "SetParameterValuesFault" {
			f.Parameters = append(f.Parameters, ParameterFault{
				Name: c.Child("ParameterName").String(), Code: integer(c.Child("FaultCode")), Text: c.Child("FaultString").String(),
			})
		}
	}
	return f
}

// readInform takes out what can be read of an Inform.
func readInform(m *Message) *Inform {
	id := m.Body.Child("DeviceId")
	i := &Inform{
		Device: DeviceID{
			Manufacturer: id.Child("Manufacturer").String(), OUI: id.Child("OUI").String(),
			ProductClass: id.Child("ProductClass").String(), SerialNumber: id.Child("SerialNumber").String(),
		},
		MaxEnvelopes: m.Body.Child("MaxEnvelopes").String(),
		Parameters:   readValues(m.Body.Child("ParameterList")),
		Namespace:    m.Body.Space,
	}
	for _, e := range m.Body.Child("Event").members() {
		i.Events = append(i.Events, Event{Code: e.Child("EventCode").String(), CommandKey: e.Child("CommandKey").String()})
	}
	if t, err := time.Parse(time.RFC3339Nano, m.Body.Child("CurrentTime").String()); err == nil {
		i.CurrentTime = t
	}
	n, _ := strconv.ParseUint(m.Body.Child("RetryCount").String(), 10, 32) // checkInform tells of errors
	i.RetryCount = uint32(n)
	i.Versions = m.header("SupportedCWMPVersions").String()
	return i
}

// header is a header element by its local name.
func (m *Message) header(local string) *Node { return m.root.Child("Header").Child(local) }

// members are the elements of an array; none for nil.
func (n *Node) members() []*Node {
	if n == nil {
		return nil
	}
	return n.Children
}

func readValues(n *Node) Values {
	var all Values
	for _, m := range n.members() {
		p := Parameter{Name: m.Child("Name").String(), Value: m.Child("Value").String()}
		if v := m.Child("Value"); v != nil {
			p.Type, _ = v.attr(nsXSI, "type")
		}
		all = append(all, p)
	}
	return all
}

func texts(n *Node) []string {
	var all []string
	for _, m := range n.members() {
		all = append(all, m.Text)
	}
	return all
}

// integer is a number in an element; 0 where there is none.
func integer(n *Node) int {
	i, err := strconv.ParseInt(strings.TrimSpace(n.String()), 10, 32)
	if err != nil {
		return 0
	}
	return int(i)
}

// truth reads an xsd:boolean.
func truth(s string) bool { return s == "1" || s == "true" }
