// Device.ManagementServer.InformParameter.: what else goes into Informs.

package tr181

import (
	"errors"
	"slices"
	"strings"

	"gatehouse/datamodel"
)

// Device.ManagementServer.InformParameter.{i}.: what the ACS wants to find in
// Informs besides the forced parameters. An empty EventList means all events
// but VALUE CHANGE.
type informParameter struct {
	enable    bool
	alias     datamodel.Alias
	name      string
	eventList []string
}

var informParameterParams = []datamodel.Param[informParameter]{
	{Name: "Enable", At: func(r *informParameter) any { return &r.enable }, Access: datamodel.ReadWrite},
	{Name: "Alias", At: func(r *informParameter) any { return &r.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "ParameterName", At: func(r *informParameter) any { return &r.name }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 256}},
	{Name: "EventList", At: func(r *informParameter) any { return &r.eventList }, Access: datamodel.ReadWrite},
}

func (m *Model) informParameter() datamodel.Object {
	k := keep(m, &m.informParameters, "inform-parameters", informParameterParams, nil)
	return datamodel.Define("Device.ManagementServer.InformParameter.{i}.", informParameterParams, datamodel.Source[informParameter]{
		Topics: []datamodel.Topic{SettingsChanged},
		Rows:   k.Rows,
		Load:   k.Load,
		Keys:   k.Keys,
		New:    k.New,
		Stage:  k.Stage,
		Check:  checkInformParameter,
		Unique: [][]string{{"ParameterName"}},
	})
}

var (
	errForced = errors.New("is in every Inform as it is")
	errPath   = errors.New("not the name of a parameter: it begins with Device. and has no dot at its end")
	errEvent  = errors.New("not an event code")
)

// checkInformParameter refuses the parameters that are in every Inform anyway
// (9007, cwmp.md §12), also by a wildcard: none of them is below a table, so a
// wildcard never means one.
func checkInformParameter(c datamodel.Change[informParameter]) error {
	if c.New == nil {
		return nil
	}
	if name := c.New.name; name != "" {
		switch {
		case !strings.HasPrefix(name, "Device.") || strings.HasSuffix(name, ".") || strings.Contains(name, ".."):
			return &datamodel.FieldError{Name: "ParameterName", Err: errPath}
		case isForced(name):
			return &datamodel.FieldError{Name: "ParameterName", Err: errForced}
		}
	}
	if slices.ContainsFunc(c.New.eventList, func(e string) bool { return e == "" || len(e) > 64 }) {
		return &datamodel.FieldError{Name: "EventList", Err: errEvent}
	}
	return nil
}

// isForced says whether the standard puts the parameter into every Inform
// (cwmp.md §13).
func isForced(name string) bool {
	switch name {
	case "Device.RootDataModelVersion",
		"Device.DeviceInfo.HardwareVersion", "Device.DeviceInfo.SoftwareVersion", "Device.DeviceInfo.ProvisioningCode",
		"Device.ManagementServer.ParameterKey", "Device.ManagementServer.ConnectionRequestURL",
		"Device.ManagementServer.AliasBasedAddressing":
		return true
	}
	return false
}
