// Device.Bridging.: bridges and their ports, read-only.

package tr181

import (
	"context"
	"iter"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// Device.Bridging.Bridge.{i}.: the bridges.
type bridge struct {
	enable bool
	status string
	alias  datamodel.Alias
	name   string
}

var bridgeParams = []datamodel.Param[bridge]{
	{Name: "Enable", At: func(b *bridge) any { return &b.enable }},
	{Name: "Status", At: func(b *bridge) any { return &b.status }, Check: datamodel.Enum{"Disabled", "Enabled", "Error"}},
	{Name: "Alias", At: func(b *bridge) any { return &b.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "Name", At: func(b *bridge) any { return &b.name }, Check: datamodel.Len{Max: 64}},
}

func isBridge(l platform.Link) bool { return l.Kind == platform.LinkBridge }

func (m *Model) bridge() datamodel.Object {
	return datamodel.Define(bridgePath, bridgeParams, datamodel.Source[bridge]{
		Topics: []datamodel.Topic{LinkChanged},
		Rows: linkRows(m, isBridge, func(l platform.Link, _ *linkTable) bridge {
			return bridge{enable: l.Enabled, status: enabled(l.Enabled), name: l.Name}
		}),
	})
}

// Device.Bridging.Bridge.{i}.Port.{i}.: the management port, by which the
// device itself takes part in the bridge and which has its name, and the
// links that are its ports.
type bridgePort struct {
	enable         bool
	status         string
	alias          datamodel.Alias
	name           string
	lastChange     uint32 // seconds
	lowerLayers    []datamodel.Ref
	managementPort bool
	portState      string
}

var bridgePortParams = []datamodel.Param[bridgePort]{
	{Name: "Enable", At: func(b *bridgePort) any { return &b.enable }},
	{Name: "Status", At: func(b *bridgePort) any { return &b.status }, Check: statuses},
	{Name: "Alias", At: func(b *bridgePort) any { return &b.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "Name", At: func(b *bridgePort) any { return &b.name }, Check: datamodel.Len{Max: 64}},
	{Name: "LastChange", At: func(b *bridgePort) any { return &b.lastChange }, Notify: datamodel.NotifyNever},
	{Name: "LowerLayers", At: func(b *bridgePort) any { return &b.lowerLayers }},
	{Name: "ManagementPort", At: func(b *bridgePort) any { return &b.managementPort }},
	{Name: "PortState", At: func(b *bridgePort) any { return &b.portState },
		Check: datamodel.Enum{"Disabled", "Blocking", "Listening", "Learning", "Forwarding", "Broken"}},
}

func (m *Model) bridgePort() datamodel.Object {
	return datamodel.Define(bridgePortPath, bridgePortParams, datamodel.Source[bridgePort]{
		Topics: []datamodel.Topic{LinkChanged},
		Rows: func(ctx context.Context, parent []datamodel.Key) iter.Seq2[datamodel.Row[bridgePort], error] {
			of := parent[0]
			return linkRows(m, func(l platform.Link) bool { return l.Master == of || l.Name == of && isBridge(l) },
				func(l platform.Link, t *linkTable) bridgePort {
					return bridgePort{
						enable: l.Enabled, status: l.State, name: l.Name, lastChange: m.lastChange(l),
						lowerLayers: underBridgePort(l, t), managementPort: isBridge(l), portState: portState(l),
					}
				})(ctx, nil)
		},
	})
}

// portState is what the bridge says of its port. Of its own, which no
// spanning tree blocks, it says nothing: that forwards while it is up.
func portState(l platform.Link) string {
	switch {
	case l.PortState != "":
		return l.PortState
	case l.Running:
		return "Forwarding"
	}
	return "Disabled"
}
