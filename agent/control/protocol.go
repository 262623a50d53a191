// Package control is the door of the command line: a unix socket on which a
// request is one line of JSON, and the answer as many lines as it takes, the
// last one with "end" or "error". It only translates to agent/api.
package control

import "gatehouse/agent/api"

// maxLine bounds a request and, at the client, one line of an answer. The
// longest value of a data model is far below it.
const maxLine = 1 << 20

// A Request is one call.
type Request struct {
	Call         string           `json:"call"` // get names set add delete attributes notify watch status inform reload
	Paths        []string         `json:"paths,omitempty"`
	Next         bool             `json:"next,omitempty"` // names: the next level only
	Set          []api.Assignment `json:"set,omitempty"`
	DryRun       bool             `json:"dryRun,omitempty"`
	Notification *int             `json:"notification,omitempty"`
	Event        string           `json:"event,omitempty"`
}

// A Line is one line of an answer. Only one of its fields is there.
type Line struct {
	Value     *api.Value     `json:"value,omitempty"`
	Name      *api.Name      `json:"name,omitempty"`
	Attribute *api.Attribute `json:"attribute,omitempty"`
	Update    *api.Update    `json:"update,omitempty"`
	Status    *api.Status    `json:"status,omitempty"`
	End       *End           `json:"end,omitempty"`
	Error     *api.Error     `json:"error,omitempty"`
}

// End is the last line of a call that went well.
type End struct {
	Deferred bool     `json:"deferred,omitempty"` // set: in effect once services were reloaded
	Path     string   `json:"path,omitempty"`     // add: of the new instance
	Changed  []string `json:"changed,omitempty"`  // reload: the settings that changed
}
