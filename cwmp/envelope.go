package cwmp

// This file reads envelopes: first a pass over the tokens that keeps every
// limit and refuses what has no place in SOAP, then a document of what is left.

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/beevik/etree"
)

// An envelope is one message of the ACS.
type envelope struct {
	id         string // as sent, "" when missing
	hold       bool   // HoldRequests
	useVersion string // UseCWMPVersion
	unknown    string // a header element that we must understand and do not

	body  *etree.Element // the RPC or Fault; nil: an empty Body
	cwmp  bool           // body is in a CWMP namespace
	minor int            // of that namespace
	fault bool           // body is a SOAP Fault
}

// name is the local name of what the body holds.
func (e *envelope) name() string { return e.body.Tag }

// blank reports whether a reply carries nothing: no bytes, or only white space
// and NULs, which old servers send.
func blank(data []byte) bool { return len(trimEnvelope(data)) == 0 }

// trimEnvelope drops what peers put around an envelope: a byte order mark,
// white space, trailing NULs.
func trimEnvelope(data []byte) []byte {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	data = bytes.TrimLeft(data, " \t\r\n")
	return bytes.TrimRight(data, " \t\r\n\x00")
}

// readEnvelope reads one message. The error is an *EnvelopeError.
func readEnvelope(data []byte, l Limits) (*envelope, error) {
	l = l.withDefaults()
	if len(data) > l.Bytes {
		return nil, &EnvelopeError{Problem: fmt.Sprintf("longer than %d bytes", l.Bytes)}
	}
	data = trimEnvelope(data)
	if err := scan(data, l); err != nil {
		return nil, err
	}
	doc := etree.NewDocument()
	doc.ReadSettings = etree.ReadSettings{CharsetReader: charset, MaxDepth: l.Depth + 1}
	if err := doc.ReadFromBytes(data); err != nil {
		return nil, &EnvelopeError{Problem: "not well-formed XML", Err: err}
	}
	return newEnvelope(doc.Root())
}

// scan walks over the tokens once and refuses what is ill-formed, beyond a
// limit, or a document type: with that, entities of their own, expansions and
// external references are impossible.
func scan(data []byte, l Limits) error {
	d := xml.NewDecoder(bytes.NewReader(data))
	d.CharsetReader = charset
	var n count
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return &EnvelopeError{Problem: "not well-formed XML", Err: err}
		}
		if err := n.token(t); err != nil {
			return err
		}
		if n.depth > l.Depth || n.elements > l.Elements || n.attributes > l.Attributes || n.tokens > 5*l.Elements {
			return &EnvelopeError{
				Problem: fmt.Sprintf("more than %d elements, %d attributes or %d levels", l.Elements, l.Attributes, l.Depth),
				limit:   true, id: n.id,
			}
		}
	}
	if n.roots != 1 {
		return &EnvelopeError{Problem: fmt.Sprintf("%d root elements", n.roots)}
	}
	return nil
}

// count is what scan has seen so far.
type count struct {
	depth, elements, attributes, tokens, roots int
	inID                                       bool
	id                                         string
}

func (n *count) token(t xml.Token) error {
	n.tokens++
	switch t := t.(type) {
	case xml.StartElement:
		if n.depth == 0 {
			n.roots++
		}
		n.depth, n.elements, n.attributes = n.depth+1, n.elements+1, n.attributes+len(t.Attr)
		_, ours := cwmpMinor(t.Name.Space)
		n.inID = ours && t.Name.Local == "ID" && n.depth == 3 // Envelope, Header, ID
	case xml.EndElement:
		n.depth--
		n.inID = false
	case xml.Directive:
		return &EnvelopeError{Problem: "document type declarations are not allowed in SOAP"}
	case xml.CharData:
		if n.depth == 0 && len(bytes.TrimSpace(t)) > 0 {
			return &EnvelopeError{Problem: "text outside the envelope"}
		}
		if n.inID {
			n.id = string(t)
		}
	}
	return nil
}

// charset decodes the character sets that ACSes really use. UTF-8 does not
// come here.
func charset(label string, in io.Reader) (io.Reader, error) {
	switch strings.ToLower(label) {
	case "utf-8", "utf8", "us-ascii", "ascii":
		return in, nil
	case "iso-8859-1", "latin1", "windows-1252":
		return &latin1{in: in}, nil
	}
	return nil, fmt.Errorf("character set %.40q is not supported", label)
}

