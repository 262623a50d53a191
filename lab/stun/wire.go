// STUN as this server reads and writes it, byte by byte, and after no
// library's ideas: it is here to check what a client sends.

package stun

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
)

const (
	magic           = 0x2112A442
	bindingRequest  = 0x0001
	bindingResponse = 0x0101
	bindingError    = 0x0111

	mappedAddress    = 0x0001
	responseAddress  = 0x0002
	changeRequest    = 0x0003
	sourceAddress    = 0x0004
	changedAddress   = 0x0005
	username         = 0x0006
	messageIntegrity = 0x0008
	errorCode        = 0x0009
	unknownAttrs     = 0x000A
	reflectedFrom    = 0x000B
	realm            = 0x0014
	nonce            = 0x0015
	xorMapped        = 0x0020
	software         = 0x8022
	responseOrigin   = 0x802B
	otherAddress     = 0x802C
	connReqBinding   = 0xC001
	bindingChange    = 0xC002
)

// crb is what CONNECTION-REQUEST-BINDING must say, blank included.
const crb = "dslforum.org/TR-111 "

// Integrity is how a MESSAGE-INTEGRITY was computed.
type Integrity int

const (
	None    Integrity = iota
	RFC3489           // final length, padded to 64
	Variant           // length without the attribute, padded to 64
	RFC5389           // final length, not padded
	Wrong             // there is one, and it is none of these
)

// attr is one attribute of a message.
type attr struct {
	kind  uint16
	at    int // where it begins
	value []byte
}

// Request is a Binding Request as it arrived.
type Request struct {
	From       netip.AddrPort
	ID         [16]byte
	Classic    bool           // no cookie: RFC 3489
	Binding    bool           // CONNECTION-REQUEST-BINDING, as it must be
	Change     bool           // BINDING-CHANGE
	Username   string         // without what it was padded with
	Padding    string         // that
	Response   netip.AddrPort // RESPONSE-ADDRESS
	Integrity  Integrity
	Size       int
	Violations []string // what TR-069 or the RFC forbids

	attrs []attr
}

// parse reads a request. What is not one at all is not ok.
func parse(pkt []byte, from netip.AddrPort, password string) (r Request, ok bool) {
	if len(pkt) < 20 || binary.BigEndian.Uint16(pkt) != bindingRequest {
		return r, false
	}
	r = Request{From: from, ID: [16]byte(pkt[4:20]), Size: len(pkt)}
	r.Classic = binary.BigEndian.Uint32(pkt[4:]) != magic
	if int(binary.BigEndian.Uint16(pkt[2:])) != len(pkt)-20 {
		r.fault("length in the header is %d, the message has %d", binary.BigEndian.Uint16(pkt[2:]), len(pkt)-20)
	}
	for at := 20; at < len(pkt); {
		if len(pkt)-at < 4 {
			r.fault("%d bytes after the last attribute", len(pkt)-at)
			break
		}
		n := int(binary.BigEndian.Uint16(pkt[at+2:]))
		if n > len(pkt)-at-4 {
			r.fault("attribute %#04x is longer than the message", binary.BigEndian.Uint16(pkt[at:]))
			break
		}
		r.attrs = append(r.attrs, attr{binary.BigEndian.Uint16(pkt[at:]), at, pkt[at+4 : at+4+n]})
		if n%4 != 0 && r.Classic {
			r.fault("attribute %#04x has %d bytes, not a multiple of 4 (RFC 3489)", binary.BigEndian.Uint16(pkt[at:]), n)
		}
		at += 4 + n
		if !r.Classic {
			at += -n & 3
		}
	}
	r.read(pkt, password)
	return r, true
}

func (r *Request) fault(format string, args ...any) {
	r.Violations = append(r.Violations, fmt.Sprintf(format, args...))
}

// read makes sense of the attributes.
func (r *Request) read(pkt []byte, password string) {
	for i, a := range r.attrs {
		switch a.kind {
		case connReqBinding:
			r.Binding = string(a.value) == crb
			if !r.Binding {
				r.fault("CONNECTION-REQUEST-BINDING says %q", a.value)
			}
		case bindingChange:
			r.Change = true
			if len(a.value) != 0 {
				r.fault("BINDING-CHANGE with %d bytes", len(a.value))
			}
		case username:
			r.Username = strings.TrimRight(string(a.value), " \x00")
			r.Padding = string(a.value)[len(r.Username):]
		case responseAddress:
			if len(a.value) == 8 && a.value[1] == 1 {
				r.Response = netip.AddrPortFrom(netip.AddrFrom4([4]byte(a.value[4:])), binary.BigEndian.Uint16(a.value[2:]))
			}
		case messageIntegrity:
			r.Integrity = whichIntegrity(pkt[:a.at], a.value, password)
			if i != len(r.attrs)-1 {
				r.fault("MESSAGE-INTEGRITY is not last")
			}
		}
	}
	if r.Integrity != None && r.Username == "" {
		r.fault("MESSAGE-INTEGRITY without USERNAME")
	}
	if r.Change && !r.Binding {
		r.fault("BINDING-CHANGE without CONNECTION-REQUEST-BINDING")
	}
	if r.Response.IsValid() && r.Binding {
		r.fault("CONNECTION-REQUEST-BINDING in a probe of the binding's lifetime")
	}
}

func (r *Request) has(kind uint16) bool {
	for _, a := range r.attrs {
		if a.kind == kind {
			return true
		}
	}
	return false
}

func whichIntegrity(before, value []byte, password string) Integrity {
	for _, how := range []Integrity{RFC3489, Variant, RFC5389} {
		if hmac.Equal(sign(how, before, password), value) {
			return how
		}
	}
	return Wrong
}

// sign is the HMAC over a message that ends before its MESSAGE-INTEGRITY.
func sign(how Integrity, before []byte, password string) []byte {
	text := append([]byte(nil), before...)
	length := len(text) - 20 + 24
	if how == Variant {
		length -= 24
	}
	binary.BigEndian.PutUint16(text[2:], uint16(length))
	if how != RFC5389 {
		for len(text)%64 != 0 {
			text = append(text, 0)
		}
	}
	mac := hmac.New(sha1.New, []byte(password))
	mac.Write(text)
	return mac.Sum(nil)
}

// message builds an answer; a bare one pads no attribute.
type message struct {
	b    []byte
	bare bool
}

func newMessage(kind uint16, id [16]byte) *message {
	m := &message{b: make([]byte, 4, 128)}
	binary.BigEndian.PutUint16(m.b, kind)
	m.b = append(m.b, id[:]...)
	return m
}

// add adds an attribute, padded with zero bytes outside its length.
func (m *message) add(kind uint16, value []byte) {
	m.b = binary.BigEndian.AppendUint16(m.b, kind)
	m.b = binary.BigEndian.AppendUint16(m.b, uint16(len(value)))
	m.b = append(m.b, value...)
	for !m.bare && len(m.b)%4 != 0 {
		m.b = append(m.b, 0)
	}
	binary.BigEndian.PutUint16(m.b[2:], uint16(len(m.b)-20))
}

// addAddress adds an address, XORed with mask.
func (m *message) addAddress(kind uint16, a netip.AddrPort, mask uint32) {
	ip := a.Addr().As4()
	v := make([]byte, 8)
	v[1] = 1
	binary.BigEndian.PutUint16(v[2:], a.Port()^uint16(mask>>16))
	binary.BigEndian.PutUint32(v[4:], binary.BigEndian.Uint32(ip[:])^mask)
	m.add(kind, v)
}
