// STUN messages: what we ask, and what we make of an answer. pion/stun is the
// codec; it knows RFC 5389 only, so that classic messages (RFC 3489) have the
// cookie patched into a copy, and integrity is computed over the raw bytes.

package nat

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/pion/stun/v2"
)

const (
	headerLen    = 20
	cookie       = 0x2112A442
	bindResponse = 0x0101
	bindError    = 0x0111
)

// Attributes that pion/stun does not know.
const (
	attrResponseAddress = stun.AttrType(0x0002) // RFC 3489 11.2.2
	// attrConnReqBinding says that this address is where UDP connection
	// requests go; attrBindingChange that it is a new one (Annex G.2.1).
	attrConnReqBinding = stun.AttrType(0xC001)
	attrBindingChange  = stun.AttrType(0xC002)
)

// connReqBinding is the value of CONNECTION-REQUEST-BINDING: 20 bytes, the
// last one a space. Servers compare all of them.
const connReqBinding = "dslforum.org/TR-111 "

// transactionID is the 16 bytes after type and length: in RFC 5389 the first
// four are the cookie.
type transactionID [16]byte

// newID draws an id. A classic one never looks like one with the cookie.
func newID(withCookie bool) transactionID {
	var id transactionID
	for {
		// Never fails (crypto/rand).
		_, _ = rand.Read(id[:])
		if withCookie {
			binary.BigEndian.PutUint32(id[:], cookie)
			return id
		}
		if binary.BigEndian.Uint32(id[:]) != cookie {
			return id
		}
	}
}

func (id transactionID) cookie() bool { return binary.BigEndian.Uint32(id[:]) == cookie }

// ask is what a Binding Request carries.
type ask struct {
	id            transactionID
	binding       bool           // CONNECTION-REQUEST-BINDING
	change        bool           // BINDING-CHANGE
	changeRequest bool           // a CHANGE-REQUEST that asks for no change: freeacs drops what has neither this nor a binding
	response      netip.AddrPort // RESPONSE-ADDRESS, when valid
	username      string         // "": none
	zeroPad       bool           // pad a classic USERNAME with zero bytes, not with spaces
	sign          flavour
	key           Secret
}

// encode is the message. A classic one has only attributes whose length is a
// multiple of 4: stund drops all others, freeacs loses its place in them.
func (a ask) encode() []byte {
	m := stun.New()
	m.SetType(stun.BindingRequest)
	if a.response.IsValid() {
		ip := a.response.Addr().As4()
		value := append([]byte{0, 1, byte(a.response.Port() >> 8), byte(a.response.Port())}, ip[:]...)
		m.Add(attrResponseAddress, value)
	}
	if a.changeRequest {
		m.Add(stun.AttrChangeRequest, make([]byte, 4))
	}
	if a.binding {
		m.Add(attrConnReqBinding, []byte(connReqBinding))
	}
	if a.change {
		m.Add(attrBindingChange, nil)
	}
	if a.username != "" {
		name := []byte(a.username)
		for !a.id.cookie() && len(name)%4 != 0 {
			if a.zeroPad {
				name = append(name, 0)
			} else {
				name = append(name, ' ')
			}
		}
		m.Add(stun.AttrUsername, name)
	}
	m.WriteHeader()
	copy(m.Raw[4:], a.id[:])
	if a.sign == unsigned {
		return m.Raw
	}
	mac := a.sign.integrity(a.key, m.Raw)
	m.Add(stun.AttrMessageIntegrity, mac[:]) // writes the length, leaves the id
	return m.Raw
}

// answer is what a response says.
type answer struct {
	code     int    // of an error; 0: success
	reason   string // of an error, at most 64 bytes
	longTerm bool   // it names a realm: credentials that Annex G does not know
	mapped   netip.AddrPort
	signed   bool // it has a MESSAGE-INTEGRITY
	verified bool // and that is right
}

// Errors of decode.
var (
	errNotAnswer = errors.New("not a Binding Response")
	errNoMapping = errors.New("no usable mapped address")
	errLengths   = errors.New("lengths do not add up")
	errNotError  = errors.New("not a code of an error")
)

// idOf returns the id of a datagram that may be STUN.
func idOf(pkt []byte) (id transactionID, ok bool) {
	if len(pkt) < headerLen || pkt[0]&0xc0 != 0 {
		return id, false
	}
	return transactionID(pkt[4:headerLen]), true
}

// decode reads the answer to a request with that id. What it returns shares no
// memory with the datagram.
func decode(pkt []byte, id transactionID, key Secret) (answer, error) {
	if got, ok := idOf(pkt); !ok || got != id {
		return answer{}, errNotAnswer
	}
	size := headerLen + int(binary.BigEndian.Uint16(pkt[2:]))
	if size > len(pkt) {
		return answer{}, errLengths
	}
	pkt = pkt[:size]
	kind := binary.BigEndian.Uint16(pkt)
	if kind != bindResponse && kind != bindError {
		return answer{}, errNotAnswer
	}
	m := new(stun.Message)
	padded := !unpadded(pkt)
	raw := pkt
	if !padded {
		raw = repad(pkt)
	}
	m.Raw = append(m.Raw, raw...)
	binary.BigEndian.PutUint32(m.Raw[4:], cookie)
	if err := m.Decode(); err != nil {
		return answer{}, fmt.Errorf("%w: %w", errLengths, err)
	}
	var a answer
	if at, value := findIntegrity(pkt, padded); at >= 0 {
		a.signed = true
		a.verified = verified(key, pkt[:at], value)
	}
	if kind == bindError {
		return a.failure(m)
	}
	var err error
	a.mapped, err = mapped(m, id.cookie())
	return a, err
}

