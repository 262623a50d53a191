// Package stun is a STUN server for the bench: classic (RFC 3489) and modern
// (RFC 5389) ones, the challenge of TR-069 Annex G, and the quirks of those
// that are out there, as knobs. It shares no code with the agent.
package stun

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
)

// Knobs are how a server behaves. The zero value answers every Binding Request
// as RFC 5389 with RFC 3489's fallback says.
type Knobs struct {
	ModernOnly     bool // drops ids without the cookie
	ClassicOnly    bool // drops what RFC 3489 has not: odd lengths; never heard of the cookie
	HonourResponse bool // answers to RESPONSE-ADDRESS
	RefuseResponse bool // answers it with 420
	Silent         bool // answers nothing
	NeedBinding    bool // freeacs: drops what has neither CONNECTION-REQUEST-BINDING nor CHANGE-REQUEST
	ReadLimit      int  // drops longer requests; 0: no limit
	Unpadded       bool // jstun: writes attributes without padding, with one of odd length
	OnlyXOR        bool // no MAPPED-ADDRESS
	OldXOR         bool // XOR-MAPPED-ADDRESS as 0x8020
	GarbageXOR     bool // stund: XORs with the id's first bytes
	EchoUsername   bool // stund: and 20 bytes of text as MESSAGE-INTEGRITY

	Username, Password string
	Challenge          bool        // 401 to what is not signed
	ChallengeChange    bool        // 401 only to BINDING-CHANGE
	LongTerm           bool        // coturn: 401 with REALM, 400 to short-term credentials; only with the cookie
	Accept             []Integrity // flavours that are right; nil: all
	Unsigned           bool        // does not sign its answers to signed requests
	ErrorCode          int         // answers everything with this
	RefuseName         bool        // 420 to USERNAME without MESSAGE-INTEGRITY

	Mapped func(netip.AddrPort) netip.AddrPort // what it says it has seen; nil: the truth
	Other  netip.AddrPort                      // CHANGED-ADDRESS, OTHER-ADDRESS
}

// Coturn is coturn 4.6 without authentication, as measured.
func Coturn() Knobs { return Knobs{} }

// Stund is Vovida's stund 0.97, as measured.
func Stund() Knobs {
	return Knobs{ClassicOnly: true, HonourResponse: true, GarbageXOR: true, EchoUsername: true}
}

// Freeacs is the server of freeacs, from its source.
func Freeacs() Knobs {
	return Knobs{ClassicOnly: true, NeedBinding: true, ReadLimit: 199}
}

// maxSeen bounds what is remembered of requests.
const maxSeen = 4096

// A Server answers Binding Requests on one socket. It may be used by several
// goroutines.
type Server struct {
	mu    sync.Mutex
	knobs Knobs
	seen  []Request
	conn  net.PacketConn
	at    netip.AddrPort
}

// New returns a server.
func New(k Knobs) *Server { return &Server{knobs: k} }

// Turn changes the knobs.
func (s *Server) Turn(f func(*Knobs)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.knobs)
}

// Seen returns the requests so far, also those that were not answered.
func (s *Server) Seen() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// Forget forgets them.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = nil
}

// Binding is where UDP connection requests for a user go, as the server has
// learned it from the requests that carry CONNECTION-REQUEST-BINDING (Annex
// G.2.1.3); not valid: not known.
func (s *Server) Binding(user string) netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range slices.Backward(s.seen) {
		if r.Binding && r.Username == user {
			return r.From
		}
	}
	return netip.AddrPort{}
}

// Send sends a datagram from the server's own address and port, as a UDP
// connection request must be to pass a NAT (TR-069 G.2.2).
func (s *Server) Send(to netip.AddrPort, pkt []byte) error {
	s.mu.Lock()
	conn := s.conn
	s.mu.Unlock()
	if conn == nil {
		return net.ErrClosed
	}
	_, err := conn.WriteTo(pkt, net.UDPAddrFromAddrPort(to))
	return err
}

// Serve answers on conn until ctx ends, and closes it.
func (s *Server) Serve(ctx context.Context, conn net.PacketConn) error {
	at, err := netip.ParseAddrPort(conn.LocalAddr().String())
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	s.mu.Lock()
	s.conn, s.at = conn, at
	s.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()
	buf := make([]byte, 4096)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		peer, err := netip.ParseAddrPort(from.String())
		if err != nil {
			continue
		}
		peer = netip.AddrPortFrom(peer.Addr().Unmap(), peer.Port())
		if answer, to := s.take(append([]byte(nil), buf[:n]...), peer); answer != nil {
			_, _ = conn.WriteTo(answer, net.UDPAddrFromAddrPort(to)) // lost ones are asked for again
		}
	}
}

