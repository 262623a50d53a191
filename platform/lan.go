// Services of the local network that are configured in tables: addresses by
// DHCP, port mappings, static routes, logical interfaces, name servers, time
// servers, users.

package platform

import (
	"context"
	"iter"
	"net/netip"
	"time"
)

// DHCP serves addresses.
type DHCP struct {
	Server  Table[DHCPServer] // one fixed row
	Pools   Table[DHCPPool]
	Hosts   Table[DHCPHost]
	Options Table[DHCPOption]
	Leases  Leases
	Applied Applied // of Pools; nil: what is configured is taken for what is
}

// Applied reads by which rows of its tables a service works now: the keys of
// those that were on when it last took its configuration up.
type Applied interface {
	Applied(ctx context.Context) iter.Seq2[string, error]
}

// DHCPServer is the server as a whole.
type DHCPServer struct{ Enabled bool }

// A DHCPPool is a range of addresses on one interface. Ranges may overlap: the
// first pool that fits a client counts. One that is on and lacks its interface,
// Min or Max serves nobody.
type DHCPPool struct {
	Enabled   bool
	Order     uint32 // 1 first; 0 not known: then the order of the table counts, after those that are known
	Interface string // key of an IP interface
	Min, Max  netip.Addr
	Reserved  []netip.Addr
	Mask      netip.Addr // invalid: that of the interface
	DNS       []netip.Addr
	Domain    string
	Routers   []netip.Addr
	LeaseTime time.Duration // negative: for ever
}

// A DHCPHost is an address kept for one client. Pool is the key of its pool, ""
// where the platform does not keep it: then Addr tells. One that is on and lacks
// its MAC or Addr does nothing; a platform that cannot keep it so refuses it.
type DHCPHost struct {
	Enabled bool
	Pool    string
	MAC     string
	Addr    netip.Addr
	Name    string
}

// A DHCPOption is sent to the clients of a pool.
type DHCPOption struct {
	Enabled bool
	Pool    string
	Tag     uint8
	Value   []byte
}

// Leases reads who has been given an address.
type Leases interface {
	Leases(ctx context.Context) iter.Seq2[Lease, error]
}

// A Lease is an address given to a client. Name is what the client calls
// itself: anything.
type Lease struct {
	MAC      string
	Addr     netip.Addr
	Name     string
	ClientID string    // hexadecimal, "01:00:00:5e:00:53:20"; "" not known
	Ends     time.Time // zero: never
}

// NAT translates addresses.
type NAT struct {
	Interfaces Table[NATInterface]
	Mappings   Table[PortMapping]
	Applied    Applied // of both; nil: what is configured is taken for what is
	Own        OwnPort // nil: nobody has to know
}

// OwnPort is told at which TCP port of the device the ACS asks for sessions, 0
// when at none: a mapping that is not for one RemoteHost leaves it alone, whether
// it was there before or comes later.
type OwnPort interface {
	OwnPort(ctx context.Context, tcp uint16) error
}

// A NATInterface has its outgoing traffic translated.
type NATInterface struct {
	Enabled   bool
	Interface string // key of an IP interface
}

// A PortMapping leads what comes in from outside to a host inside. Of several
// that fit a packet the one of the highest [PortMapping.Rank] counts. One that is
// on and lacks its interface, InternalClient or (unless ExternalPort is 0)
// InternalPort does nothing; a platform that cannot keep it so refuses it. The
// agent deletes those whose time is over: the platform only keeps Lease and
// Expires, the one to the second.
type PortMapping struct {
	Enabled          bool
	Interface        string // key of an IP interface; "" with AllInterfaces
	AllInterfaces    bool
	Expires          time.Time     // wall clock; zero: never, or not yet known because the clock is not set
	Lease            time.Duration // as it was asked for; 0: for ever
	RemoteHost       netip.Prefix  // invalid: anybody
	ExternalPort     uint16        // 0: all
	ExternalPortLast uint16        // 0: only ExternalPort
	InternalPort     uint16        // ignored with ExternalPort 0: each port to itself
	Protocol         string        // TCP UDP
	InternalClient   string        // address, or a name that the router knows
	Description      string
}

