// Package control is the door of the command line: a unix socket on which a
// request is one line of JSON, and the answer as many lines as it takes, the
// last one with "end" or "error". One connection is one call; a caller that
// closes its side ends it. The package only translates to agent/api.
package control

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"gatehouse/agent/api"
)

// Limits of one line, in bytes. Callers that may only read have nothing long to
// say; a line of an answer holds one value, and the longest of a data model is
// far below the limit.
const (
	maxRequest     = 256 << 10
	maxReadRequest = 16 << 10
	maxLine        = 1 << 20
)

// A Request is one call.
type Request struct {
	Call         string           `json:"call"` // get names set add delete attributes notify watch status log inform reload provider
	Paths        []string         `json:"paths,omitempty"`
	Next         bool             `json:"next,omitempty"` // names: the next level only
	Set          []api.Assignment `json:"set,omitempty"`
	DryRun       bool             `json:"dryRun,omitempty"` // set, add, delete: only tell what would be written
	Notification *int             `json:"notification,omitempty"`
	Event        string           `json:"event,omitempty"`    // inform; provider: fetch, reset, reload
	Sessions     int              `json:"sessions,omitempty"` // log: how many; 0: all that are remembered
}

// A Line is one line of an answer. Only one of its fields is there.
type Line struct {
	Value     *api.Value      `json:"value,omitempty"`
	Name      *api.Name       `json:"name,omitempty"`
	Attribute *api.Attribute  `json:"attribute,omitempty"`
	Update    *api.Update     `json:"update,omitempty"`
	Status    *api.Status     `json:"status,omitempty"`
	Session   *api.SessionLog `json:"session,omitempty"`
	End       *End            `json:"end,omitempty"`
	Plan      *api.Plan       `json:"plan,omitempty"`
	Error     *api.Error      `json:"error,omitempty"`
}

// End is the last line of a call that went well.
type End struct {
	Deferred bool     `json:"deferred,omitempty"` // set: in effect once services were reloaded
	Path     string   `json:"path,omitempty"`     // add: of the new instance
	Changed  []string `json:"changed,omitempty"`  // reload: the settings that changed
	Fetched  bool     `json:"fetched,omitempty"`  // provider: what was fetched is new
}

// parse reads a request. One that says something that is not understood is
// refused as a whole: a misspelt "dryRun" must not become a set.
func parse(text []byte) (req Request, err error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&req); err != nil {
		return Request{}, refusal(api.InvalidArguments, "the request is not understood: "+err.Error())
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Request{}, refusal(api.InvalidArguments, "the request is more than one object")
	}
	return req, nil
}

var errLong = errors.New("the line is too long")

// readLine reads one line of at most limit bytes. It takes memory only for
// what has arrived.
func readLine(in *bufio.Reader, limit int) ([]byte, error) {
	var text []byte
	for {
		part, err := in.ReadSlice('\n')
		if len(text)+len(part) > limit {
			return nil, errLong
		}
		text = append(text, part...)
		if err == nil {
			return text, nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
	}
}
