// Package tr181 declares the Device:2.19 objects that the agent supports and
// ties each to the router: one file per component, and in it the whole
// object, that is its row type, its table of parameters and its source.
//
// Everything that is declared is true. What the platform does not know is
// absent, or carries the unknown value that TR-106 has for it; a role that
// the platform lacks takes its objects out of the tree.
package tr181

import (
	"context"
	"sync/atomic"
	"time"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// RootDataModelVersion is the version of the Device root object that the
// declarations follow.
const RootDataModelVersion = "2.19"

// Topics of hints. Those of the platform keep their number; the agent's own
// begin where the platform's cannot reach.
const (
	LinkChanged     = datamodel.Topic(platform.LinkChanged)
	AddressChanged  = datamodel.Topic(platform.AddressChanged)
	RouteChanged    = datamodel.Topic(platform.RouteChanged)
	NeighborChanged = datamodel.Topic(platform.NeighborChanged)
	ResolverChanged = datamodel.Topic(platform.ResolverChanged)
	HostnameChanged = datamodel.Topic(platform.HostnameChanged)
	ClockStepped    = datamodel.Topic(platform.ClockStepped)
	ConfigChanged   = datamodel.Topic(platform.ConfigChanged)
	WiFiChanged     = datamodel.Topic(platform.WiFiChanged)
	StationChanged  = datamodel.Topic(platform.StationChanged)
	LeaseChanged    = datamodel.Topic(platform.LeaseChanged)

	// InterfaceChanged says that a logical interface went up or down.
	InterfaceChanged = datamodel.Topic(platform.InterfaceChanged)

	// SettingsChanged says that a setting of the agent has another value.
	SettingsChanged datamodel.Topic = 0x100
	// ReachChanged says that the agent is reached in another way: another
	// connection request URL.
	ReachChanged datamodel.Topic = 0x101
	// TestsChanged says that a test of Device.IP.Diagnostics. has another state.
	TestsChanged datamodel.Topic = 0x102
	// ProviderChanged says that the provider's configuration is another one.
	ProviderChanged datamodel.Topic = 0x103
	// GatewayChanged says that the gateway of Device.GatewayInfo. is another one.
	GatewayChanged datamodel.Topic = 0x104
)

// An Agent is the part of the data model that is the agent's own state. A nil
// member takes its objects or parameters out of the tree.
type Agent struct {
	Settings Settings
	Reach    Reach
	// Identity is who the device says it is, after configuration had its say.
	Identity func() platform.ID
	// NAT keeps the agent in reach of UDP connection requests (TR-069 Annex G).
	NAT NAT
	// Gateway is the gateway that the device is behind, from its lease.
	Gateway func() Gateway
	// XMPP keeps it in reach of XMPP connection requests (Annex K).
	XMPP XMPP
	// Provider has a configuration for the subscriber.
	Provider Provider
	// Voice has the telephony that the provider offers.
	Voice Voice
	// Lightweight says that the agent sends lightweight notifications (Annex M).
	Lightweight bool
	// Transfers is what the queue of transfers knows; nil: there is none.
	Transfers Transfers
	// Diagnostics runs the tests of Device.IP.Diagnostics.; nil: there are none.
	Diagnostics Diagnostics
	// Keep returns where a table of rows that the agent keeps itself is
	// stored. Nil: nothing of the network can be written.
	Keep func(name string) datamodel.Backing
	// Version of the agent; it names the supported data model.
	Version string
	// Start is when the agent began to watch the system.
	Start time.Time
	// Reload is asked for the services that have to take up what was undone; it
	// must not wait. Nil: they are reloaded at once.
	Reload func(services []string)
}

// Settings are the agent's settings as texts, keyed by their TR-181 name
// without "Device.": "ManagementServer.URL".
type Settings interface {
	Get(name string) string
	// Stage enlists the change in tx; nothing changes before its commit.
	Stage(tx *datamodel.Tx, name, value string) error
}

// Reach says how the agent can be reached.
type Reach interface {
	// ConnectionRequestURL is "" while connection requests by HTTP are not
	// possible.
	ConnectionRequestURL() string
}

// NAT says what STUN has found out.
type NAT interface {
	// NATDetected and the address at which UDP connection requests arrive,
	// "host:port"; "" while nothing is known.
	UDPAddress() (natDetected bool, address string)
}

// Transfers says what has come by a transfer.
type Transfers interface {
	// ConfigApplied is when a configuration file was last put in place; zero
	// when none was.
	ConfigApplied() time.Time
}

// XMPP says how a connection is doing; ok is false for one that the agent does
// not keep, by the key of its row.
type XMPP interface {
	Connection(key datamodel.Key) (s XMPPStatus, ok bool)
}

// XMPPStatus is how a connection is doing.
type XMPPStatus struct {
	JabberID string
	Status   string // as Device.XMPP.Connection.{i}.Status has it
	Since    time.Time
	TLS      bool

	ReceivedMessages, TransmittedMessages           uint32
	ReceivedErrorMessages, TransmittedErrorMessages uint32
}

// A Model is the declarations bound to one platform and one agent.
type Model struct {
	p platform.Platform
	a Agent

	undo map[string]func(context.Context, []byte) error

	links   *datamodel.Kept[linkSetting] // nil: the network cannot be written
	ipv4    *datamodel.Kept[ipv4Address]
	ipv6    *datamodel.Kept[ipv6Address]
	prefix6 *datamodel.Kept[ipv6Prefix]
	route4  *datamodel.Kept[ipv4Route]
	route6  *datamodel.Kept[ipv6Route]

	mappingLeases mappingLeases

	xmppConnections *datamodel.Kept[xmppConnection] // nil: no XMPP
	xmppServers     *datamodel.Kept[xmppServer]
	voice           *datamodel.Kept[override] // nil: no telephony

	informParameters *datamodel.Kept[informParameter]

	// What Reapply found last time: each link, those whose IPv6 was on, and what it
	// could not put back.
	seen  map[string]linkSeen
	seen6 map[string]bool
	owed  map[string]bool
	anew  atomic.Bool // services have set up the network since
}

// New binds the declarations to a platform and an agent.
func New(p platform.Platform, a Agent) *Model {
	m := &Model{p: p, a: a, undo: map[string]func(context.Context, []byte) error{}}
	if a.Keep != nil && p.Network != nil && p.Links != nil {
		keep(m, &m.links, "links", linkSettingParams, nil)
		m.undo[undoNetwork] = m.undoNetwork
	}
	if p.Config != nil {
		m.undo[undoConfig] = m.undoConfig
	}
	m.declare(func(d declaration) { d(m) }) // which opens the tables that the agent keeps
	return m
}

// A declaration makes an object of a model. It is called again whenever the
// object is asked for, and only looks at what New has set.
type declaration = func(*Model) datamodel.Object

// Objects returns the objects that can be supported, for one tree.
func (m *Model) Objects() (objects []datamodel.Object) {
	m.declare(func(d declaration) { objects = append(objects, datamodel.Late(m, d)) })
	return objects
}

// declare calls f with the declaration of each object that this platform and
// this agent can support.
func (m *Model) declare(f func(declaration)) {
	p, a := m.p, m.a
	add := func(have bool, objs ...declaration) {
		for _, o := range objs {
			if have {
				f(o)
			}
		}
	}
	add(true, (*Model).device, (*Model).deviceInfo)
	add(p.System != nil, (*Model).memoryStatus)
	add(p.TCP != nil, (*Model).networkProperties)
	add(p.Processes != nil, (*Model).processStatus, (*Model).process)
	add(p.Sensors != nil, (*Model).temperatureSensor)
	add(p.Logs != nil, (*Model).vendorLogFile)
	add(p.ConfigFile != nil && a.Transfers != nil, (*Model).vendorConfigFile)
	add(true, (*Model).supportedDataModel)
	add(a.Gateway != nil, (*Model).gatewayInfo)
	add(a.Settings != nil, (*Model).managementServer)
	add(a.Settings != nil && a.Keep != nil, (*Model).informParameter)
	add(a.Settings != nil && a.NAT != nil, (*Model).managementServerSTUN)
	add(a.Provider != nil, (*Model).provider, (*Model).providerKey)
	if a.Voice != nil && a.Keep != nil {
		add(true, (*Model).voiceService, (*Model).voiceCodec, (*Model).codecProfile, (*Model).sipClient, (*Model).sipNetwork)
	}
	add(a.Settings != nil && a.Lightweight, (*Model).managementServerLightweight)
	if a.Settings != nil && a.Keep != nil && a.XMPP != nil {
		add(true, (*Model).xmpp, (*Model).xmppConnection, (*Model).xmppServer, (*Model).managementServerXMPP)
	}
	if p.Links != nil {
		m.linked(add)
	}
	add(m.hasWiFi(), (*Model).wifiRadio, (*Model).wifiRadioStats, (*Model).wifiSSID, (*Model).wifiSSIDStats, (*Model).wifiAccessPoint, (*Model).wifiStation)
	add(p.Resolver != nil, (*Model).dns, (*Model).dnsClient, (*Model).dnsServer)
	add(p.Resolver != nil && p.Config != nil && p.Naming != nil && p.Forwards != nil, (*Model).dnsRelay, (*Model).dnsForwarding)
	add(p.Clock != nil, (*Model).time, (*Model).timeClient)
	add(p.Config != nil && p.Users != nil, (*Model).user)
}

// linked adds the objects of the links of the system.
func (m *Model) linked(add func(have bool, objs ...declaration)) {
	p, a := m.p, m.a
	add(true, (*Model).interfaceStack, (*Model).ethernetInterface, (*Model).ethernetLink, (*Model).vlanTermination, (*Model).bridge, (*Model).bridgePort, (*Model).ipInterface)
	for _, path := range []string{ethernetInterfacePath, ethernetLinkPath, vlanTerminationPath, bridgePortPath, ipInterfacePath} {
		add(true, func(m *Model) datamodel.Object { return m.stats(path) })
	}
	if a.Diagnostics != nil {
		add(true, (*Model).ipDiagnostics, (*Model).downloadTest, (*Model).uploadTest)
		add(a.Diagnostics.CanProbe(), (*Model).ipPing, (*Model).traceRoute, (*Model).routeHop)
	}
	add(p.IPv6 != nil, (*Model).ip, (*Model).neighborDiscovery, (*Model).ndInterface)
	add(p.Addresses != nil || m.logical(), (*Model).ipv4Address, (*Model).ipv6Prefix, (*Model).ipv6Address)
	add(p.Routes != nil, (*Model).router, (*Model).ipv4Forwarding, (*Model).ipv6Forwarding)
	add(p.Neighbors != nil, (*Model).host, (*Model).hostIPv4, (*Model).hostIPv6)
	m.lanServices(add)
}

// Undo is what Tree.Recover needs: how to undo, after a crash, what each of
// our participants wrote in the journal. It is the caller's, who may add others.
func (m *Model) Undo() map[string]func(context.Context, []byte) error {
	for _, name := range keptNames {
		if m.undo[name] == nil && m.a.Keep != nil {
			m.undo[name] = func(_ context.Context, data []byte) error { return m.a.Keep(name).Save(data) }
		}
	}
	return m.undo
}

// keptNames are the tables that the agent keeps. What a crash left half done in
// one is undone even while its objects are absent.
var keptNames = [...]string{
	"links", "ipv4-addresses", "ipv6-addresses", "ipv6-prefixes", "ipv4-routes", "ipv6-routes", "inform-parameters",
	"xmpp-connections", "xmpp-servers", "voice",
}

// keep opens a table that the agent keeps itself, once.
func keep[T any](m *Model, table **datamodel.Kept[T], name string, params []datamodel.Param[T], fresh *T) *datamodel.Kept[T] {
	if *table == nil {
		k := datamodel.NewKept(name, params, m.a.Keep(name))
		k.Default = fresh
		m.undo[name] = k.Recover
		*table = k
	}
	return *table
}

// canWrite says whether the network can be written here.
func (m *Model) canWrite() bool { return m.links != nil }

// now is the wall clock of the device.
func (m *Model) now() time.Time {
	if m.p.Clock == nil {
		return time.Now()
	}
	return m.p.Clock.Now()
}
