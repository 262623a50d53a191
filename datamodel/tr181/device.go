// Device.: the root object.

package tr181

import (
	"context"

	"gatehouse/datamodel"
)

// Device. (TR-181, root object). The engine adds the counts of its tables.
type device struct{ version string }

var deviceParams = []datamodel.Param[device]{
	{Name: "RootDataModelVersion", At: func(d *device) any { return &d.version }, Inform: true,
		Check: datamodel.All{datamodel.Len{Max: 32}, datamodel.Pattern{`2\.\d+`}}},
}

func (m *Model) device() datamodel.Object {
	return datamodel.Define("Device.", deviceParams, datamodel.Source[device]{
		Keys: datamodel.Always,
		Rows: datamodel.One(func(_ context.Context, _ []datamodel.Key) (device, error) { return device{RootDataModelVersion}, nil }),
	})
}