// Rank is 3 for a mapping that counts over all others and 0 for one over which
// all others count (TR-181 NAT.PortMapping.{i}.RemoteHost): who says from where
// first, then who says to which port.
func (m PortMapping) Rank() int {
	rank := 0
	if m.RemoteHost.IsValid() && m.RemoteHost.Bits() > 0 {
		rank += 2
	}
	if m.ExternalPort != 0 {
		rank++
	}
	return rank
}

// An Interface is a logical IP interface, where the platform has them ("lan",
// "wan"). Its key is its name.
type Interface struct {
	Enabled  bool
	Proto    string // static dhcp dhcpv6 pppoe none, or what the system calls it
	Device   string // name of the link below
	IPv4     bool
	IPv6     bool
	MTU      uint32 // 0: that of the link
	Addrs    []InterfaceAddr
	Gateway  netip.Addr
	DNS      []netip.Addr // read: they are written as [Platform.Forwards], but for a new row
	PeerDNS  bool
	ULA      bool
	Zone     string // firewall zone, "" none
	Loopback bool
}

// An InterfaceAddr is one static address of an interface. Its key lasts as
// long as the address is configured, through changes of its Prefix; whoever
// adds one makes the key up. One that is not complete yet is not enabled, and
// has an invalid Prefix; its Addr() may be known already.
type InterfaceAddr struct {
	Key     string
	Enabled bool
	Prefix  netip.Prefix
}

// GlobalConfig is what all logical interfaces have in common. One fixed row.
type GlobalConfig struct {
	ULA netip.Prefix // the one that they have their shares of (RFC 4193); invalid: none
}

// Interfaces is the platform's logical interfaces and how they are doing. Nil
// tables and readings: links are the interfaces.
type Interfaces struct {
	Table   Table[Interface]
	State   InterfaceStates
	Restart InterfaceRestart // nil: cannot
	Renew   Renewer          // nil: cannot
}

// InterfaceRestart tears the connection of a logical interface down, and has
// it set up anew.
type InterfaceRestart interface {
	RestartInterface(ctx context.Context, key string) error
}

// A Renewer has the DHCP client of a logical interface renew its lease.
type Renewer interface {
	Renew(ctx context.Context, key string) error
}

// InterfaceStates reads how logical interfaces are doing.
type InterfaceStates interface {
	InterfaceStates(ctx context.Context) iter.Seq2[InterfaceState, error]
}

// InterfaceState is how a logical interface is doing.
type InterfaceState struct {
	Key       string
	Up        bool
	Pending   bool
	Device    string // the link that carries its addresses: "pppoe-wan"
	Since     time.Time
	Addrs     []Address // with Dynamic set by what its protocol gave
	DNS       []netip.Addr
	Domain    string
	Routers   []netip.Addr
	Server    netip.Addr // of DHCP
	LeaseEnds time.Time
	Error     string // what the protocol said last, "" nothing
}

// A StaticRoute is a configured route.
type StaticRoute struct {
	Enabled   bool
	Dest      netip.Prefix
	Gateway   netip.Addr
	Interface string // key of an IP interface, "" as the gateway says
	Metric    int32
}

// TimeConfig is how the device keeps the time. One fixed row.
type TimeConfig struct {
	Enabled bool
	Zone    string // POSIX TZ
	Name    string // IANA name, "" not known
	Servers []string
	Serves  bool // it is a time server, too
}

// HostConfig is what the device calls itself. One fixed row.
type HostConfig struct{ Name string }

// DNSConfig is the device's own resolver and its relay. One fixed row each.
type DNSConfig struct {
	ClientEnabled bool
	RelayEnabled  bool
}

// A DNSForward is one configured name server: of the relay, or of the client.
type DNSForward struct {
	Enabled   bool
	Server    netip.Addr
	Interface string // key of an IP interface, "" any
	Relay     bool   // false: of the client
}

// A User may log in to the device.
type User struct {
	Enabled  bool
	Name     string
	Password string // never read back: "" leaves it as it is
	Language string
}
