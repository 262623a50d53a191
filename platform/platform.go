// Package platform says what the agent needs from the router it runs on:
// plain domain types and small role interfaces. It imports nothing of ours.
//
// Backends live in sub-packages (linux, openwrt, fake) and must all pass the
// suite in platformtest. Sequences are streamed: a backend yields a row when
// it has read it and keeps none. A sequence ends with the first error that it
// yields, an [Unavailable] or that of its context; rows that go while it is
// read are left out. It may be left at any row, and run inside another one.
package platform

import (
	"context"
	"errors"
	"iter"
	"net/netip"
	"time"
)

// A Platform is a set of roles. A nil role is one that this device does not
// have; the objects that need it are then absent from the data model.
type Platform struct {
	Name       string // "linux", "openwrt", "fake"
	Identity   Identity
	System     System
	TCP        TCP
	Processes  Processes
	Sensors    Sensors
	Logs       Logs
	Links      Links
	Addresses  Addresses
	Routes     Routes
	Neighbors  Neighbors
	IPv6       IPv6
	Resolver   Resolver
	Clock      Clock
	Network    Network
	Power      Power
	Events     Events
	Firmware   Firmware
	DHCPClient DHCPClient
	Prober     Prober

	ConfigFile ConfigFile
	Voice      Voice // nil: a voice stack of its own has to read our file

	// What the platform keeps in configuration of its own.
	Config     Config // nil: none of the tables below is there
	WiFi       WiFi
	Interfaces Interfaces
	DHCP       DHCP
	NAT        NAT
	Globals    Table[GlobalConfig]
	Routing    Table[StaticRoute]
	Timing     Table[TimeConfig]
	Host       Table[HostConfig]
	Naming     Table[DNSConfig]
	Forwards   Table[DNSForward]
	RelayOnly  bool // Forwards are those of the relay: the device's own cannot be written
	Users      Table[User]
}

// ErrGone says that the row asked for is no longer there.
var ErrGone = errors.New("no longer there")

// ErrUnsupported says that this device cannot do what was asked.
var ErrUnsupported = errors.New("not supported on this device")

// Unavailable says that a source of information did not answer: nothing is
// known of what it would have said.
type Unavailable struct {
	Source string // "netlink route", "ubus network.device"
	Err    error
}

