// Device.DeviceInfo.VendorLogFile. and SupportedDataModel.

package tr181

import (
	"context"
	"crypto/sha1"
	"fmt"
	"iter"
	"math"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// Device.DeviceInfo.VendorLogFile.{i}.: the log files that an ACS may upload.
type vendorLogFile struct {
	alias       datamodel.Alias
	name        string
	maximumSize uint32 // bytes; 0: not known
	persistent  bool
}

var vendorLogFileParams = []datamodel.Param[vendorLogFile]{
	{Name: "Alias", At: func(f *vendorLogFile) any { return &f.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "Name", At: func(f *vendorLogFile) any { return &f.name }, Check: datamodel.Len{Max: 64}},
	{Name: "MaximumSize", At: func(f *vendorLogFile) any { return &f.maximumSize }},
	{Name: "Persistent", At: func(f *vendorLogFile) any { return &f.persistent }},
}

func (m *Model) vendorLogFile() datamodel.Object {
	return datamodel.Define("Device.DeviceInfo.VendorLogFile.{i}.", vendorLogFileParams, datamodel.Source[vendorLogFile]{
		Rows: func(ctx context.Context, _ []datamodel.Key) iter.Seq2[datamodel.Row[vendorLogFile], error] {
			return rowsFrom(m.p.Logs.Logs(ctx), func(l platform.Log) datamodel.Row[vendorLogFile] {
				return datamodel.Row[vendorLogFile]{Key: l.Name, Value: &vendorLogFile{
					name: limit(l.Name, 64), maximumSize: uint32(min(l.MaximumSize, math.MaxUint32)), persistent: l.Persistent,
				}}
			})
		},
	})
}

// Device.DeviceInfo.SupportedDataModel.{i}.: the one data model we follow.
type supportedDataModel struct {
	alias    datamodel.Alias
	url      string
	uuid     string
	urn      string
	features []string
}

var supportedDataModelParams = []datamodel.Param[supportedDataModel]{
	{Name: "Alias", At: func(m *supportedDataModel) any { return &m.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "URL", At: func(m *supportedDataModel) any { return &m.url }, Check: datamodel.Len{Max: 2048}},
	{Name: "UUID", At: func(m *supportedDataModel) any { return &m.uuid }, Check: datamodel.All{datamodel.Len{Min: 36, Max: 36},
		datamodel.Pattern{`[A-Fa-f0-9]{8}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{12}`}}},
	{Name: "URN", At: func(m *supportedDataModel) any { return &m.urn }, Check: datamodel.Len{Max: 256}},
	{Name: "Features", At: func(m *supportedDataModel) any { return &m.features }},
}

// modelURN is the document that the declarations were checked against.
const modelURN = "urn:broadband-forum-org:tr-181-2-19-1-cwmp"

func (m *Model) supportedDataModel() datamodel.Object {
	row := datamodel.Row[supportedDataModel]{Key: modelURN, Value: &supportedDataModel{
		url:  "https://cwmp-data-models.broadband-forum.org/tr-181-2-19-1-cwmp.xml",
		uuid: modelUUID(m.a.Version), urn: modelURN, features: m.features(),
	}}
	return datamodel.Define("Device.DeviceInfo.SupportedDataModel.{i}.", supportedDataModelParams, datamodel.Source[supportedDataModel]{
		Rows: func(context.Context, []datamodel.Key) iter.Seq2[datamodel.Row[supportedDataModel], error] {
			return func(yield func(datamodel.Row[supportedDataModel], error) bool) { yield(row, nil) }
		},
	})
}

// features are the names that TR-106 has for what a device can do.
func (m *Model) features() (names []string) {
	if m.p.Resolver != nil {
		names = append(names, "DNSClient")
	}
	if m.p.IPv6 != nil {
		names = append(names, "IPv6")
	}
	if m.p.Routes != nil {
		names = append(names, "Router")
	}
	return names
}

// modelUUID names the data model of one version of the agent: an RFC 9562
// UUID of version 5 in the URL name space, so the same version says the same.
func modelUUID(version string) string {
	const urlSpace = "\x6b\xa7\xb8\x11\x9d\xad\x11\xd1\x80\xb4\x00\xc0\x4f\xd4\x30\xc8"
	h := sha1.Sum([]byte(urlSpace + modelURN + "#gatehouse-" + version))
	h[6], h[8] = h[6]&0x0f|0x50, h[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16])
}
