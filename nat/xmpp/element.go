package xmpp

import (
	"encoding/xml"
	"fmt"
	"strings"
)

// This file makes elements of an XML stream (RFC 6120 4).

// Names of the elements of a stream.
const (
	nsStream  = "http://etherx.jabber.org/streams"
	nsClient  = "jabber:client"
	nsTLS     = "urn:ietf:params:xml:ns:xmpp-tls"
	nsSASL    = "urn:ietf:params:xml:ns:xmpp-sasl"
	nsBind    = "urn:ietf:params:xml:ns:xmpp-bind"
	nsSession = "urn:ietf:params:xml:ns:xmpp-session"
	nsStreams = "urn:ietf:params:xml:ns:xmpp-streams"
	nsStanzas = "urn:ietf:params:xml:ns:xmpp-stanzas"
	nsBinding = "urn:xmpp:sasl-cb:0"
	nsPing    = "urn:xmpp:ping"
	nsConnReq = "urn:broadband-forum-org:cwmp:xmppConnReq-1-0"
)

// An element is one element of a stanza. Its text is what stands directly in it.
type element struct {
	xml.Name
	attrs    []xml.Attr
	text     string
	children []*element
}

func (e *element) is(space, local string) bool {
	return e != nil && e.Space == space && e.Local == local
}

// child returns the first child of that name, or nil; of nil as well.
func (e *element) child(space, local string) *element {
	if e == nil {
		return nil
	}
	for _, c := range e.children {
		if c.is(space, local) {
			return c
		}
	}
	return nil
}

// attr returns an attribute without a prefix.
func (e *element) attr(local string) string {
	for _, a := range e.attrs {
		if a.Name.Space == "" && a.Name.Local == local {
			return a.Value
		}
	}
	return ""
}

// stream reads the elements of one stream. After TLS and after SASL there is a
// new one over the same reader.
type stream struct {
	in  *reader
	dec *xml.Decoder
}

func newStream(in *reader) *stream {
	return &stream{in: in, dec: xml.NewDecoder(in)}
}

// header reads up to the opening tag of the stream and returns it.
func (s *stream) header() (*element, error) {
	if err := s.in.frame(true); err != nil {
		return nil, err
	}
	for {
		t, err := s.token()
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			return &element{Name: t.Name, attrs: t.Attr}, nil
		case xml.ProcInst:
			if t.Target != "xml" {
				return nil, errForbid
			}
		}
	}
}

// next returns the next child of the stream, or errClosed at its end tag. After
// an error of which skipped is true, the one after it can be read.
func (s *stream) next() (*element, error) {
	if err := s.in.frame(false); err != nil {
		return nil, err
	}
	t, err := s.token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case xml.StartElement:
		return s.tree(t)
	case xml.EndElement:
		return nil, errClosed
	}
	return nil, errForbid
}

// tree reads the rest of an element whose start tag is t.
func (s *stream) tree(t xml.StartElement) (*element, error) {
	top := &element{Name: t.Name, attrs: t.Attr}
	var above [maxDepth]*element
	above[0] = top
	for depth := 1; depth > 0; {
		t, err := s.token()
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			if depth == maxDepth {
				return nil, errForbid // the reader has counted otherwise
			}
			e := &element{Name: t.Name, attrs: t.Attr}
			above[depth-1].children = append(above[depth-1].children, e)
			above[depth] = e
			depth++
		case xml.EndElement:
			depth--
		case xml.CharData:
			above[depth-1].text += string(t)
		default:
			return nil, errForbid
		}
	}
	return top, nil
}

// token returns the decoder's next token.
func (s *stream) token() (xml.Token, error) {
	t, err := s.dec.Token()
	if err != nil {
		return nil, fmt.Errorf("not a well-formed stream: %w", err)
	}
	return t, nil
}

// escape returns s as it stands in text and in attributes.
func escape(s string) string {
	if !strings.ContainsAny(s, "<>&'\"\r\n\t") && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0xFFFD }) {
		return s
	}
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder does not fail
	return b.String()
}
