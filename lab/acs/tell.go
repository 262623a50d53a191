package acs

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// heard tells the observer what the CPE said.
func (p *post) heard() {
	if p.s.o.Observe == nil {
		return
	}
	n := Note{Direction: FromCPE, Summary: summarize(p.msg)}
	if p.msg != nil {
		n.Method, n.Fault, n.XML = p.msg.Method, p.msg.Fault, mask(string(p.text))
	}
	p.told(n)
}

// narrate tells the observer what we answer. Informs that were not taken are
// told of here, with their answer.
func (p *post) narrate(status int, body, about string) {
	if p.s.o.Observe == nil {
		return
	}
	if p.run == nil {
		n := Note{Direction: FromCPE, Device: p.deviceKey(), Summary: summarize(p.msg)}
		if p.msg != nil {
			n.Method = p.msg.Method
		}
		p.told(n)
	}
	n := Note{Direction: ToCPE, Status: status, Summary: about}
	if p.asking != nil {
		n.Method, n.Summary = p.asking.method, strings.TrimSpace(p.asking.method+" "+p.asking.args)
		if n.Method == "" {
			n.Summary = "something of the script's own making"
		}
	}
	if strings.HasPrefix(body, "<") {
		n.XML = mask(body)
		if m, err := readMessage([]byte(body)); err == nil && p.asking == nil {
			n.Method, n.Fault, n.Summary = m.Method, m.Fault, summarize(m)
		}
	}
	if status == 204 {
		n.Summary = "nothing more"
	}
	p.told(n)
}

func (p *post) told(n Note) {
	if p.run != nil {
		n.Device, n.Session = p.run.rec.Device.Key(), p.run.rec.Number
	}
	p.s.note(n)
}

// ending is one line about a finished session.
func ending(s *Session) string {
	took := s.End.Sub(s.Start).Round(time.Millisecond)
	if s.Err != nil {
		return fmt.Sprintf("session %d failed after %v: %v", s.Number, took, s.Err)
	}
	return fmt.Sprintf("session %d done: %d RPCs, %d POSTs, %v", s.Number, len(s.RPCs), len(s.Exchanges), took)
}

// summarize is one line about a message, without secrets.
func summarize(m *Message) string {
	switch {
	case m == nil:
		return "nothing to say: the word is yours"
	case m.Fault != nil:
		return m.Fault.Error()
	case m.Method == "Inform":
		return informLine(readInform(m))
	}
	line := m.Method
	list := m.Body.Child("ParameterList")
	switch m.Method {
	case "GetParameterValuesResponse":
		line += values(readValues(list))
	case "GetParameterNamesResponse", "GetParameterAttributesResponse":
		line += fmt.Sprintf(": %d names", len(list.members()))
	case "GetRPCMethodsResponse":
		line += ": " + strings.Join(texts(m.Body.Child("MethodList")), " ")
	default:
		for _, c := range m.Body.Children {
			switch {
			case c.Local == "FaultStruct" && c.Child("FaultCode").String() != "0":
				line += fmt.Sprintf(" fault %s %s", c.Child("FaultCode").String(), c.Child("FaultString").String())
			case len(c.Children) == 0 && c.Text != "":
				line += " " + c.Local + "=" + Mask(c.Local, c.Text)
			}
		}
	}
	return line
}

// values prints a handful of values, and how many there are otherwise.
func values(v Values) string {
	if len(v) > 4 {
		return fmt.Sprintf(": %d values", len(v))
	}
	var b strings.Builder
	for _, p := range v {
		fmt.Fprintf(&b, " %s=%q", p.Name, Mask(p.Name, p.Value))
	}
	return b.String()
}

func informLine(i *Inform) string {
	var codes []string
	for _, e := range i.Events {
		c := e.Code
		if e.CommandKey != "" {
			c += fmt.Sprintf(" (%q)", e.CommandKey)
		}
		codes = append(codes, c)
	}
	line := fmt.Sprintf("Inform from %s: %s; %d parameters", i.Device.Key(), strings.Join(codes, ", "), len(i.Parameters))
	if i.RetryCount > 0 {
		line += fmt.Sprintf("; retry %d", i.RetryCount)
	}
	return line
}

// secret are names whose values nobody should read over a shoulder.
var secret = regexp.MustCompile(`(?i)(password|passphrase|presharedkey|secret|wepkey|sharedkey|privatekey|pin)$`)

// Mask hides the value of a parameter whose name says that it is a secret.
func Mask(name, value string) string {
	if value != "" && secret.MatchString(name) {
		return "***"
	}
	return value
}

// Envelopes are masked as text, however oddly they are written: what cannot be
// parsed is shown too. A text may be made of CDATA and have comments in it.
var (
	secretValue = regexp.MustCompile(`(?is)(<Name[^>]*>` + anyText + `*?(?:password|passphrase|presharedkey|secret|wepkey|sharedkey|privatekey|pin)` +
		`(?:\s|\]\]>|<!--.*?-->)*</Name>\s*(?:<!--.*?-->\s*)*<Value[^>]*>)` + anyText + `+`)
	secretElement = regexp.MustCompile(`(?is)(<Password[^>]*>)` + anyText + `+`)
)

const anyText = `(?:[^<]|<!\[CDATA\[.*?\]\]>|<!--.*?-->|<!\[CDATA\[)`

// MaskXML hides secrets in an envelope that is going to be shown or kept.
func MaskXML(text string) string { return mask(text) }

// mask hides secrets in an envelope that is going to be shown.
func mask(text string) string {
	return secretElement.ReplaceAllString(secretValue.ReplaceAllString(text, "${1}***"), "${1}***")
}

// plain is the text of an RPC's arguments without tags, for the record.
func plain(args string) string {
	return strings.TrimSpace(tags.ReplaceAllString(mask(args), " "))
}

var tags = regexp.MustCompile(`<[^>]*>`)
