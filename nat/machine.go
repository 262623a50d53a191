// The machine: what to do when, without clock, input or output. Its owner
// tells it what happened and when, calls Due, and carries out what it finds in
// todo.

package nat

import (
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"time"

	"gatehouse/internal/endpoint"
)

// Times of the machine.
const (
	noMaximum    = 10 * time.Minute // between questions when the maximum is -1, or there is no NAT
	unmeasured   = 30 * time.Second // between questions while the mapping's lifetime is not known: most NATs hold that long
	quickest     = time.Second      // between questions, whatever the settings say
	firstPause   = 30 * time.Second // after all servers have failed; doubles
	tellEvery    = 30 * time.Second // between two OnAddress
	minTTL       = time.Minute      // of the server's address, whatever DNS says
	resolveAgain = time.Minute      // after a look-up that failed
	maxServers   = 8                // addresses of one name that are tried
	maxManners   = 32               // servers remembered
	defaultPort  = 3478
)

// A place is one of our sockets.
type place uint8

const (
	primary place = iota // the one that connection requests come to: P
	scratch              // whose mapping is left to expire: P'
	prober               // that asks for an answer to P': S
)

// A datagram on its way.
type datagram struct {
	at   place          // our socket
	peer netip.AddrPort // the other end
	pkt  []byte
}

// todo is what the owner has to carry out, in this order, and then to forget.
type todo struct {
	forged  bool // the guard should hear of a bad signature from peer
	admit   bool // a request from peer is to pass the guard
	peer    netip.AddrPort
	send    []datagram
	resolve string // host to look up; "": none
	close   bool   // the pair of scratch sockets
	open    bool   // that pair, anew
	tell    bool   // the address is to be told
	save    bool   // the mark
}

// resolution is the end of a look-up.
type resolution struct {
	host  string
	addrs endpoint.Addrs
	err   error
}

// A machine does Annex G.
type machine struct {
	rand func(n int64) int64
	log  *slog.Logger

	set    Settings
	local  netip.AddrPort // of P; not valid: no socket
	todo   todo
	status Status

	// Requests.
	verifier   verifier
	mark       mark
	counts     counts
	forgedTold time.Time

	// Servers.
	host      string       // whose addresses these are, or are looked up
	servers   []netip.Addr // IPv4
	current   int
	expires   time.Time // zero: never
	resolving bool
	manners   map[netip.AddrPort]*manners

	// The binding of P.
	question   *question
	next       time.Time // next question; zero: none is planned
	lastAsked  time.Time // when P last asked without BINDING-CHANGE
	failed     int       // servers that failed in a row
	pause      time.Duration
	guess      time.Duration  // between questions while nothing is measured
	via        netip.AddrPort // server that said what mapped is
	oweChange  bool           // the server has not heard BINDING-CHANGE yet
	told       [2]string      // what OnAddress was given
	toldAt     time.Time
	everTold   bool
	lifetime   lifetime
	warnedAway string // last failure that was logged as a warning
}

func newMachine(rand func(int64) int64, log *slog.Logger) *machine {
	m := &machine{rand: rand, log: log, manners: make(map[netip.AddrPort]*manners)}
	m.mark.log = log
	m.status.State = Off
	return m
}

// configure takes the settings of now.
func (m *machine) configure(s Settings, now time.Time) {
	old := m.set
	m.set = s
	m.verifier.set(s.ConnectionRequestUsername, s.ConnectionRequestPassword)
	m.mark.password(s.ConnectionRequestPassword)
	if old == s {
		return
	}
	if s.STUNUsername != old.STUNUsername || s.STUNPassword != old.STUNPassword {
		clear(m.manners)
	}
	switch {
	case s.STUNEnable != old.STUNEnable, s.Listen != old.Listen, m.serverHost() != m.host, s.STUNServerPort != old.STUNServerPort,
		s.STUNUsername != old.STUNUsername, s.STUNPassword != old.STUNPassword:
		m.start(now)
	case s.STUNMaximumKeepAlivePeriod != old.STUNMaximumKeepAlivePeriod, s.STUNMinimumKeepAlivePeriod != old.STUNMinimumKeepAlivePeriod:
		m.guess = 0
		m.lifetime.forget(m)
		if m.question == nil && !m.next.IsZero() && m.failed == 0 {
			m.next = m.earliest(m.lastAsked.Add(m.interval()), now)
		}
	}
}

// bind says where P is now; not valid: nowhere.
func (m *machine) bind(local netip.AddrPort, now time.Time) {
	m.local = local
	m.status.Local = local
	m.start(now)
}

// wanted tells whether there is to be a socket.
func (m *machine) wanted() bool { return m.set.STUNEnable || m.set.Listen }

// serverHost is the host to ask (TR-181: that of the ACS when none is named);
// "" while STUN is off.
func (m *machine) serverHost() string {
	switch {
	case !m.set.STUNEnable:
		return ""
	case m.set.STUNServerAddress != "":
		return m.set.STUNServerAddress
	}
	return m.set.ACSHost
}

