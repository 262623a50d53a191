// Device.InterfaceStack.: the layers of all interface objects as pairs.

package tr181

import (
	"context"
	"iter"
	"strings"

	"gatehouse/datamodel"
	"gatehouse/platform"
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
		Topics: []datamodel.Topic{LinkChanged, WiFiChanged, ConfigChanged},
		Rows: func(ctx context.Context, _ []datamodel.Key) iter.Seq2[datamodel.Row[interfaceStack], error] {
			return func(yield func(datamodel.Row[interfaceStack], error) bool) {
				t, err := m.dumpLinks(ctx)
				if err != nil {
					yield(datamodel.Row[interfaceStack]{}, err)
					return
				}
				var ip *interfaceTable
				if m.logical() {
					if ip, err = m.dumpInterfaces(ctx); err != nil {
						yield(datamodel.Row[interfaceStack]{}, err)
						return
					}
				}
				more := t.layers(ip, func(higher datamodel.Ref, lower []datamodel.Ref) bool {
					for _, l := range lower {
						if !yield(layerPair(higher, l), nil) {
							return false
						}
					}
					return true
				})
				if more && m.hasWiFi() {
					m.wifiLayers(ctx, yield)
				}
			}
		},
	})
}

// wifiLayers are the pairs of the networks and their radios.
func (m *Model) wifiLayers(ctx context.Context, yield func(datamodel.Row[interfaceStack], error) bool) {
	ssids, err := m.ssids(ctx)
	var radios []platform.Entry[platform.Radio]
	if err == nil {
		radios, err = m.radios(ctx)
	}
	if err != nil {
		yield(datamodel.Row[interfaceStack]{}, err)
		return
	}
	for _, s := range ssids {
		pair := layerPair(wifiRef(wifiSSIDPath, s.Key), wifiRef(wifiRadioPath, s.Value.Radio))
		if entry(radios, s.Value.Radio) != nil && !yield(pair, nil) {
			return
		}
	}
}

func layerPair(higher, lower datamodel.Ref) datamodel.Row[interfaceStack] {
	return datamodel.Row[interfaceStack]{Key: layerKey(higher) + ">" + layerKey(lower), Value: &interfaceStack{higher: higher, lower: lower}}
}

// layerKey names an interface object by its table and its keys, not by its
// number: "IP.Interface/eth0".
func layerKey(r datamodel.Ref) string {
	table := strings.TrimSuffix(strings.ReplaceAll(strings.TrimPrefix(r.Table, "Device."), ".{i}", ""), ".")
	return table + "/" + strings.Join(r.At, "/")
}