func (e *Unavailable) Error() string { return e.Source + " is not available: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *Unavailable) Unwrap() error { return e.Err }

// An ID is who the device says it is. Empty fields are not known.
type ID struct {
	Manufacturer    string
	OUI             string // six upper-case hexadecimal digits
	ProductClass    string
	SerialNumber    string
	ModelName       string
	Description     string
	HardwareVersion string
	SoftwareVersion string
}

// Identity reads who the device is, from DMI, the device tree, the OS release
// and, last, the label MAC address.
type Identity interface {
	ID(ctx context.Context) (ID, error)
}

// Memory is in bytes.
type Memory struct{ Total, Free, Available uint64 }

// System reads the machine as a whole.
type System interface {
	Uptime(ctx context.Context) (time.Duration, error)
	BootID(ctx context.Context) (string, error) // another one after each boot
	Hostname(ctx context.Context) (string, error)
	Memory(ctx context.Context) (Memory, error)
}

// TCP reads how the kernel's TCP is set up.
type TCP interface {
	TCP(ctx context.Context) (TCPSetup, error)
}

// TCPSetup is how the kernel's TCP is set up.
type TCPSetup struct {
	MaxWindow  uint32 // bytes that it can offer to receive
	Congestion string // the kernel's name for its congestion control: "cubic"
}

// A Process is one entry of the process table.
type Process struct {
	PID      uint32
	Command  string // with its arguments
	Size     uint64 // resident memory, bytes
	Priority uint32 // 0 (highest) .. 99, as TR-181 has it
	CPUTime  time.Duration
	State    string // a TR-181 name: Running Sleeping Stopped Idle Uninterruptible Zombie
}

// Processes reads the process table. CPUUsage is in percent, of all time
// since the previous call, or since the boot.
type Processes interface {
	Processes(ctx context.Context) iter.Seq2[Process, error]
	CPUUsage(ctx context.Context) (uint32, error)
}

// A Sensor is one thermometer.
type Sensor struct {
	ID      string // stable: "thermal_zone0", "hwmon/coretemp/temp1"
	Name    string
	Celsius int32
	OK      bool
}

// Sensors reads thermometers.
type Sensors interface {
	Sensors(ctx context.Context) iter.Seq2[Sensor, error]
}

// A Log is a log file that an ACS may upload.
type Log struct {
	Name        string // path or URI
	MaximumSize uint64 // bytes; 0: not known
	Persistent  bool
}

// Logs lists log files.
type Logs interface {
	Logs(ctx context.Context) iter.Seq2[Log, error]
}

// LinkKind tells what a link is.
type LinkKind uint8

// Kinds of links.
const (
	LinkEthernet LinkKind = iota // a physical port, or one end of a veth pair
	LinkLoopback
	LinkBridge
	LinkVLAN
	LinkWiFi
	LinkPPP
	LinkTunnel
	LinkOther
)

// A Link is one network interface. Name is its key.
type Link struct {
	Name       string
	Index      int // of the kernel; differs from boot to boot
	Kind       LinkKind
	MAC        string // "02:00:00:00:00:01", "" when it has none
	Enabled    bool   // administratively up
	Running    bool   // up, with a carrier
	State      string // a TR-181 Status: Up Down Unknown Dormant NotPresent LowerLayerDown Error
	MTU        uint32
	Master     string // the bridge it is a port of
	Parent     string // what a VLAN stands on
	VLANID     uint16
	Changed    time.Time // when State last changed; zero: not since it was first seen
	MaxBitRate int32     // Mbit/s of the link as negotiated; 0 not known
	FullDuplex bool
	Upstream   bool   // the default route leaves by it
	PortState  string // of a bridge port: Disabled Blocking Listening Learning Forwarding
	Stats      LinkStats
}

// LinkStats are the kernel's 64-bit counters.
type LinkStats struct {
	BytesSent, BytesReceived       uint64
	PacketsSent, PacketsReceived   uint64
	ErrorsSent, ErrorsReceived     uint64
	DiscardsSent, DiscardsReceived uint64
	MulticastReceived              uint64
}

// Add adds the counters of another link, which stands on the same hardware.
func (s *LinkStats) Add(o LinkStats) {
	s.BytesSent += o.BytesSent
	s.BytesReceived += o.BytesReceived
	s.PacketsSent += o.PacketsSent
	s.PacketsReceived += o.PacketsReceived
	s.ErrorsSent += o.ErrorsSent
	s.ErrorsReceived += o.ErrorsReceived
	s.DiscardsSent += o.DiscardsSent
	s.DiscardsReceived += o.DiscardsReceived
	s.MulticastReceived += o.MulticastReceived
}

// Links reads network interfaces, one dump for all of them.
type Links interface {
	Links(ctx context.Context) iter.Seq2[Link, error]
}

// An Address is one address on one link.
type Address struct {
	Link       string
	Prefix     netip.Prefix // address with its prefix length
	Peer       netip.Addr
	Permanent  bool // neither leased nor autoconfigured
	Dynamic    bool // from DHCP
	Auto       bool // IPv6 stateless autoconfiguration
	Temporary  bool // RFC 4941
	Tentative  bool
	Duplicate  bool // duplicate address detection failed
	Deprecated bool
	Preferred  time.Duration // lifetime left; negative: for ever
	Valid      time.Duration
}

// Addresses reads IP addresses, one dump for both families.
type Addresses interface {
	Addresses(ctx context.Context) iter.Seq2[Address, error]
}

// A Route is one entry of the main routing table.
type Route struct {
	Dest     netip.Prefix // 0.0.0.0/0 or ::/0: the default
	Gateway  netip.Addr
	Source   netip.Addr
	Link     string
	Metric   int32
	Static   bool          // set by an administrator or by us
	Protocol string        // kernel, boot, static, dhcp, ra, …
	Expires  time.Duration // 0: never
}

// Routes reads the main routing table of one family (false: IPv4). Ten
// thousand routes cost no more memory than one.
type Routes interface {
	Routes(ctx context.Context, ipv6 bool) iter.Seq2[Route, error]
}

// A Neighbor is one entry of the neighbour table (ARP, NDP) or a DHCP lease.
type Neighbor struct {
	Link      string
	MAC       string
	Addr      netip.Addr
	Active    bool // seen alive lately
	Hostname  string
	Leased    bool
	LeaseEnds time.Time // zero: not leased, or for ever
}

// Neighbors reads the hosts of the local network.
type Neighbors interface {
	Neighbors(ctx context.Context) iter.Seq2[Neighbor, error]
}

// IPv6Link is the IPv6 configuration of one link.
type IPv6Link struct {
	Link                 string
	Enabled              bool
	AcceptRA             bool
	DADTransmits         uint32
	RetransTimer         time.Duration
	RouterSolicitations  uint32        // how many are sent
	SolicitationInterval time.Duration // between them
	NeighborUnreachable  bool          // NUD is on (always, on Linux)
	Forwarding           bool
}

// IPv6 reads the IPv6 configuration of links.
type IPv6 interface {
	IPv6Links(ctx context.Context) iter.Seq2[IPv6Link, error]
	// IPEnabled says whether the stack has the family, and may use it.
	IPEnabled(ctx context.Context, ipv6 bool) (bool, error)
}

// DNS is what the machine's resolver is told to use.
type DNS struct {
	HostName string
	Domain   string
	Servers  []DNSServer
}

// A DNSServer is one name server.
type DNSServer struct {
	Addr netip.Addr
	Link string // "" when it is not bound to one
	Type string // a TR-181 name: DHCPv4 DHCPv6 RouterAdvertisement IPCP Static
}

// Resolver reads the resolver's configuration.
type Resolver interface {
	DNS(ctx context.Context) (DNS, error)
}

// TimeStatus is what the machine knows of the time.
type TimeStatus struct {
	Set     bool   // the clock has been set since the boot
	Synced  bool   // and is kept by NTP now
	Zone    string // IANA name, "" unknown
	POSIX   string // POSIX TZ string: "CET-1CEST,M3.5.0,M10.5.0/3"
	Servers []string
	NTP     bool // a time client is running
}

// Clock is the wall clock.
type Clock interface {
	Now() time.Time
	Time(ctx context.Context) (TimeStatus, error)
}

// Network opens batches of changes to the network.
type Network interface {
	Begin(ctx context.Context) (NetworkBatch, error)
}

// A NetworkBatch collects changes. Nothing that it holds reaches the system
// before Commit. What can refuse refuses in Prepare, which changes nothing.
// Rollback is legal after Prepare and after a failed or a successful Commit.
// A refusal that concerns one of the changes is an [*ItemError]; what is not
// there is [ErrGone] in it. Rollback restores also what the system took along:
// addresses and routes that went with a link or its IPv6, and does not touch what others
// have changed meanwhile.
type NetworkBatch interface {
	// AddAddress adds an address; one whose Valid is not positive is for ever.
	AddAddress(a Address) (item int)
	DeleteAddress(a Address) (item int)
	AddRoute(r Route) (item int)
	// DeleteRoute takes a route out by its destination and metric, and by
	// gateway and link where these are given.
	DeleteRoute(r Route) (item int)
	SetLink(name string, enabled bool) (item int)
	SetMTU(name string, mtu uint32) (item int)
	// SetIPv6 switches IPv6 on a link on or off.
	SetIPv6(name string, enabled bool) (item int)

	Prepare(ctx context.Context) error
	Commit(ctx context.Context) (deferred bool, err error)
	Rollback(ctx context.Context) error
}

// An ItemError blames one change of a batch, by the number it was given.
type ItemError struct {
	Item int
	Err  error
}

func (e *ItemError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *ItemError) Unwrap() error { return e.Err }

// Power restarts the device.
type Power interface {
	Reboot(ctx context.Context) error
	// FactoryReset resets what the platform keeps, and restarts the device.
	// The agent's own state is already gone.
	FactoryReset(ctx context.Context) error
}

// A Topic names a kind of change that a backend can report.
type Topic uint8

// Topics.
const (
	LinkChanged Topic = iota + 1
	AddressChanged
	RouteChanged
	NeighborChanged
	ResolverChanged
	HostnameChanged
	ClockStepped // the wall clock was set
	Resync       // events may have been missed: look at everything

	ConfigChanged // of the package that Key names ("wireless"), by somebody else
	WiFiChanged   // a radio or a network went up or down
	StationChanged
	LeaseChanged
	InterfaceChanged // a logical interface went up or down
	DHCPAnswered     // a DHCP server has answered a client of this device
)

// An Event is a hint to look again: it carries no values. Key narrows it to
// the rows of one link where the backend knows ("eth0"), "" means any.
type Event struct {
	Topic Topic
	Key   string
}

// Events reports changes until ctx ends, and returns early only on failure.
// Whenever it begins to listen, at its start and after a loss, it reports
// Resync: nobody has told what happened before. report must not block; its
// calls do not overlap. Hints of neighbours may come half a minute late, the
// others at once.
type Events interface {
	Watch(ctx context.Context, report func(Event)) error
}