// latin1 turns ISO-8859-1 into UTF-8.
type latin1 struct {
	in  io.Reader
	buf [512]byte
	out []byte
}

func (l *latin1) Read(p []byte) (int, error) {
	if len(l.out) == 0 {
		n, err := l.in.Read(l.buf[:])
		if n == 0 {
			return 0, err
		}
		l.out = l.out[:0]
		for _, c := range l.buf[:n] {
			l.out = append(l.out, string(rune(c))...)
		}
	}
	n := copy(p, l.out)
	l.out = l.out[n:]
	return n, nil
}

// newEnvelope takes a document apart.
func newEnvelope(root *etree.Element) (*envelope, error) {
	if root == nil || root.Tag != "Envelope" {
		return nil, &EnvelopeError{Problem: "not a SOAP envelope"}
	}
	if ns := root.NamespaceURI(); ns != nsEnvelope {
		return nil, &EnvelopeError{Problem: fmt.Sprintf("not a SOAP 1.1 envelope (namespace %.80q)", ns)}
	}
	e := &envelope{}
	var body *etree.Element
	for _, c := range root.ChildElements() {
		switch {
		case c.NamespaceURI() != nsEnvelope:
		case c.Tag == "Header":
			for _, h := range c.ChildElements() {
				e.header(h)
			}
		case c.Tag == "Body" && body == nil:
			body = c
		}
	}
	if body == nil {
		return nil, &EnvelopeError{Problem: "no Body"}
	}
	for _, c := range body.ChildElements() {
		e.body = c
		ns := c.NamespaceURI()
		e.fault = ns == nsEnvelope && c.Tag == "Fault"
		e.minor, e.cwmp = cwmpMinor(ns)
		break // one message per envelope: MaxEnvelopes is 1
	}
	return e, nil
}

// cwmpMinor takes N out of "urn:dslforum-org:cwmp-1-N". Servers are around
// that send 3 and 4, which do not exist as namespaces.
func cwmpMinor(ns string) (int, bool) {
	n, ok := strings.CutPrefix(ns, nsCWMP)
	if !ok || len(n) != 1 || n[0] < '0' || n[0] > '9' {
		return 0, false
	}
	return int(n[0] - '0'), true
}

// header takes one element of the SOAP header (TR-069 3.5).
func (e *envelope) header(h *etree.Element) {
	if _, ok := cwmpMinor(h.NamespaceURI()); ok {
		switch h.Tag {
		case "ID":
			e.id = text(h)
			return
		case "HoldRequests":
			e.hold, _ = parseBool(text(h))
			return
		case "UseCWMPVersion":
			e.useVersion = strings.TrimSpace(text(h))
			return
		case "SessionTimeout", "SupportedCWMPVersions", "NoMoreRequests":
			return // not for us, or of 2004
		}
	}
	must, actor := "", ""
	for i := range h.Attr {
		if a := &h.Attr[i]; a.NamespaceURI() == nsEnvelope {
			switch a.Key {
			case "mustUnderstand":
				must = strings.TrimSpace(a.Value)
			case "actor":
				actor = a.Value
			}
		}
	}
	if (must == "1" || must == "true") && (actor == "" || actor == "http://schemas.xmlsoap.org/soap/actor/next") {
		e.unknown = h.Tag
	}
}

// text is all the character data of an element, CDATA included, comments left
// out, nothing trimmed.
func text(e *etree.Element) string {
	first, n := "", 0
	var b strings.Builder
	for _, c := range e.Child {
		cd, ok := c.(*etree.CharData)
		if !ok {
			continue
		}
		switch n++; n {
		case 1:
			first = cd.Data
		case 2:
			b.WriteString(first)
			fallthrough
		default:
			b.WriteString(cd.Data)
		}
	}
	if n > 1 {
		return b.String()
	}
	return first
}

// parseBool reads xsd:boolean in any case.
func parseBool(s string) (v, ok bool) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "1", "true":
		return true, true
	case "0", "false":
		return false, true
	}
	return false, false
}
