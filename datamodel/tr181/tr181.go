// Package tr181 declares the Device:2.19 objects that the agent supports and
// ties each to the router: one file per component, and in it the whole
// object, that is its row type, its table of parameters and its source.
//
// Everything that is declared is true. What the platform does not know is
// absent, or carries the unknown value that TR-106 has for it; a role that
// the platform lacks takes its objects out of the tree.
package tr181

import (
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

	// SettingsChanged says that a setting of the agent has another value.
	SettingsChanged datamodel.Topic = 0x100
	// ReachChanged says that the agent is reached in another way: another
	// connection request URL.
	ReachChanged datamodel.Topic = 0x101
)

// An Agent is the part of the data model that is the agent's own state. A nil
// member takes its objects out of the tree.
type Agent struct {
	Settings Settings
	Reach    Reach
	// Identity is who the device says it is, after configuration had its say.
	Identity func() platform.ID
	// Keep returns where a table of rows that the agent keeps itself is
	// stored. Nil: nothing can be added to the tables of the system.
	Keep func(name string) datamodel.Backing
	// Version of the agent; it names the supported data model.
	Version string
	// Start is when the agent began to watch the system.
	Start time.Time
	// Notify hears a warning about a kept row that could not be put back.
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
