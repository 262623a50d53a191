package acs

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Namespaces of the envelopes (TR-069 3.5). All of 1.2 to 1.4 share cwmp-1-2.
const (
	nsEnvelope = "http://schemas.xmlsoap.org/soap/envelope/"
	nsEncoding = "http://schemas.xmlsoap.org/soap/encoding/"
	nsXSD      = "http://www.w3.org/2001/XMLSchema"
	nsXSI      = "http://www.w3.org/2001/XMLSchema-instance"
	nsCWMP     = "urn:dslforum-org:cwmp-1-"
)

const maxDepth = 32 // levels of elements that an envelope may have

// Node is one element of a received envelope, with namespaces resolved.
type Node struct {
	Space, Local string // namespace URI and local name
	Attr         []xml.Attr
	Text         string // character data directly inside, exactly as it was meant
	Children     []*Node
	scope        *scope
}

// scope is one element's namespace declarations, and those around it.
type scope struct {
	outer *scope
	bound map[string]string // prefix → URI
}

func (s *scope) lookup(prefix string) (string, bool) {
	for ; s != nil; s = s.outer {
		if uri, ok := s.bound[prefix]; ok {
			return uri, true
		}
	}
	return "", prefix == ""
}

// parseXML reads one document, strictly: one root, closed elements, declared
// prefixes, no attribute twice, no document type.
func parseXML(data []byte) (*Node, error) {
	d := xml.NewDecoder(bytes.NewReader(data))
	p := parser{d: d}
	for {
		tok, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = p.token(tok)
		}
		if err != nil {
			return nil, fmt.Errorf("byte %d: %w", d.InputOffset(), err)
		}
	}
	switch {
	case p.root == nil:
		return nil, errors.New("no element at all")
	case len(p.open) > 0:
		return nil, fmt.Errorf("element %s is not closed", p.open[len(p.open)-1].node.Local)
	}
	return p.root, nil
}

type parser struct {
	d    *xml.Decoder
	root *Node
	open []*element
}

// element is an open element: its raw name must come back in the end tag.
type element struct {
	node *Node
	raw  xml.Name
	text strings.Builder
}

func (p *parser) token(tok xml.Token) error {
	switch t := tok.(type) {
	case xml.StartElement:
		return p.start(t)
	case xml.EndElement:
		if len(p.open) == 0 {
			return fmt.Errorf("end tag %s without a start", rawName(t.Name))
		}
		top := p.open[len(p.open)-1]
		if top.raw != t.Name {
			return fmt.Errorf("end tag %s closes %s", rawName(t.Name), rawName(top.raw))
		}
		top.node.Text = top.text.String()
		p.open = p.open[:len(p.open)-1]
	case xml.CharData:
		if len(p.open) > 0 {
			p.open[len(p.open)-1].text.Write(t)
		} else if len(bytes.TrimSpace(t)) > 0 {
			return errors.New("text outside the document element")
		}
	case xml.Directive:
		return errors.New("a document type or directive is not allowed in SOAP")
	}
	return nil
}

func (p *parser) start(t xml.StartElement) error {
	if len(p.open) == 0 && p.root != nil {
		return errors.New("a second document element")
	}
	if len(p.open) == maxDepth {
		return fmt.Errorf("more than %d levels", maxDepth)
	}
	n := &Node{Local: t.Name.Local}
	var parent *Node
	if len(p.open) > 0 {
		parent = p.open[len(p.open)-1].node
		n.scope = parent.scope
	}
	if err := n.resolve(t); err != nil {
		return err
	}
	if parent == nil {
		p.root = n
	} else {
		parent.Children = append(parent.Children, n)
	}
	p.open = append(p.open, &element{node: n, raw: t.Name})
	return nil
}

// resolve binds the element's own namespace declarations and then its names.
func (n *Node) resolve(t xml.StartElement) error {
	bound := map[string]string{}
	for _, a := range t.Attr {
		switch {
		case a.Name.Space == "xmlns":
			bound[a.Name.Local] = a.Value
		case a.Name.Space == "" && a.Name.Local == "xmlns":
			bound[""] = a.Value
		}
	}
	if len(bound) > 0 {
		n.scope = &scope{outer: n.scope, bound: bound}
	}
	var ok bool
	if n.Space, ok = n.scope.lookup(t.Name.Space); !ok {
		return fmt.Errorf("prefix of %s is not declared", rawName(t.Name))
	}
	seen := map[xml.Name]bool{}
	for _, a := range t.Attr {
		if a.Name.Space == "xmlns" || a.Name.Local == "xmlns" {
			continue
		}
		name := xml.Name{Local: a.Name.Local}
		if a.Name.Space != "" {
			if name.Space, ok = n.scope.lookup(a.Name.Space); !ok && a.Name.Space != "xml" {
				return fmt.Errorf("prefix of attribute %s is not declared", rawName(a.Name))
			}
		}
		if seen[name] {
			return fmt.Errorf("attribute %s twice", rawName(a.Name))
		}
		seen[name] = true
		n.Attr = append(n.Attr, xml.Attr{Name: name, Value: a.Value})
	}
	return nil
}

func rawName(n xml.Name) string {
	if n.Space == "" {
		return n.Local
	}
	return n.Space + ":" + n.Local
}

// Child is the first child called local, whatever its namespace, or nil. It
// may be called on nil, so that paths can be chained.
func (n *Node) Child(local string) *Node {
	if n == nil {
		return nil
	}
	for _, c := range n.Children {
		if c.Local == local {
			return c
		}
	}
	return nil
}

// String is the text of the element, or "" for nil.
func (n *Node) String() string {
	if n == nil {
		return ""
	}
	return n.Text
}

// attr is the value of an attribute.
func (n *Node) attr(space, local string) (string, bool) {
	for _, a := range n.Attr {
		if a.Name.Space == space && a.Name.Local == local {
			return a.Value, true
		}
	}
	return "", false
}

// qname resolves a qualified name in an attribute value, such as the one of
// xsi:type, by the namespaces in force at n.
func (n *Node) qname(value string) (space, local string, ok bool) {
	prefix, local, found := strings.Cut(strings.TrimSpace(value), ":")
	if !found {
		prefix, local = "", prefix
	}
	space, ok = n.scope.lookup(prefix)
	return space, local, ok
}