// take notes a request and makes the answer; nil: none.
func (s *Server) take(pkt []byte, from netip.AddrPort) (answer []byte, to netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := &s.knobs
	r, ok := parse(pkt, from, k.Password)
	if !ok {
		return nil, to
	}
	if len(s.seen) < maxSeen {
		s.seen = append(s.seen, r)
	}
	if k.drops(&r) {
		return nil, to
	}
	if code, reason := k.refusal(&r); code != 0 {
		m := newMessage(bindingError, r.ID)
		m.add(errorCode, append([]byte{0, 0, byte(code / 100), byte(code % 100)}, reason...))
		if code == 420 {
			m.add(unknownAttrs, binary.BigEndian.AppendUint16(nil, username))
		}
		if k.LongTerm {
			m.add(realm, []byte("example"))
			m.add(nonce, []byte("f0f0f0f0"))
		}
		return m.b, from
	}
	to = from
	if k.HonourResponse && r.Response.IsValid() {
		to = r.Response
	}
	return k.success(&r, s.at), to
}

// drops tells whether a server like this says nothing to that.
func (k *Knobs) drops(r *Request) bool {
	if k.Silent || k.ModernOnly && r.Classic || k.ReadLimit > 0 && r.Size > k.ReadLimit {
		return true
	}
	if k.NeedBinding && !r.Binding && !r.has(changeRequest) {
		return true
	}
	for _, a := range r.attrs {
		if k.ClassicOnly && (len(a.value)%4 != 0 || a.kind < 0x8000 && a.kind > reflectedFrom) {
			return true
		}
	}
	return false
}

// refusal is the error that a request gets; 0: none.
func (k *Knobs) refusal(r *Request) (code int, reason string) {
	switch {
	case k.ErrorCode != 0:
		return k.ErrorCode, "so it is"
	case k.RefuseResponse && r.Response.IsValid():
		return 420, "Unknown Attribute"
	case k.RefuseName && r.Username != "" && r.Integrity == None:
		return 420, "Unknown Attribute"
	case k.LongTerm && !r.Classic && r.Integrity != None:
		return 400, "Bad Request"
	case k.LongTerm && !r.Classic:
		return 401, "Unauthorized"
	case !k.Challenge && !(k.ChallengeChange && r.Change):
		return 0, ""
	case r.Integrity == None:
		return 401, "Unauthorized"
	case r.Username == "":
		return 432, "Missing Username"
	case r.Username != k.Username:
		return 436, "Unknown Username"
	case r.Integrity == Wrong, k.Accept != nil && !slices.Contains(k.Accept, r.Integrity):
		return 431, "Integrity Check Failure"
	}
	return 0, ""
}

// success is the Binding Response.
func (k *Knobs) success(r *Request, at netip.AddrPort) []byte {
	mapped := r.From
	if k.Mapped != nil {
		mapped = k.Mapped(mapped)
	}
	m := newMessage(bindingResponse, r.ID)
	if k.Unpadded {
		m.bare = true
		m.add(software, []byte("jstun"))
	}
	if !k.OnlyXOR {
		m.addAddress(mappedAddress, mapped, 0)
	}
	kind := uint16(xorMapped)
	if k.OldXOR {
		kind = 0x8020
	}
	switch {
	case k.GarbageXOR:
		m.addAddress(kind, mapped, binary.BigEndian.Uint32(r.ID[:]))
	case !r.Classic && !k.Unpadded:
		m.addAddress(kind, mapped, magic)
	}
	other := k.Other
	if !other.IsValid() {
		other = at
	}
	source, changed := uint16(sourceAddress), uint16(changedAddress)
	if !r.Classic {
		source, changed = responseOrigin, otherAddress
	}
	if !k.Unpadded && at.Addr().Is4() {
		m.addAddress(source, at, 0)
		m.addAddress(changed, other, 0)
		if r.Response.IsValid() {
			m.addAddress(reflectedFrom, r.From, 0)
		}
		m.add(software, []byte("Gatehouse bench "))
	}
	if k.EchoUsername && r.Username != "" {
		m.add(username, []byte(r.Username+r.Padding))
		m.add(messageIntegrity, []byte("hmac-not-implemented"))
	}
	if r.Integrity != None && r.Integrity != Wrong && !k.Unsigned && !k.EchoUsername {
		m.add(messageIntegrity, sign(r.Integrity, m.b, k.Password))
	}
	return m.b
}
