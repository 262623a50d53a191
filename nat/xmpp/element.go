package xmpp

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// This file reads an XML stream (RFC 6120 4) as bounded elements: what a server
// sends may be endless, but no piece of it may cost us more than these.
const (
	maxStanza   = 64 << 10 // bytes of one child of the stream, markup included
	maxDepth    = 16       // elements within each other, the child of the stream being 1
	maxElements = 512      // in one stanza
	maxAttrs    = 32       // of one element
)

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

// Ends of a stream that are no error of the transport.
var (
	errClosed   = errors.New("the server has closed the stream")
	errTooLarge = fmt.Errorf("a stanza over %d bytes", maxStanza)
	errTooDeep  = fmt.Errorf("a stanza over %d elements deep", maxDepth)
	errTooMany  = fmt.Errorf("a stanza over %d elements, or an element over %d attributes", maxElements, maxAttrs)
	errForbid   = errors.New("comments, processing instructions and document types are not allowed in a stream")
	errText     = errors.New("text between stanzas")
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

// reader takes bytes from fill one by one, so that the decoder never reads
// beyond what it needs, and counts them against the limit of a stanza. Blanks
// between stanzas (white space keep-alive, RFC 6120 4.6.1) end here: the decoder
// would collect them for as long as a connection is idle.
type reader struct {
	fill    func(p []byte) (int, error)
	blank   func() // called for blanks between stanzas; may be nil
	buf     [1024]byte
	at, end int
	left    int // bytes until the stanza is too large
	between bool
	err     error // what ended the reading; the decoder wraps some of them
}

// ReadByte implements [io.ByteReader]: the decoder then keeps no buffer of its own.
func (r *reader) ReadByte() (byte, error) {
	for {
		if r.at == r.end {
			n, err := r.fill(r.buf[:])
			if n == 0 {
				if err == nil {
					err = io.ErrNoProgress
				}
				r.err = err
				return 0, err
			}
			r.at, r.end = 0, n
		}
		b := r.buf[r.at]
		r.at++
		if r.between && (b == ' ' || b == '\n' || b == '\r' || b == '\t') {
			if r.blank != nil {
				r.blank()
			}
			continue
		}
		if r.between && b != '<' {
			r.err = errText
			return 0, r.err
		}
		r.between = false
		if r.left--; r.left < 0 {
			r.err = errTooLarge
			return 0, r.err
		}
		return b, nil
	}
}

// Read implements [io.Reader], which the decoder asks for but does not call.
func (r *reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	b, err := r.ReadByte()
	if err != nil {
		return 0, err
	}
	p[0] = b
	return 1, nil
}

// stream reads the elements of one stream. After TLS and after SASL there is a
// new stream, with a new decoder over the same reader.
type stream struct {
	in  *reader
	dec *xml.Decoder
}

func newStream(in *reader) *stream {
	return &stream{in: in, dec: xml.NewDecoder(in)}
}

// header reads up to the opening tag of the stream and returns it.
func (s *stream) header() (*element, error) {
	s.in.left, s.in.between = maxStanza, true
	for first := true; ; first = false {
		t, err := s.token()
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.ProcInst:
			if !first || t.Target != "xml" {
				return nil, errForbid
			}
		case xml.CharData:
			if strings.TrimSpace(string(t)) != "" {
				return nil, errText
			}
		case xml.StartElement:
			return open(t)
		default:
			return nil, errForbid
		}
	}
}

// next returns the next child of the stream, or errClosed at its end tag.
func (s *stream) next() (*element, error) {
	s.in.left, s.in.between = maxStanza, true
	t, err := s.token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case xml.StartElement:
		return s.tree(t)
	case xml.EndElement:
		return nil, errClosed
	case xml.CharData:
		return nil, errText
	}
	return nil, errForbid
}

// tree reads the rest of an element whose start tag is t.
func (s *stream) tree(t xml.StartElement) (*element, error) {
	top, err := open(t)
	if err != nil {
		return nil, err
	}
	var above [maxDepth]*element
	above[0] = top
	for depth, n := 1, 1; depth > 0; {
		t, err := s.token()
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			if depth == maxDepth {
				return nil, errTooDeep
			}
			if n++; n > maxElements {
				return nil, errTooMany
			}
			e, err := open(t)
			if err != nil {
				return nil, err
			}
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

// token returns the decoder's next token; of errors, the one that says most.
func (s *stream) token() (xml.Token, error) {
	t, err := s.dec.Token()
	if err == nil {
		return t, nil
	}
	if s.in.err != nil {
		return nil, s.in.err
	}
	return nil, fmt.Errorf("not a well-formed stream: %w", err)
}

func open(t xml.StartElement) (*element, error) {
	if len(t.Attr) > maxAttrs {
		return nil, errTooMany
	}
	return &element{Name: t.Name, attrs: t.Attr}, nil
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
