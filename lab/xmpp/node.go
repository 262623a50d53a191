package xmpp

import (
	"encoding/xml"
	"maps"
	"slices"
	"strings"
)

// A Node is an element of a stanza as the client wrote it.
type Node struct {
	Space, Name string
	Attr        map[string]string
	Text        string
	Children    []*Node
}

func (n *Node) is(name string) bool { return n.Name == name }

// Child returns the first child of a name, or nil.
func (n *Node) Child(name string) *Node {
	for _, c := range n.Children {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// String writes the node as XML. Each element says its namespace.
func (n *Node) String() string {
	var b strings.Builder
	b.WriteString("<" + n.Name)
	if n.Space != "" && n.Space != "jabber:client" {
		b.WriteString(` xmlns="` + Escape(n.Space) + `"`)
	}
	for _, k := range slices.Sorted(maps.Keys(n.Attr)) {
		b.WriteString(" " + k + `="` + Escape(n.Attr[k]) + `"`)
	}
	b.WriteString(">" + Escape(n.Text))
	for _, c := range n.Children {
		b.WriteString(c.String())
	}
	b.WriteString("</" + n.Name + ">")
	return b.String()
}

// Escape makes text of s that can stand in XML.
func Escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder does not fail
	return b.String()
}

// next reads one child of the stream.
func (x *Session) next() (*Node, error) {
	for {
		t, err := x.dec.Token()
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			return x.rest(t)
		case xml.EndElement:
			_ = x.Write("</stream:stream>") // the client may be gone
			return nil, errEnd
		}
	}
}

func (x *Session) rest(t xml.StartElement) (*Node, error) {
	n := &Node{Space: t.Name.Space, Name: t.Name.Local, Attr: make(map[string]string)}
	for _, a := range t.Attr {
		if a.Name.Local != "xmlns" {
			n.Attr[a.Name.Local] = a.Value
		}
	}
	for {
		t, err := x.dec.Token()
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			c, err := x.rest(t)
			if err != nil {
				return nil, err
			}
			n.Children = append(n.Children, c)
		case xml.CharData:
			n.Text += string(t)
		case xml.EndElement:
			return n, nil
		}
	}
}
