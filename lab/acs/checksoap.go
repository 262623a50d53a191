package acs

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// checker records what is wrong with one message.
type checker struct {
	bad func(rule Rule, clause, format string, args ...any)
	ns  string // the cwmp namespace of the message
}

func (r *run) checker(m *Message) *checker {
	return &checker{
		ns: m.Body.Space,
		bad: func(rule Rule, clause, format string, args ...any) {
			r.s.fault(r, rule, clause, m.Method+": "+format, args...)
		},
	}
}

// cwmpSpaces are the namespaces that a CPE may send in (TR-069 3.7.4).
var cwmpSpaces = map[string]bool{nsCWMP + "0": true, nsCWMP + "1": true, nsCWMP + "2": true}

// checkEnvelope looks at everything around the content of a message.
func (p *post) checkEnvelope() {
	m := p.msg
	k := p.run.checker(m)
	k.rawText(p.text)
	k.shape(m.root)
	k.headers(m)
	if m.Method == "Fault" {
		if m.Body.Space != nsEnvelope {
			k.bad(RuleSOAP, "SOAP 1.1 4.4", "the Fault is in namespace %q", m.Body.Space)
		}
		return
	}
	if !cwmpSpaces[m.Body.Space] {
		k.bad(RuleSOAP, "TR-069 3.5", "namespace %q", m.Body.Space)
	}
	if i := p.run.rec.Inform; m.Body.Space != i.Namespace {
		k.bad(RuleSOAP, "TR-069 3.7.4", "namespace %q after an Inform in %q", m.Body.Space, i.Namespace)
	}
	k.unqualified(m.Body)
}

// rawText looks at the bytes: characters beyond ASCII and control characters
// go out as numeric references (TR-069 3.4.1).
func (k *checker) rawText(data []byte) {
	for i, b := range data {
		if b >= 0x7f || b < 0x20 && b != '\t' && b != '\n' && b != '\r' {
			k.bad(RuleXML, "TR-069 3.4.1", "byte %#x at %d is not escaped", b, i)
			return
		}
	}
}

// shape checks that the Envelope holds a Header and a Body with one element.
func (k *checker) shape(root *Node) {
	var order []string
	for _, c := range root.Children {
		order = append(order, c.Local)
		if c.Space != nsEnvelope {
			k.bad(RuleSOAP, "SOAP 1.1 4.1", "element %s in the Envelope", c.Local)
		}
		if c.Local == "Body" && len(c.Children) != 1 {
			k.bad(RuleSOAP, "TR-069 3.5", "%d elements in the Body", len(c.Children))
		}
	}
	if o := strings.Join(order, " "); o != "Header Body" && o != "Body" {
		k.bad(RuleSOAP, "SOAP 1.1 4.1", "the Envelope holds %q instead of Header and Body", o)
	}
}

// headers checks the header elements (TR-069 3.5).
func (k *checker) headers(m *Message) {
	h := m.root.Child("Header")
	seen := map[string]bool{}
	for _, e := range h.members() {
		must, hasMust := e.attr(nsEnvelope, "mustUnderstand")
		if seen[e.Local] {
			k.bad(RuleSOAP, "TR-069 3.5", "header %s twice", e.Local)
		}
		seen[e.Local] = true
		if !cwmpSpaces[e.Space] {
			k.bad(RuleSOAP, "TR-069 3.5", "header %s in namespace %q", e.Local, e.Space)
		}
		switch e.Local {
		case "ID":
			if must != "1" {
				k.bad(RuleSOAP, "TR-069 3.5", "header ID without mustUnderstand=1")
			}
			if len(e.Text) > 32 {
				k.bad(RuleSOAP, "TR-069 3.5", "header ID has %d characters", len(e.Text))
			}
		case "SessionTimeout", "SupportedCWMPVersions":
			if m.Method != "Inform" {
				k.bad(RuleSOAP, "TR-069 3.5", "header %s belongs to an Inform", e.Local)
			}
			if hasMust && must != "0" {
				k.bad(RuleSOAP, "TR-069 3.5", "header %s with mustUnderstand=%s", e.Local, must)
			}
			if n, err := strconv.ParseUint(e.Text, 10, 32); e.Local == "SessionTimeout" && (err != nil || n < 30) {
				k.bad(RuleSOAP, "TR-069 3.5", "header SessionTimeout %q", e.Text)
			}
		default:
			k.bad(RuleSOAP, "TR-069 3.5", "header %s is not for a CPE to send", e.Local)
		}
	}
}

// unqualified checks that nothing inside an RPC carries a namespace (the
// schemas say elementFormDefault=unqualified).
func (k *checker) unqualified(n *Node) {
	for _, c := range n.Children {
		if c.Space != "" {
			k.bad(RuleSOAP, "TR-069 3.5", "element %s carries a namespace", c.Local)
			return
		}
		k.unqualified(c)
	}
}

// sequence checks that the children are exactly names, in order. A name with a
// trailing ? may be missing, one with a trailing * may come any number of times.
func (k *checker) sequence(rule Rule, n *Node, names ...string) bool {
	i := 0
	var missing []string
	for _, name := range names {
		bare := strings.TrimRight(name, "?*")
		switch {
		case strings.HasSuffix(name, "*"):
			for i < len(n.Children) && n.Children[i].Local == bare {
				i++
			}
		case i < len(n.Children) && n.Children[i].Local == bare:
			i++
		case bare == name:
			missing = append(missing, name)
		}
	}
	switch {
	case len(missing) > 0:
		k.bad(rule, "cwmp-1-2.xsd", "%s lacks %s, or not in this order", n.Local, strings.Join(missing, ", "))
	case i < len(n.Children):
		k.bad(rule, "cwmp-1-2.xsd", "%s does not belong in %s there", n.Children[i].Local, n.Local)
	default:
		return true
	}
	return false
}

