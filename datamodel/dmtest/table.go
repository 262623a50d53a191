// Package dmtest checks any set of objects: against the tables of the Broadband
// Forum's Device:2.19.1 and VoiceService:2.0.2 data models (Oracle), and against
// themselves (RoundTrip). It is for tests, and never linked into the agent.
package dmtest

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"

	"gatehouse/datamodel"
)

//go:embed testdata/device2.tsv
var device2 string

//go:embed testdata/tr104.tsv
var tr104 string

// A Row is what the table says of one object or parameter.
type Row struct {
	Object   bool
	Type     string // "unsignedInt"; of an object the name of its count, "-" for none, "" for <Table>NumberOfEntries
	Writable bool
	Sizes    []datamodel.Span
	Range    []datamodel.Span // with open ends closed by the type
	Enum     []string
	Patterns []string
	Address  string // "MACAddress", …
	List     bool
	Items    datamodel.Span
	ListSize int
	Hidden   bool
	Forced   bool // in every Inform
	Notify   string
	Status   string // "", "deprecated", "obsoleted", "deleted"
}

// A Table maps templates ("Device.IP.Interface.{i}.Enable") to rows.
type Table map[string]*Row

// Device2 is the table of Device:2.19.1, with that of VoiceService:2.0.2 below
// Device.Services.
var Device2 = sync.OnceValue(func() Table {
	t := make(Table, 9300)
	for _, text := range [...]string{device2, tr104} {
		if err := t.parse(text); err != nil {
			panic("dmtest: " + err.Error())
		}
	}
	return t
})

func (t Table) parse(text string) error {
	object := ""
	n := 0
	for line := range strings.Lines(text) {
		if n++; n == 1 {
			continue
		}
		f := strings.Split(strings.TrimRight(line, "\n"), "\t")
		for len(f) < 13 {
			f = append(f, "")
		}
		r, err := parseRow(f)
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		path := object + f[0]
		if r.Object {
			object, path = f[0], f[0]
		}
		t[path] = r
	}
	return nil
}

func parseRow(f []string) (*Row, error) {
	r := &Row{Object: f[1] == "o", Type: f[2], Writable: f[3] != "", Hidden: f[9] != "", Forced: f[10] != "", Notify: f[11], Status: f[12]}
	if r.Type == "base64" {
		r.Type = "base64Binary"
	}
	var err error
	if r.Sizes, err = spans(f[4], 0, math.MaxInt32); err != nil {
		return nil, err
	}
	lo, hi := typeBounds(r.Type)
	if r.Type != "decimal" { // we have no such type
		if r.Range, err = spans(f[5], lo, hi); err != nil {
			return nil, err
		}
	}
	if f[6] != "" {
		r.Enum = strings.Split(f[6], "|")
	}
	switch {
	case strings.HasPrefix(f[7], "["):
		err = json.Unmarshal([]byte(f[7]), &r.Patterns)
	case f[7] != "":
		r.Address = f[7]
	}
	if err != nil || f[8] == "" {
		return r, err
	}
	r.List = true
	return r, r.list(strings.Fields(f[8])[1:])
}

func (r *Row) list(words []string) error {
	for i := 0; i+1 < len(words); i += 2 {
		s, err := spans(words[i+1], 0, math.MaxInt32)
		if err != nil {
			return err
		}
		if words[i] == "items" {
			r.Items = s[0]
		} else {
			r.ListSize = int(s[len(s)-1].Max)
		}
	}
	return nil
}

// spans reads "1:5|7:" with open ends closed by lo and hi.
func spans(text string, lo, hi int64) ([]datamodel.Span, error) {
	var out []datamodel.Span
	for one := range strings.SplitSeq(text, "|") {
		if one == "" {
			continue
		}
		one, _, _ = strings.Cut(one, "/") // a step, which no check of ours looks at
		from, to, _ := strings.Cut(one, ":")
		s := datamodel.Span{Min: lo, Max: hi}
		var err error
		if from != "" {
			s.Min, err = strconv.ParseInt(from, 10, 64)
		}
		if to != "" && err == nil {
			s.Max, err = strconv.ParseInt(to, 10, 64)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

func typeBounds(name string) (lo, hi int64) {
	switch name {
	case "int":
		return math.MinInt32, math.MaxInt32
	case "unsignedInt":
		return 0, math.MaxUint32
	case "unsignedLong":
		return 0, math.MaxInt64
	}
	return math.MinInt64, math.MaxInt64
}

// vendor reports whether a template belongs to somebody's extension.
func vendor(path string) bool {
	return strings.HasPrefix(path, "X_") || strings.Contains(path, ".X_")
}
