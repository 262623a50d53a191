// Device.InterfaceStack.: the layers of all interface objects as pairs.

package tr181

import (
	"context"
	"iter"
	"strings"

	"gatehouse/datamodel"
)

// Device.InterfaceStack.{i}.: every pair of an interface object and one of
// its LowerLayers.
type interfaceStack struct {
	alias         datamodel.Alias
	higher, lower datamodel.Ref
}

var interfaceStackParams = []datamodel.Param[interfaceStack]{
	{Name: "Alias", At: func(s *interfaceStack) any { return &s.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "HigherLayer", At: func(s *interfaceStack) any { return &s.higher }, Check: datamodel.Len{Max: 256}},
	{Name: "LowerLayer", At: func(s *interfaceStack) any { return &s.lower }, Check: datamodel.Len{Max: 256}},
}

func (m *Model) interfaceStack() datamodel.Object {
	return datamodel.Define("Device.InterfaceStack.{i}.", interfaceStackParams, datamodel.Source[interfaceStack]{
		Topics: []datamodel.Topic{LinkChanged},
		Rows: func(ctx context.Context, _ []datamodel.Key) iter.Seq2[datamodel.Row[interfaceStack], error] {
			return func(yield func(datamodel.Row[interfaceStack], error) bool) {
				t, err := m.dumpLinks(ctx)
				if err != nil {
					yield(datamodel.Row[interfaceStack]{}, err)
					return
				}
				t.layers(func(higher datamodel.Ref, lower []datamodel.Ref) bool {
					for _, l := range lower {
						row := datamodel.Row[interfaceStack]{Key: layerKey(higher) + ">" + layerKey(l)}
						row.Value.higher, row.Value.lower = higher, l
						if !yield(row, nil) {
							return false
						}
					}
					return true
				})
			}
		},
	})
}

// layerKey names an interface object by its table and its keys, not by its
// number: "IP.Interface/eth0".
func layerKey(r datamodel.Ref) string {
	table := strings.TrimSuffix(strings.ReplaceAll(strings.TrimPrefix(r.Table, "Device."), ".{i}", ""), ".")
	return table + "/" + strings.Join(r.At, "/")
}