// array checks a SOAP array: its type, its count, and the name of its members.
func (k *checker) array(rule Rule, n *Node, space, member string, most int) {
	if n == nil {
		return // its absence was told by sequence
	}
	v, ok := n.attr(nsEncoding, "arrayType")
	open := strings.IndexByte(v, '[')
	if !ok || open < 0 || !strings.HasSuffix(v, "]") {
		k.bad(rule, "SOAP 1.1 5.4.2", "arrayType %q of %s", v, n.Local)
		return
	}
	gotSpace, local, bound := n.qname(v[:open])
	if !bound || gotSpace != space || local != member {
		k.bad(rule, "SOAP 1.1 5.4.2", "arrayType %q of %s is not {%s}%s", v, n.Local, space, member)
	}
	if count, err := strconv.Atoi(v[open+1 : len(v)-1]); err != nil || count != len(n.Children) {
		k.bad(rule, "SOAP 1.1 5.4.2", "arrayType %q of %s, which has %d members", v, n.Local, len(n.Children))
	}
	if most > 0 && len(n.Children) > most {
		k.bad(rule, "cwmp-1-2.xsd", "%s has %d members, at most %d are allowed", n.Local, len(n.Children), most)
	}
	for _, c := range n.Children {
		if c.Local != member {
			k.bad(rule, "cwmp-1-2.xsd", "%s in %s, which is an array of %s", c.Local, n.Local, member)
			return
		}
	}
}

// values checks a ParameterList of ParameterValueStruct.
func (k *checker) values(rule Rule, n *Node) {
	k.array(rule, n, k.ns, "ParameterValueStruct", 0)
	seen := map[string]bool{}
	for _, m := range n.members() {
		if !k.sequence(rule, m, "Name", "Value") {
			continue
		}
		name := m.Child("Name").Text
		k.name(rule, name)
		if seen[name] {
			k.bad(rule, "TR-069 A.3.2.2", "%s twice", name)
		}
		seen[name] = true
		k.value(name, m.Child("Value"))
	}
}

var nameParts = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_-]*|[1-9][0-9]*|\[[^\]]{1,64}\])(\.([A-Za-z_][A-Za-z0-9_-]*|[1-9][0-9]*|\[[^\]]{1,64}\]))*\.?$`)

// name checks the form of a parameter or object name.
func (k *checker) name(rule Rule, name string) {
	switch {
	case len(name) > 256:
		k.bad(rule, "cwmp-1-2.xsd", "a name of %d characters: %.40q…", len(name), name)
	case !nameParts.MatchString(name):
		k.bad(rule, "TR-106 3", "%q is not a name", name)
	}
}

// value checks that a Value has a type and fits it.
func (k *checker) value(name string, v *Node) {
	typ, ok := v.attr(nsXSI, "type")
	space, local, bound := v.qname(typ)
	if !ok || !bound || space != nsXSD {
		k.bad(RuleType, "TR-069 A.3.2.2", "%s: xsi:type %q", name, typ)
		return
	}
	if len(v.Children) > 0 {
		k.bad(RuleType, "TR-069 A.3.2.2", "%s: an element in its Value", name)
	}
	if err := fits(local, v.Text); err != nil {
		k.bad(RuleType, "TR-106 3.2", "%s: %v", name, err)
	}
}

// dateTimes are the forms of xsd:dateTime that TR-106 allows, with and without
// a fraction of a second.
var dateTimes = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?$`)

// fits tells whether text is in the value space of an XSD type.
func fits(typ, text string) error {
	var err error
	switch typ {
	case "string":
	case "int":
		_, err = strconv.ParseInt(text, 10, 32)
	case "long":
		_, err = strconv.ParseInt(text, 10, 64)
	case "unsignedInt":
		_, err = strconv.ParseUint(text, 10, 32)
	case "unsignedLong":
		_, err = strconv.ParseUint(text, 10, 64)
	case "boolean":
		if text != "0" && text != "1" && text != "true" && text != "false" {
			err = fmt.Errorf("%q is no boolean", text)
		}
	case "dateTime":
		err = isDateTime(text)
	case "base64Binary", "base64":
		_, err = base64.StdEncoding.DecodeString(text)
	case "hexBinary":
		_, err = hex.DecodeString(text)
	default:
		return fmt.Errorf("type %q is not one of CWMP's", typ)
	}
	if err != nil {
		return fmt.Errorf("%.40q is no %s: %w", text, typ, err)
	}
	return nil
}

func isDateTime(text string) error {
	if !dateTimes.MatchString(text) {
		return fmt.Errorf("not of the form yyyy-mm-ddThh:mm:ss")
	}
	if last := text[len(text)-1]; last != 'Z' && text[len(text)-6] != '+' && text[len(text)-6] != '-' {
		text += "Z"
	}
	_, err := time.Parse(time.RFC3339Nano, text)
	return err
}

// longest checks the length of a text element, in characters.
func (k *checker) longest(rule Rule, n *Node, most int) {
	if s := n.String(); len([]rune(s)) > most {
		k.bad(rule, "cwmp-1-2.xsd", "%s has %d characters, at most %d are allowed", n.Local, len([]rune(s)), most)
	}
}

// is checks that an element's text fits an XSD type.
func (k *checker) is(rule Rule, n *Node, typ string) {
	if n == nil {
		return
	}
	if err := fits(typ, n.Text); err != nil {
		k.bad(rule, "cwmp-1-2.xsd", "%s: %v", n.Local, err)
	}
}
