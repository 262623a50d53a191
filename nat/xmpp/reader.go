package xmpp

import (
	"errors"
	"fmt"
	"io"
)

// This file cuts a stream into stanzas before anybody parses them. What a
// server passes on from others may be of any size, and a stanza that is too
// large must not end the connection: whoever can write to us could keep us away
// from our ACS. So it is read to its end, kept nowhere, and the next one is good.
const (
	maxStanza   = 64 << 10 // bytes of one child of the stream, markup included
	maxSkipped  = 4 << 20  // bytes of one that we read to its end
	maxDepth    = 16       // elements within each other, the child of the stream being 1
	maxElements = 512      // in one stanza
	maxAttrs    = 32       // of one element
)

// Reasons to pass over a stanza.
var (
	errTooLarge = fmt.Errorf("a stanza over %d bytes", maxStanza)
	errTooDeep  = fmt.Errorf("a stanza over %d elements deep", maxDepth)
	errTooMany  = fmt.Errorf("a stanza over %d elements, or an element over %d attributes", maxElements, maxAttrs)
)

// Ends of a stream that are no error of the transport.
var (
	errClosed  = errors.New("the server has closed the stream")
	errEndless = fmt.Errorf("a stanza over %d bytes", maxSkipped)
	errForbid  = errors.New("comments, processing instructions and document types are not allowed in a stream")
	errText    = errors.New("text between stanzas")
)

// skipped reports whether an error is of a stanza that was passed over.
func skipped(err error) bool {
	return errors.Is(err, errTooLarge) || errors.Is(err, errTooDeep) || errors.Is(err, errTooMany)
}

// reader gives the decoder one stanza at a time. Blanks between stanzas (white
// space keep-alive, RFC 6120 4.6.1) end here: the decoder would collect them for
// as long as a connection is idle.
type reader struct {
	fill    func(p []byte) (int, error)
	blank   func() // called for blanks between stanzas; may be nil
	buf     [1024]byte
	at, end int

	stanza []byte // what the decoder reads
	pos    int
}

// ReadByte implements [io.ByteReader]: the decoder then keeps no buffer of its own.
func (r *reader) ReadByte() (byte, error) {
	if r.pos == len(r.stanza) {
		return 0, io.ErrUnexpectedEOF // it takes for open what we take for closed
	}
	r.pos++
	return r.stanza[r.pos-1], nil
}

// Read implements [io.Reader], which the decoder asks for but does not call.
func (r *reader) Read(p []byte) (int, error) {
	n := copy(p, r.stanza[r.pos:])
	r.pos += n
	if n == 0 && len(p) > 0 {
		return 0, io.ErrUnexpectedEOF
	}
	return n, nil
}

// pending reports whether bytes have come that nobody has read.
func (r *reader) pending() bool { return r.at != r.end }

// frame reads one stanza whole, or the head of a stream up to its opening tag.
// A stanza over a limit is read too, and forgotten; the error says which limit.
func (r *reader) frame(head bool) error {
	if r.pos < len(r.stanza) {
		return errForbid // the decoder takes for closed what we took for open
	}
	if cap(r.stanza) > 4<<10 {
		r.stanza = nil // a large one was here: it is not kept for the next
	}
	r.stanza, r.pos = r.stanza[:0], 0
	x := lexer{head: head}
	for n := 0; ; n++ {
		b, err := r.next()
		if err != nil {
			return err
		}
		if n == 0 && (b == ' ' || b == '\n' || b == '\r' || b == '\t') {
			if r.blank != nil {
				r.blank()
			}
			n = -1
			continue
		}
		done, err := x.next(b)
		switch {
		case err != nil:
			return err
		case n >= maxSkipped:
			return errEndless
		case n >= maxStanza && x.over == nil:
			x.over = errTooLarge
		}
		if x.over == nil {
			r.stanza = append(r.stanza, b)
		}
		if done {
			if x.over != nil {
				r.stanza = nil
			}
			return x.over
		}
	}
}

// next returns the next byte of the connection.
func (r *reader) next() (byte, error) {
	if r.at == r.end {
		n, err := r.fill(r.buf[:])
		if n == 0 {
			if err == nil {
				err = io.ErrNoProgress
			}
			return 0, err
		}
		r.at, r.end = 0, n
	}
	r.at++
	return r.buf[r.at-1], nil
}

// lexer follows the markup of a stanza byte by byte, no closer than it takes to
// know where it ends. Whether it is well-formed is the decoder's business.
type lexer struct {
	head bool // up to the first opening tag

	state    lexState
	quote    byte // within a value of an attribute
	last     byte // before this one, in a tag
	matched  int  // bytes of "<![CDATA[", or of "]]>"
	depth    int
	elements int
	attrs    int   // of this element
	over     error // the limit that was passed
}

type lexState uint8

const (
	inText lexState = iota
	inMark          // after "<"
	inTag
	inEnd         // in an end tag
	inInstruction // in <?xml …?> of the head
	inOpening     // in "<![CDATA["
	inCDATA
)

// next takes a byte; done means that it was the last one.
func (x *lexer) next(b byte) (done bool, err error) {
	switch x.state {
	case inText:
		switch {
		case b == '<':
			x.state = inMark
		case x.depth == 0 && !(x.head && (b == ' ' || b == '\n' || b == '\r' || b == '\t')):
			return false, errText
		}
	case inMark:
		return false, x.mark(b)
	case inTag:
		return x.tag(b), nil
	case inEnd:
		if b == '>' {
			x.depth--
			x.state = inText
			return x.depth <= 0, nil
		}
	case inInstruction:
		if b == '>' && x.last == '?' {
			x.state = inText
		}
		x.last = b
	default:
		return false, x.cdata(b)
	}
	return false, nil
}

// mark tells what begins with "<".
func (x *lexer) mark(b byte) error {
	switch {
	case b == '/':
		x.state = inEnd
	case b == '?' && x.head && x.last == 0:
		x.state = inInstruction
	case b == '!' && x.depth > 0:
		x.state, x.matched = inOpening, 2
	case b == '!', b == '?':
		return errForbid
	default:
		x.state, x.last, x.attrs = inTag, b, 0
		if x.elements++; x.elements > maxElements {
			x.over = errTooMany
		}
	}
	return nil
}

// tag follows a start tag to its ">".
func (x *lexer) tag(b byte) (done bool) {
	switch {
	case x.quote != 0:
		if b == x.quote {
			x.quote = 0
		}
	case b == '"', b == '\'':
		x.quote = b
		if x.attrs++; x.attrs > maxAttrs {
			x.over = errTooMany
		}
	case b == '>':
		x.state = inText
		if x.head {
			return true
		}
		if x.last == '/' {
			return x.depth == 0
		}
		if x.depth++; x.depth > maxDepth {
			x.over = errTooDeep
		}
	}
	x.last = b
	return false
}

// cdata follows "<![CDATA[" and what is in it to "]]>". Anything else that
// begins with "<!" is forbidden.
func (x *lexer) cdata(b byte) error {
	const opening = "<![CDATA["
	if x.state == inOpening {
		if b != opening[x.matched] {
			return errForbid
		}
		if x.matched++; x.matched == len(opening) {
			x.state, x.matched = inCDATA, 0
		}
		return nil
	}
	switch {
	case b == ']':
		x.matched = min(x.matched+1, 2)
	case b == '>' && x.matched == 2:
		x.state = inText
	default:
		x.matched = 0
	}
	return nil
}
