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
}

// DHCPServer is the server as a whole.
type DHCPServer struct{ Enabled bool }

// A DHCPPool is a range of addresses on one interface.
type DHCPPool struct {
	Enabled   bool
	Order     uint32 // 1 first; 0 not known
	Interface string // key of an IP interface
	Min, Max  netip.Addr
	Reserved  []netip.Addr
	Mask      netip.Addr // invalid: that of the interface
	DNS       []netip.Addr
	Domain    string
	Routers   []netip.Addr
	LeaseTime time.Duration // negative: for ever
}

// A DHCPHost is an address kept for one client. Pool is the key of its pool.
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
	ClientID string
	Ends     time.Time // zero: never
}

// NAT translates addresses.
type NAT struct {
	Interfaces Table[NATInterface]
	Mappings   Table[PortMapping]
}

// A NATInterface has its outgoing traffic translated.
type NATInterface struct {
	Enabled   bool
	Interface string // key of an IP interface
}

// A PortMapping leads what comes in from outside to a host inside.
type PortMapping struct {
	Enabled          bool
	Interface        string // key of an IP interface; "" with AllInterfaces
	AllInterfaces    bool
	Expires          time.Time // zero: never
	Lease            time.Duration
	RemoteHost       netip.Prefix // invalid: anybody
	ExternalPort     uint16       // 0: all
	ExternalPortLast uint16       // 0: only ExternalPort
	InternalPort     uint16
	Protocol         string // TCP UDP
	InternalClient   string // address, or a name that the router knows
	Description      string
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
	DNS      []netip.Addr
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

// Interfaces is the platform's logical interfaces and how they are doing. Nil
// tables and readings: links are the interfaces.
type Interfaces struct {
	Table   Table[Interface]
	State   InterfaceStates
	Restart InterfaceRestart // nil: cannot
}

// InterfaceRestart tears the connection of a logical interface down, and has
// it set up anew.
type InterfaceRestart interface {
	RestartInterface(ctx context.Context, key string) error
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

// DNSConfig is the device's own resolver and its relay. One fixed row each.
type DNSConfig struct {
	ClientEnabled bool
	RelayEnabled  bool
	HostName      string
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
