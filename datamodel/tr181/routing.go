// Device.Routing.Router.: the main routing table; its routes are in routing_*.go.

package tr181

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"gatehouse/datamodel"
)

const (
	routerPath = "Device.Routing.Router.{i}."
	mainRouter = "main" // key of the one router there is: the main routing table
)

// Device.Routing.Router.{i}.: the main routing table. There is no other, and
// without it the device would not find its ACS: it stays on.
type router struct {
	enable bool
	status string
	alias  datamodel.Alias
}

var routerParams = []datamodel.Param[router]{
	{Name: "Enable", At: func(r *router) any { return &r.enable }, Access: datamodel.ReadWrite},
	{Name: "Status", At: func(r *router) any { return &r.status }, Check: datamodel.Enum{"Disabled", "Enabled", "Error"}},
	{Name: "Alias", At: func(r *router) any { return &r.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
}

var errOnlyRouter = errors.New("the only router cannot be switched off")

func (m *Model) router() datamodel.Object {
	src := datamodel.Source[router]{
		Rows: func(context.Context, []datamodel.Key) iter.Seq2[datamodel.Row[router], error] {
			return func(yield func(datamodel.Row[router], error) bool) {
				yield(datamodel.Row[router]{Key: mainRouter, Value: &router{enable: true, status: "Enabled"}}, nil)
			}
		},
	}
	if m.configuresRoutes() || m.canWrite() {
		src.Stage = func(_ context.Context, _ *datamodel.Tx, _ []datamodel.Key, c datamodel.Change[router]) error {
			if !c.New.enable {
				return &datamodel.FieldError{Name: "Enable", Err: fmt.Errorf("%w: %v", datamodel.ErrDenied, errOnlyRouter)}
			}
			return nil
		}
	} else {
		src.ReadOnly = []string{"Enable"}
	}
	return datamodel.Define(routerPath, routerParams, src)
}