// failure reads what an error response says.
func (a answer) failure(m *stun.Message) (answer, error) {
	var code stun.ErrorCodeAttribute
	if err := code.GetFrom(m); err != nil {
		return a, fmt.Errorf("error without its code: %w", err)
	}
	if code.Code < 300 {
		return a, fmt.Errorf("error %d: %w", code.Code, errNotError)
	}
	a.code = int(code.Code)
	a.reason = string(code.Reason[:min(len(code.Reason), 64)])
	a.longTerm = m.Contains(stun.AttrRealm)
	return a, nil
}

// mapped is our address as the server saw it. XOR-MAPPED-ADDRESS counts before
// MAPPED-ADDRESS, which some NATs rewrite; but to a classic request stund
// sends one that is XORed with the id, and garbage to everybody.
func mapped(m *stun.Message, withCookie bool) (netip.AddrPort, error) {
	if v, err := m.Get(stun.AttrXORMappedAddress); withCookie && err == nil { // 0x0020, and 0x8020 of old servers
		if addr, ok := address(v, cookie); ok {
			return addr, nil
		}
	}
	if v, err := m.Get(stun.AttrMappedAddress); err == nil {
		if addr, ok := address(v, 0); ok {
			return addr, nil
		}
	}
	return netip.AddrPort{}, errNoMapping
}

// address reads an IPv4 address and port, XORed with a mask.
func address(v []byte, mask uint32) (netip.AddrPort, bool) {
	if len(v) != 8 || v[1] != 1 {
		return netip.AddrPort{}, false
	}
	port := binary.BigEndian.Uint16(v[2:]) ^ uint16(mask>>16)
	var ip [4]byte
	binary.BigEndian.PutUint32(ip[:], binary.BigEndian.Uint32(v[4:])^mask)
	return netip.AddrPortFrom(netip.AddrFrom4(ip), port), true
}

// attributes walks the attributes of a message; they are padded to multiples
// of 4 or not. It stops when yield does and tells whether the lengths add up.
func attributes(pkt []byte, padded bool, yield func(at int, kind uint16, value []byte) bool) bool {
	at := headerLen
	for at < len(pkt) {
		if len(pkt)-at < 4 {
			return false
		}
		n := int(binary.BigEndian.Uint16(pkt[at+2:]))
		if n > len(pkt)-at-4 {
			return false
		}
		if !yield(at, binary.BigEndian.Uint16(pkt[at:]), pkt[at+4:at+4+n]) {
			return true
		}
		at += 4 + n
		if padded {
			at += -n & 3
		}
	}
	return at == len(pkt)
}

// unpadded tells whether a message makes sense without padding only: RFC 3489
// has none, and jstun writes none.
func unpadded(pkt []byte) bool {
	all := func(int, uint16, []byte) bool { return true }
	return !attributes(pkt, true, all) && attributes(pkt, false, all)
}

// repad writes an unpadded message as RFC 5389 wants it.
func repad(pkt []byte) []byte {
	out := append([]byte(nil), pkt[:headerLen]...)
	attributes(pkt, false, func(_ int, kind uint16, value []byte) bool {
		out = binary.BigEndian.AppendUint16(out, kind)
		out = binary.BigEndian.AppendUint16(out, uint16(len(value)))
		out = append(out, value...)
		for len(out)%4 != 0 {
			out = append(out, 0)
		}
		return true
	})
	binary.BigEndian.PutUint16(out[2:], uint16(min(len(out)-headerLen, 0xffff)))
	return out
}

// findIntegrity returns where the first MESSAGE-INTEGRITY begins, -1 when there
// is none, and its value.
func findIntegrity(pkt []byte, padded bool) (at int, value []byte) {
	at = -1
	attributes(pkt, padded, func(here int, kind uint16, v []byte) bool {
		if kind == uint16(stun.AttrMessageIntegrity) {
			at, value = here, v
		}
		return at < 0
	})
	return at, value
}

// believable tells whether an address may be ours. A server that maps us to
// loopback, multicast or nowhere would make the ACS knock there.
func believable(mapped, local netip.AddrPort) bool {
	a := mapped.Addr()
	switch {
	case !a.Is4() || mapped.Port() == 0:
		return false
	case mapped == local:
		return true
	case a.IsLoopback(): // a bench on one machine
		return local.Addr().IsLoopback()
	case a.IsLinkLocalUnicast():
		return local.Addr().IsLinkLocalUnicast()
	}
	first := a.As4()[0]
	return first != 0 && first < 224 // "this" network; multicast, reserved, broadcast
}
