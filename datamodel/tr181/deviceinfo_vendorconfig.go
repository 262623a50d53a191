// Device.DeviceInfo.VendorConfigFile.

package tr181

import (
	"context"
	"iter"
	"time"

	"gatehouse/datamodel"
)

// Device.DeviceInfo.VendorConfigFile.{i}.: the configuration of the device as
// one file, which an ACS may upload and give back. It has no version, and a
// date only when it came by a transfer.
type vendorConfigFile struct {
	alias               datamodel.Alias
	name                string
	version             string
	date                time.Time
	description         string
	useForBackupRestore bool
}

var vendorConfigFileParams = []datamodel.Param[vendorConfigFile]{
	{Name: "Alias", At: func(f *vendorConfigFile) any { return &f.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "Name", At: func(f *vendorConfigFile) any { return &f.name }, Check: datamodel.Len{Max: 64}},
	{Name: "Version", At: func(f *vendorConfigFile) any { return &f.version }, Check: datamodel.Len{Max: 16}},
	{Name: "Date", At: func(f *vendorConfigFile) any { return &f.date }},
	{Name: "Description", At: func(f *vendorConfigFile) any { return &f.description }, Check: datamodel.Len{Max: 256}},
	{Name: "UseForBackupRestore", At: func(f *vendorConfigFile) any { return &f.useForBackupRestore }},
}

func (m *Model) vendorConfigFile() datamodel.Object {
	return datamodel.Define("Device.DeviceInfo.VendorConfigFile.{i}.", vendorConfigFileParams, datamodel.Source[vendorConfigFile]{
		Rows: func(context.Context, []datamodel.Key) iter.Seq2[datamodel.Row[vendorConfigFile], error] {
			return func(yield func(datamodel.Row[vendorConfigFile], error) bool) {
				yield(datamodel.Row[vendorConfigFile]{Key: "configuration", Value: &vendorConfigFile{
					name: "configuration", date: m.a.Transfers.ConfigApplied(),
					description: "The configuration of the device, without its secrets.", useForBackupRestore: true,
				}}, nil)
			}
		},
	})
}
