// Device.DHCPv4.Server.Pool.{i}.Option.

package tr181

import (
	"context"
	"errors"
	"iter"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// Device.DHCPv4.Server.Pool.{i}.Option.{i}.: options that the clients of a pool
// are sent. Value is that of the option, without tag and length.
type dhcpOption struct {
	enable bool
	alias  datamodel.Alias
	tag    uint32
	value  []byte

	row platform.DHCPOption // as the platform has it
}

const (
	dhcpOptionPath = dhcpPoolPath + "Option.{i}."
	maxDHCPOptions = 64 // of one pool
)

var dhcpOptionParams = []datamodel.Param[dhcpOption]{
	{Name: "Enable", At: func(o *dhcpOption) any { return &o.enable }, Access: datamodel.ReadWrite},
	{Name: "Alias", At: func(o *dhcpOption) any { return &o.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "Tag", At: func(o *dhcpOption) any { return &o.tag }, Access: datamodel.ReadWrite, Check: datamodel.Range{Min: 1, Max: 254}},
	{Name: "Value", At: func(o *dhcpOption) any { return &o.value }, Access: datamodel.ReadWrite, Check: datamodel.Hex{Max: 255}},
}

func (m *Model) dhcpOption() datamodel.Object {
	return datamodel.Define(dhcpOptionPath, dhcpOptionParams, datamodel.Source[dhcpOption]{
		Topics: []datamodel.Topic{ConfigChanged},
		Rows:   m.dhcpOptionRows,
		New: func(ctx context.Context, parent []datamodel.Key) (datamodel.Key, *dhcpOption, error) {
			key, row, err := m.p.DHCP.Options.Fresh(ctx)
			row.Pool = parent[0]
			return key, new(optionRow(row)), lacking(err)
		},
		Unique: [][]string{{"Tag"}},
		Check:  checkDHCPOption,
		Stage: func(ctx context.Context, tx *datamodel.Tx, at []datamodel.Key, c datamodel.Change[dhcpOption]) error {
			if c.New == nil {
				return deleteRow(ctx, m, tx, m.p.DHCP.Options, at[1])
			}
			if c.Old == nil {
				if err := room(ctx, tx, above(tx.Path(""), 2)+"OptionNumberOfEntries", maxDHCPOptions); err != nil {
					return err
				}
			}
			row := c.New.row
			row.Enabled, row.Tag, row.Value = c.New.enable, uint8(c.New.tag), c.New.value
			return putRow(ctx, m, tx, m.p.DHCP.Options, at[1], row, "Value")
		},
	})
}

func optionRow(o platform.DHCPOption) dhcpOption {
	return dhcpOption{enable: o.Enabled, tag: min(max(uint32(o.Tag), 1), 254), value: o.Value[:min(len(o.Value), 255)], row: o}
}

func (m *Model) dhcpOptionRows(ctx context.Context, parent []datamodel.Key) iter.Seq2[datamodel.Row[dhcpOption], error] {
	return func(yield func(datamodel.Row[dhcpOption], error) bool) {
		all, err := configured(ctx, m, "DHCP options", m.p.DHCP.Options)
		if err != nil {
			yield(datamodel.Row[dhcpOption]{}, err)
			return
		}
		for _, e := range all {
			if e.Value.Pool == parent[0] && !yield(datamodel.Row[dhcpOption]{Key: e.Key, Value: new(optionRow(e.Value))}, nil) {
				return
			}
		}
	}
}

// errServersOwn: with these the server and its clients come to terms; who sets
// them by hand breaks every lease (RFC 2132 §3.3, §9).
var errServersOwn = errors.New("this option is the server's own: it has a parameter of the pool, or none")

func checkDHCPOption(c datamodel.Change[dhcpOption]) error {
	if c.New == nil || !c.New.enable || !setAny(c, "Enable", "Tag") {
		return nil
	}
	switch c.New.tag {
	case 1, 50, 51, 52, 53, 54, 55, 57, 58, 59, 61, 82:
		return &datamodel.FieldError{Name: "Tag", Err: errServersOwn}
	}
	return nil
}
