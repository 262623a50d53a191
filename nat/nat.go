// Package nat is Annex G of TR-069: it keeps one UDP port open through a NAT
// with STUN, tells the address that the port has outside, and takes the UDP
// connection requests that arrive there.
//
// Its one idea: the logic never owns the socket. A machine without clock or
// input and output is given datagrams, answers and the time, and leaves behind
// what is to be sent; one small driver owns the sockets and sleeps until the
// machine's next deadline. The logic is so tested in virtual time against
// every NAT and server there is.
//
// Annex G is written for classic STUN (RFC 3489), and the servers of the field
// disagree with it, with RFC 5389 and with each other; comments name them.
package nat

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/endpoint"
)

// Transport is the name under which UDP connection requests pass the guard.
const Transport = "udp"

// A Secret prints as stars.
type Secret string

func (Secret) String() string { return "***" }

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return "***" }

// Settings are the parameters of Device.ManagementServer that matter here, as
// they are at one moment.
type Settings struct {
	STUNEnable                 bool
	STUNServerAddress          string // host or address; "": ACSHost
	STUNServerPort             uint16 // 0: 3478
	STUNUsername               string // "": never any message integrity
	STUNPassword               Secret
	STUNMaximumKeepAlivePeriod int32  // seconds; -1 (and 0): no maximum
	STUNMinimumKeepAlivePeriod uint32 // seconds

	ConnectionRequestUsername string
	ConnectionRequestPassword Secret // "": no UDP connection request is taken

	ACSHost string // host of ManagementServer.URL
	Port    uint16 // where we listen; taken by somebody else, or 0: any
	Listen  bool   // take UDP connection requests also while STUN is off
}

// A Conn is the part of *net.UDPConn that is used.
type Conn interface {
	ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error)
	WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error)
	SetReadDeadline(t time.Time) error
	LocalAddr() net.Addr
	Close() error
}

// A Guard admits connection requests (internal/guard).
type Guard interface {
	Admit(transport, source string) (accepted func(), err error)
	Failed(transport, source string) time.Duration
}

// A Resolver finds the addresses of the STUN server (internal/endpoint).
type Resolver interface {
	Lookup(ctx context.Context, host string) (endpoint.Addrs, error)
}

// A Backing is one small state file. Load returns fs.ErrNotExist when there is
// none.
type Backing interface {
	Load() ([]byte, error)
	Save(body []byte) error
}

// Config is what a Client needs from outside. Settings, Local, Resolver and
// Guard must not be nil.
type Config struct {
	// Settings is asked at the start and after every Poke.
	Settings func() Settings
	// Local is our address on the way to the ACS, not valid while there is
	// none. It is asked when Settings is.
	Local func() netip.Addr
	// Listen opens a UDP socket at a literal address, network "udp4" or "udp6";
	// nil: the system's.
	Listen   func(ctx context.Context, network, address string) (Conn, error)
	Resolver Resolver
	Guard    Guard
	// State keeps the newest time stamp of a connection request; nil: a reboot
	// opens the door to old requests again.
	State Backing
	// OnAddress is called when NATDetected or UDPConnectionRequestAddress have
	// new values, at most every 30 s. It must not wait.
	OnAddress func(natDetected bool, udpAddress string)
	// Rand is uniform in [0, n), for jitter; nil: math/rand.
	Rand func(n int64) int64
	Log  *slog.Logger // nil: silent
}

// A Client is Annex G's side of the CPE. One goroutine, that of Run, owns all
// of it; the other methods may be called by anybody.
type Client struct {
	cfg Config
	log *slog.Logger
	m   *machine

	conn     atomic.Pointer[Conn] // so that Poke can cut a read short
	wake     chan struct{}        // cap 1
	look     atomic.Bool          // settings or addresses may be others
	good     atomic.Bool          // a session with the ACS went well
	resolved chan resolution      // cap 1: one look-up at a time
	scratch  chan datagram        // from the sockets of the lifetime search
	status   atomic.Pointer[Status]
	workers  sync.WaitGroup // look-ups, scratch readers

	// Of Run alone.
	told        bool   // the machine has heard where P is, or that it is not
	asked, port uint16 // of P: what the settings wanted, what it has or had
	reopenAt    time.Time
	reopenPause time.Duration
	pair        [2]Conn // scratch sockets: P', S
	looking     bool
}

// New returns a client that has done nothing yet.
func New(cfg Config) (*Client, error) {
	if cfg.Settings == nil || cfg.Local == nil || cfg.Resolver == nil || cfg.Guard == nil {
		return nil, errors.New("nat: Settings, Local, Resolver and Guard are needed")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Int64N
	}
	if cfg.Listen == nil {
		cfg.Listen = listen
	}
	c := &Client{
		cfg: cfg, log: cfg.Log,
		wake:     make(chan struct{}, 1),
		resolved: make(chan resolution, 1),
		scratch:  make(chan datagram, 16),
	}
	c.m = newMachine(cfg.Rand, cfg.Log)
	c.m.mark.load(cfg.State, cfg.Log)
	c.status.Store(&Status{State: Off})
	return c, nil
}

// listen is the system's network.
func listen(ctx context.Context, network, address string) (Conn, error) {
	pc, err := new(net.ListenConfig).ListenPacket(ctx, network, address)
	if err != nil {
		return nil, err
	}
	u, ok := pc.(*net.UDPConn)
	if !ok {
		pc.Close()
		return nil, errors.New("not a UDP socket")
	}
	return u, nil
}

// Poke says that settings, addresses or the way to the ACS may be others now:
// a hint, costs next to nothing when nothing is.
func (c *Client) Poke() {
	c.look.Store(true)
	c.rouse()
}

// SessionSucceeded says that a session with the ACS went well: what the ACS
// thinks of the time may be believed again (nat.md 8).
func (c *Client) SessionSucceeded() {
	c.good.Store(true)
	c.rouse()
}

// rouse wakes the owner, or makes its next sleep end at once.
func (c *Client) rouse() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
	if conn := c.conn.Load(); conn != nil {
		_ = (*conn).SetReadDeadline(time.Unix(1, 0)) // fails only when closed: then nobody sleeps there
	}
}

// Status is how it stands now.
func (c *Client) Status() Status {
	s := *c.status.Load()
	s.Requests = c.m.counts.snapshot()
	return s
}
