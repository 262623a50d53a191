// Device.Routing.Router.: the main routing table; its routes are in routing_*.go.

package tr181

import (
	"context"
	"iter"

	"gatehouse/datamodel"
)

const (
	routerPath = "Device.Routing.Router.{i}."
	mainRouter = "main" // key of the one router there is: the main routing table
)

// Device.Routing.Router.{i}.: the main routing table.
type router struct {
	enable bool
	status string
	alias  datamodel.Alias
}

var routerParams = []datamodel.Param[router]{
	{Name: "Enable", At: func(r *router) any { return &r.enable }},
	{Name: "Status", At: func(r *router) any { return &r.status }, Check: datamodel.Enum{"Disabled", "Enabled", "Error"}},
	{Name: "Alias", At: func(r *router) any { return &r.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
}

func (m *Model) router() datamodel.Object {
	return datamodel.Define(routerPath, routerParams, datamodel.Source[router]{
		Rows: func(context.Context, []datamodel.Key) iter.Seq2[datamodel.Row[router], error] {
			return func(yield func(datamodel.Row[router], error) bool) {
				yield(datamodel.Row[router]{Key: mainRouter, Value: router{enable: true, status: "Enabled"}}, nil)
			}
		},
	})
}
