package nat

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"gatehouse/internal/endpoint"
)

// reply is an answer to what the machine asked last from a socket: a success
// that maps to an address, or an error.
func reply(sent map[place]datagram, at place, code byte, mapped netip.AddrPort) (datagram, bool) {
	d, ok := sent[at]
	if !ok {
		return d, false
	}
	pkt := append([]byte{1, 1, 0, 12}, d.pkt[4:20]...)
	if code != 0 {
		pkt[1], pkt[3] = 0x11, 8
		return datagram{at, d.peer, append(pkt, 0, 9, 0, 4, 0, 0, 3+code/100, code%100)}, true
	}
	ip := mapped.Addr().As4()
	pkt = append(pkt, 0, 1, 0, 8, 0, 1, byte(mapped.Port()>>8), byte(mapped.Port()))
	return datagram{at, d.peer, append(pkt, ip[:]...)}, true
}

// play gives the machine one event made of two bytes.
func play(m *machine, sent map[place]datagram, op, arg byte, now time.Time) {
	mapped := netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, arg & 3}), 1000+uint16(arg>>2))
	switch op % 12 {
	case 0, 1, 2:
		if d, ok := reply(sent, place(op%3), 0, mapped); ok {
			m.Receive(d.at, d.pkt, d.peer, now)
		}
	case 3:
		if d, ok := reply(sent, place(arg%3), 1+arg%160, mapped); ok {
			m.Receive(d.at, d.pkt, d.peer, now)
		}
	case 4: // from S's question to P', as RESPONSE-ADDRESS wants it
		if d, ok := reply(sent, prober, 0, mapped); ok {
			m.Receive(scratch, d.pkt, d.peer, now)
		}
	case 5:
		s := m.set
		s.STUNEnable, s.Listen = arg&1 == 0, arg&2 == 0
		s.STUNMinimumKeepAlivePeriod, s.STUNMaximumKeepAlivePeriod = uint32(arg>>2), int32(arg>>4)*20-1
		m.configure(s, now)
	case 6:
		s := m.set
		s.STUNUsername, s.STUNPassword = []string{"", "cpe1", "cpe12"}[arg%3], "x"
		s.STUNServerAddress = []string{"a", "b"}[arg>>7]
		m.configure(s, now)
	case 7:
		m.bind([]netip.AddrPort{{}, mapped, netip.AddrPortFrom(home, 1), netip.MustParseAddrPort("[2001:db8::1]:1")}[arg%4], now)
	case 8:
		m.lifetime.opened(m, []error{nil, errTest}[arg&1], now)
	case 9:
		addrs := endpoint.Addrs{Addrs: []netip.Addr{first.Addr(), second.Addr(), third.Addr()}[:arg%4], TTL: time.Duration(arg) * time.Second, Expires: now}
		var err error
		if arg&0x80 != 0 {
			err = errors.New("so it is")
		}
		m.looked(resolution{m.host, addrs, err}, now)
	case 10:
		m.mark.sessionSucceeded(now)
	}
}

// Whatever happens in whatever order: the machine never wants to be called at
// once again, never sends without end, and is never without a plan while STUN
// is on.
func FuzzMachine(f *testing.F) {
	f.Add([]byte{7, 2, 9, 1, 0, 4, 11, 30, 0, 4, 8, 0, 1, 8, 4, 8})
	f.Add([]byte{7, 2, 9, 3, 11, 200, 11, 200, 3, 1, 6, 1, 3, 98, 3, 128, 5, 1})
	f.Fuzz(func(t *testing.T, script []byte) {
		m := newMachine(func(n int64) int64 { return n / 2 }, noLog())
		now := time.Unix(1700000000, 0)
		m.configure(Settings{STUNEnable: true, STUNServerAddress: "a", STUNMaximumKeepAlivePeriod: -1}, now)
		sent := map[place]datagram{}
		for i := 0; i+1 < len(script); i += 2 {
			play(m, sent, script[i], script[i+1], now)
			if script[i]%12 == 11 {
				now = now.Add(time.Duration(script[i+1]) * time.Second)
			}
			next := m.Due(now)
			if !next.IsZero() && !next.After(now) {
				t.Fatalf("step %d: due %v ago: %+v", i, now.Sub(next), m.status)
			}
			if n := len(m.todo.send); n > 3*maxServers {
				t.Fatalf("step %d: %d datagrams at once", i, n)
			}
			for _, d := range m.todo.send {
				sent[d.at] = d
			}
			if m.active() && !m.resolving && next.IsZero() {
				t.Fatalf("step %d: nothing is planned: %+v", i, m.status)
			}
			m.todo = todo{}
		}
	})
}