// start begins anew: another server, other credentials or another local
// address. A question goes out at once.
func (m *machine) start(now time.Time) {
	if host := m.serverHost(); host != m.host {
		m.host, m.servers, m.current, m.expires = host, nil, 0, time.Time{}
	}
	m.question, m.next, m.failed, m.pause, m.guess, m.oweChange = nil, time.Time{}, 0, 0, 0, false
	m.via, m.status.Mapped, m.status.Err = netip.AddrPort{}, netip.AddrPort{}, ""
	m.lifetime.forget(m)
	switch {
	case !m.wanted():
		m.status.State, m.status.Server = Off, netip.AddrPort{}
		m.address(false, "")
	case !m.local.IsValid():
		m.status.State = NoAddress // the address that was told stays: there may be it again in a moment
	case m.host == "" || !m.local.Addr().Is4(): // no STUN over IPv6: nat.md 10
		m.status.State, m.status.Server = Listening, netip.AddrPort{}
		m.address(false, hostPort(m.local))
	default:
		m.status.State = Binding
		if len(m.servers) == 0 {
			m.status.State = Resolving
		}
		if m.status.UDPConnectionRequestAddress == "" {
			m.address(false, hostPort(m.local)) // until somebody knows better
		}
		m.next = now
	}
}

// hostPort is the form of UDPConnectionRequestAddress: without the port when
// that is 80.
func hostPort(a netip.AddrPort) string {
	host := a.Addr().WithZone("").String()
	if a.Port() != 80 {
		return net.JoinHostPort(host, strconv.Itoa(int(a.Port())))
	}
	if a.Addr().Is6() {
		return "[" + host + "]"
	}
	return host
}

// address sets the two parameters.
func (m *machine) address(natDetected bool, addr string) {
	m.status.NATDetected, m.status.UDPConnectionRequestAddress = natDetected, addr
}

// untold tells whether OnAddress would say something new.
func (m *machine) untold() bool {
	now := [2]string{strconv.FormatBool(m.status.NATDetected), m.status.UDPConnectionRequestAddress}
	return now != m.told && (m.everTold || m.status.UDPConnectionRequestAddress != "")
}

// tell plans an OnAddress, at most one every 30 s; it returns when there is one
// to come.
func (m *machine) tell(now time.Time) (due time.Time) {
	early := m.status.State == Binding || m.status.State == Resolving
	if !m.untold() || early && !m.everTold { // the first word should be a good one
		return time.Time{}
	}
	if at := m.toldAt.Add(tellEvery); m.everTold && now.Before(at) {
		return at
	}
	m.told = [2]string{strconv.FormatBool(m.status.NATDetected), m.status.UDPConnectionRequestAddress}
	m.toldAt, m.everTold, m.todo.tell = now, true, true
	return time.Time{}
}

// Due does what is due and returns when to call again; zero: not before
// something happens.
func (m *machine) Due(now time.Time) time.Time {
	m.dueBinding(now)
	var next deadline
	next.add(m.lifetime.due(m, now))
	switch {
	case m.question != nil:
		next.add(m.question.next)
	case !m.resolving:
		next.add(m.next)
	}
	next.add(m.tell(now))
	if at := m.mark.due(); !at.IsZero() && !now.Before(at) {
		m.todo.save = true
	} else {
		next.add(at)
	}
	return next.at
}

// A deadline is the earliest of several.
type deadline struct{ at time.Time }

func (d *deadline) add(at time.Time) {
	if !at.IsZero() && (d.at.IsZero() || at.Before(d.at)) {
		d.at = at
	}
}

// Receive takes a datagram that came to one of our sockets. It tells whether
// there may be something to do; after a forged one there is not.
func (m *machine) Receive(at place, pkt []byte, from netip.AddrPort, now time.Time) (busy bool) {
	from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	switch {
	case len(pkt) >= headerLen && pkt[0] <= 1:
		return m.receiveSTUN(at, pkt, from, now)
	case at == primary && len(pkt) > 0 && pkt[0] == 'G':
		return m.receiveRequest(pkt, from, now)
	}
	m.counts.refuse(&m.counts.malformed, now)
	return false
}

// receiveSTUN drops whatever is not the answer of the asked server to what was
// asked, before a byte of it is looked at.
func (m *machine) receiveSTUN(at place, pkt []byte, from netip.AddrPort, now time.Time) bool {
	id, _ := idOf(pkt)
	if q := m.question; at == primary && q != nil && from == q.server && id == q.what.id {
		m.answered(pkt, now)
		return true
	}
	if at != primary && m.lifetime.receive(m, at, pkt, id, from, now) {
		return true
	}
	if from != m.status.Server { // another answer to what was sent twice
		m.counts.refuse(&m.counts.malformed, now)
	}
	return false
}

// receiveRequest takes a UDP connection request. Only one that is well signed
// moves anything.
func (m *machine) receiveRequest(pkt []byte, from netip.AddrPort, now time.Time) bool {
	r, ok := parseRequest(pkt)
	if !ok {
		m.counts.refuse(&m.counts.malformed, now)
		return false
	}
	ours, signed := m.verifier.verify(r)
	if !signed {
		m.counts.refuse(&m.counts.forged, now)
		// The guard needs not hear of each, nor of those for others: GenieACS
		// tries all the credentials that it has.
		if !ours || now.Sub(m.forgedTold) < time.Second {
			return false
		}
		m.forgedTold, m.todo.forged, m.todo.peer = now, true, from
		return true
	}
	switch m.mark.judge(r.seconds(), &m.verifier.sig, now) {
	case copied:
		m.counts.copies.Add(1)
		return false
	case stale:
		m.counts.refuse(&m.counts.stale, now)
		m.log.Debug("old UDP connection request", "from", from)
		return false
	}
	m.todo.admit, m.todo.peer = true, from
	return true
}

// admitted takes what the guard said to a request.
func (m *machine) admitted(from netip.AddrPort, err error, now time.Time) {
	if err != nil {
		m.counts.refuse(&m.counts.limited, now)
		return
	}
	m.counts.accepted.Add(1)
	m.counts.last.Store(now.UnixNano())
	m.counts.lastFrom.Store(&from)
}
