// Device.Ethernet.: ports, data links and VLAN terminations.

package tr181

import (
	"context"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// Device.Ethernet.Interface.{i}.: the physical ports. What the port was told
// to negotiate (MaxBitRate, DuplexMode) is not known; what came of it is.
type ethernetInterface struct {
	enable            bool
	status            string
	alias             datamodel.Alias
	name              string
	lastChange        uint32 // seconds
	lowerLayers       []datamodel.Ref
	upstream          bool
	macAddress        string
	currentBitRate    uint32 // Mbit/s; 0: not known
	currentDuplexMode string
}

var statuses = datamodel.Enum{"Up", "Down", "Unknown", "Dormant", "NotPresent", "LowerLayerDown", "Error"}

var ethernetInterfaceParams = []datamodel.Param[ethernetInterface]{
	{Name: "Enable", At: func(e *ethernetInterface) any { return &e.enable }, Access: datamodel.ReadWrite},
	{Name: "Status", At: func(e *ethernetInterface) any { return &e.status }, Check: statuses},
	{Name: "Alias", At: func(e *ethernetInterface) any { return &e.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "Name", At: func(e *ethernetInterface) any { return &e.name }, Check: datamodel.Len{Max: 64}},
	{Name: "LastChange", At: func(e *ethernetInterface) any { return &e.lastChange }, Notify: datamodel.NotifyNever},
	{Name: "LowerLayers", At: func(e *ethernetInterface) any { return &e.lowerLayers }, Check: datamodel.List{MaxLen: 1024}},
	{Name: "Upstream", At: func(e *ethernetInterface) any { return &e.upstream }},
	{Name: "MACAddress", At: func(e *ethernetInterface) any { return &e.macAddress }, Check: datamodel.MACAddress{}},
	{Name: "CurrentBitRate", At: func(e *ethernetInterface) any { return &e.currentBitRate }, Notify: datamodel.NotifyNever},
	{Name: "CurrentDuplexMode", At: func(e *ethernetInterface) any { return &e.currentDuplexMode },
		Check: datamodel.Enum{"Unknown", "Half", "Full"}},
}

// portStatus: nothing is below a port, so one whose cable is out is down. The
// kernel has another word for a veth whose other end is.
func portStatus(l platform.Link) string {
	if l.State == "LowerLayerDown" {
		return "Down"
	}
	return l.State
}

func (m *Model) ethernetInterface() datamodel.Object {
	src := datamodel.Source[ethernetInterface]{
		Topics: []datamodel.Topic{LinkChanged},
		Rows: linkRows(m, hasEthernetInterface, func(l platform.Link, _ *linkTable) ethernetInterface {
			e := ethernetInterface{
				enable: l.Enabled, status: portStatus(l), name: l.Name, lastChange: m.lastChange(l), upstream: l.Upstream,
				macAddress: upMAC(l.MAC), currentBitRate: uint32(max(l.MaxBitRate, 0)), currentDuplexMode: "Unknown",
			}
			switch {
			case l.MaxBitRate <= 0:
			case l.FullDuplex:
				e.currentDuplexMode = "Full"
			default:
				e.currentDuplexMode = "Half"
			}
			return e
		}),
	}
	if m.canWrite() {
		src.Stage = func(ctx context.Context, tx *datamodel.Tx, at []datamodel.Key, c datamodel.Change[ethernetInterface]) error {
			if c.Set("Enable") {
				return m.stageLink(ctx, tx, at[0], linkChange{enable: &c.New.enable})
			}
			return nil
		}
	} else {
		src.ReadOnly = append(src.ReadOnly, "Enable")
	}
	return datamodel.Define(ethernetInterfacePath, ethernetInterfaceParams, src)
}

// Device.Ethernet.Link.{i}.: the data link layer, one per link that carries
// frames for a layer above: a free port, a bridge, a radio.
type ethernetLink struct {
	enable      bool
	status      string
	alias       datamodel.Alias
	name        string
	lastChange  uint32 // seconds
	lowerLayers []datamodel.Ref
	mtu         uint32 // bytes
	macAddress  string
}

var ethernetLinkParams = []datamodel.Param[ethernetLink]{
	{Name: "Enable", At: func(e *ethernetLink) any { return &e.enable }},
	{Name: "Status", At: func(e *ethernetLink) any { return &e.status }, Check: statuses},
	{Name: "Alias", At: func(e *ethernetLink) any { return &e.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "Name", At: func(e *ethernetLink) any { return &e.name }, Check: datamodel.Len{Max: 64}},
	{Name: "LastChange", At: func(e *ethernetLink) any { return &e.lastChange }, Notify: datamodel.NotifyNever},
	{Name: "LowerLayers", At: func(e *ethernetLink) any { return &e.lowerLayers }},
	{Name: "MTU", At: func(e *ethernetLink) any { return &e.mtu }},
	{Name: "MACAddress", At: func(e *ethernetLink) any { return &e.macAddress }, Check: datamodel.MACAddress{}},
}

func (m *Model) ethernetLink() datamodel.Object {
	return datamodel.Define(ethernetLinkPath, ethernetLinkParams, datamodel.Source[ethernetLink]{
		Topics: []datamodel.Topic{LinkChanged},
		Rows: linkRows(m, hasEthernetLink, func(l platform.Link, t *linkTable) ethernetLink {
			return ethernetLink{
				enable: l.Enabled, status: l.State, name: l.Name, lastChange: m.lastChange(l),
				lowerLayers: underEthernetLink(l, t), mtu: l.MTU, macAddress: upMAC(l.MAC),
			}
		}),
	})
}

// Device.Ethernet.VLANTermination.{i}.: VLANs that end in this device.
type vlanTermination struct {
	enable      bool
	status      string
	alias       datamodel.Alias
	name        string
	lastChange  uint32 // seconds
	lowerLayers []datamodel.Ref
	vlanID      uint32
}

var vlanTerminationParams = []datamodel.Param[vlanTermination]{
	{Name: "Enable", At: func(v *vlanTermination) any { return &v.enable }},
	{Name: "Status", At: func(v *vlanTermination) any { return &v.status }, Check: statuses},
	{Name: "Alias", At: func(v *vlanTermination) any { return &v.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "Name", At: func(v *vlanTermination) any { return &v.name }, Check: datamodel.Len{Max: 64}},
	{Name: "LastChange", At: func(v *vlanTermination) any { return &v.lastChange }, Notify: datamodel.NotifyNever},
	{Name: "LowerLayers", At: func(v *vlanTermination) any { return &v.lowerLayers }},
	{Name: "VLANID", At: func(v *vlanTermination) any { return &v.vlanID }, Check: datamodel.Range{Min: 1, Max: 4094}},
}

func (m *Model) vlanTermination() datamodel.Object {
	return datamodel.Define(vlanTerminationPath, vlanTerminationParams, datamodel.Source[vlanTermination]{
		Topics: []datamodel.Topic{LinkChanged},
		Rows: linkRows(m, hasVLANTermination, func(l platform.Link, t *linkTable) vlanTermination {
			return vlanTermination{
				enable: l.Enabled, status: l.State, name: l.Name, lastChange: m.lastChange(l),
				lowerLayers: underVLANTermination(l, t), vlanID: uint32(l.VLANID),
			}
		}),
	})
}
