// Device.NAT. and Device.NAT.InterfaceSetting.

package tr181

import (
	"context"
	"iter"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// Device.NAT.: what the tables below can hold.
type nat struct{ maxPortMappings uint32 }

var natParams = []datamodel.Param[nat]{
	{Name: "MaxNumberOfPortMappings", At: func(n *nat) any { return &n.maxPortMappings }},
}

func (m *Model) nat() datamodel.Object {
	src := datamodel.Source[nat]{
		Keys: datamodel.Always,
		Rows: datamodel.One(func(context.Context, []datamodel.Key) (nat, error) { return nat{maxPortMappings}, nil }),
	}
	if m.p.NAT.Mappings == nil {
		src.Without = []string{"MaxNumberOfPortMappings"}
	}
	return datamodel.Define("Device.NAT.", natParams, src)
}

// Device.NAT.InterfaceSetting.{i}.: the interfaces by which what leaves is
// translated. The platform keeps them.
type natInterface struct {
	enable bool
	status string
	alias  datamodel.Alias
	iface  datamodel.Ref

	row platform.NATInterface // as the platform has it
}

const (
	natInterfacePath = "Device.NAT.InterfaceSetting.{i}."
	maxNATInterfaces = 32
)

var natInterfaceParams = []datamodel.Param[natInterface]{
	{Name: "Enable", At: func(n *natInterface) any { return &n.enable }, Access: datamodel.ReadWrite},
	{Name: "Status", At: func(n *natInterface) any { return &n.status }, Check: datamodel.Enum{"Disabled", "Enabled",
		"Enabled_NATForcedDisabled", "Enabled_PortMappingDisabled", "Error_Misconfigured", "Error"}},
	{Name: "Alias", At: func(n *natInterface) any { return &n.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "Interface", At: func(n *natInterface) any { return &n.iface }, Access: datamodel.ReadWrite,
		Check: datamodel.Len{Max: 256}, Refs: []string{ipInterfacePath}},
}

func (m *Model) natInterface() datamodel.Object {
	return datamodel.Define(natInterfacePath, natInterfaceParams, datamodel.Source[natInterface]{
		Topics: []datamodel.Topic{ConfigChanged, LinkChanged, InterfaceChanged},
		Rows:   m.natInterfaceRows,
		New: func(ctx context.Context, _ []datamodel.Key) (datamodel.Key, *natInterface, error) {
			key, row, err := m.p.NAT.Interfaces.Fresh(ctx)
			n := natRow(row)
			n.status = rowStatus(n.enable, false, "", nil)
			return key, &n, lacking(err)
		},
		Unique: [][]string{{"Interface"}},
		Stage: func(ctx context.Context, tx *datamodel.Tx, at []datamodel.Key, c datamodel.Change[natInterface]) error {
			if c.New == nil {
				return deleteRow(ctx, m, tx, m.p.NAT.Interfaces, at[0])
			}
			if c.Old == nil {
				if err := room(ctx, tx, "Device.NAT.InterfaceSettingNumberOfEntries", maxNATInterfaces); err != nil {
					return err
				}
			}
			row := c.New.row
			row.Enabled, row.Interface = c.New.enable, linkOf(c.New.iface)
			return putRow(ctx, m, tx, m.p.NAT.Interfaces, at[0], row, "Interface")
		},
	})
}

func natRow(row platform.NATInterface) natInterface {
	n := natInterface{enable: row.Enabled, row: row}
	if row.Interface != "" {
		n.iface = ipInterfaceRef(row.Interface)
	}
	return n
}

func (m *Model) natInterfaceRows(ctx context.Context, _ []datamodel.Key) iter.Seq2[datamodel.Row[natInterface], error] {
	return func(yield func(datamodel.Row[natInterface], error) bool) {
		all, err := configured(ctx, m, "NAT interfaces", m.p.NAT.Interfaces)
		if err != nil {
			yield(datamodel.Row[natInterface]{}, err)
			return
		}
		interfaces, taken, err := m.natState(ctx)
		if err != nil {
			yield(datamodel.Row[natInterface]{}, err)
			return
		}
		for _, e := range all {
			n := natRow(e.Value)
			_, there := interfaces[e.Value.Interface]
			n.status = rowStatus(n.enable, there, e.Key, taken)
			if !yield(datamodel.Row[natInterface]{Key: e.Key, Value: &n}, nil) {
				return
			}
		}
	}
}

// natState is what one has to know to say how the rows of NAT are doing.
func (m *Model) natState(ctx context.Context) (ipInterfaces, []string, error) {
	interfaces, err := m.ipInterfaces(ctx)
	if err != nil {
		return nil, nil, err
	}
	taken, err := m.takenUp(ctx, "NAT in effect", m.p.NAT.Applied)
	return interfaces, taken, err
}
