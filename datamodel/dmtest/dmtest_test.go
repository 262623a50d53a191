package dmtest

// The checks pass what is right, and find each thing that is wrong.

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	dm "gatehouse/datamodel"
)

type iface struct {
	Alias  dm.Alias
	enable bool
	status string
	name   string
	last   uint32
	lower  []dm.Ref
	mtu    uint32
	sent   uint64
	reset  bool
}

var good = []dm.Param[iface]{
	{Name: "Enable", At: func(i *iface) any { return &i.enable }, Access: dm.ReadWrite},
	{Name: "Status", At: func(i *iface) any { return &i.status }},
	{Name: "Alias", At: func(i *iface) any { return &i.Alias }, Access: dm.ReadWrite, Check: dm.Len{Max: 64}},
	{Name: "Name", At: func(i *iface) any { return &i.name }},
	{Name: "LastChange", At: func(i *iface) any { return &i.last }, Notify: dm.NotifyNever},
	{Name: "LowerLayers", At: func(i *iface) any { return &i.lower }, Access: dm.ReadWrite},
	{Name: "MaxMTUSize", At: func(i *iface) any { return &i.mtu }, Access: dm.ReadWrite, Check: dm.Range{Min: 64, Max: 65535}},
	{Name: "Reset", At: func(i *iface) any { return &i.reset }, Access: dm.Command},
	{Name: "X_ACME_Any", At: func(i *iface) any { return &i.name }, Access: dm.ReadWrite, Inform: true},
	{Name: "Stats.BytesSent", At: func(i *iface) any { return &i.sent }, Notify: dm.NotifyNever},
}

// object declares params at path over a table with one row.
func object(path string, params []dm.Param[iface], edit func(*dm.Source[iface])) dm.Object {
	row := iface{status: "Up", name: "eth0", mtu: 1500, sent: 7}
	s := dm.Source[iface]{
		Rows: func(context.Context, []dm.Key) iter.Seq2[dm.Row[iface], error] {
			return func(yield func(dm.Row[iface], error) bool) { yield(dm.Row[iface]{Key: "eth0", Value: &row}, nil) }
		},
		New:   func(context.Context, []dm.Key) (dm.Key, *iface, error) { return "new", &iface{}, nil },
		Stage: func(context.Context, *dm.Tx, []dm.Key, dm.Change[iface]) error { return nil },
	}
	if edit != nil {
		edit(&s)
	}
	return dm.Define(path, params, s)
}

func tree(t testing.TB, objs ...dm.Object) *dm.Tree {
	t.Helper()
	tr, err := dm.New(dm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tr.Add(objs...); err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestGoodTreePasses(t *testing.T) {
	tr := tree(t, object("Device.IP.Interface.{i}.", good, nil), object("Device.X_ACME_Any.{i}.", good[:1], nil))
	r := Oracle(t, tr)
	if r.Known != 10 || len(r.Old) != 0 || !slices.Contains(r.Absent, "Device.IP.Interface.{i}.Router") || !slices.Contains(r.Absent, "Device.IP.Interface.{i}.Stats.BytesReceived") {
		t.Errorf("%d known, %v, absent %v", r.Known, r.Old, r.Absent)
	}
	narrow := tree(t, object("Device.IP.Interface.{i}.", good, func(s *dm.Source[iface]) { s.ReadOnly = []string{"Enable"} }))
	if r := Oracle(t, narrow); !slices.Equal(r.ReadOnly, []string{"Device.IP.Interface.{i}.Enable"}) {
		t.Errorf("narrower: %v", r.ReadOnly)
	}
	RoundTrip(t, tr)
}

func TestBadDeclarationsFail(t *testing.T) {
	at := func(i *iface) any { return &i.name }
	num := func(i *iface) any { return &i.last }
	for _, tt := range []struct {
		path  string
		param dm.Param[iface]
		want  string
	}{
		{"Device.IP.Interface.{i}.", dm.Param[iface]{Name: "Nope", At: at}, "no such parameter"},
		{"Device.Nope.{i}.", dm.Param[iface]{Name: "X_A", At: at}, "no such object"},
		{"Device.IP.Interface.{i}.", dm.Param[iface]{Name: "Name", At: num}, "is unsignedInt, in the table string"},
		{"Device.IP.Interface.{i}.", dm.Param[iface]{Name: "LowerLayers", At: at}, "in the table a list"},
		{"Device.IP.Interface.{i}.", dm.Param[iface]{Name: "Name", At: at, Access: dm.ReadWrite, Check: dm.Len{Max: 64}}, "is writable"},
		{"Device.IP.Interface.{i}.", dm.Param[iface]{Name: "MaxMTUSize", At: num, Access: dm.ReadWrite}, "the range is"},
		{"Device.IP.Interface.{i}.", dm.Param[iface]{Name: "MaxMTUSize", At: num, Check: dm.Range{Min: 64, Max: 9000}}, "the range is"},
		{"Device.IP.Interface.{i}.", dm.Param[iface]{Name: "Alias", At: func(i *iface) any { return &i.Alias }, Access: dm.ReadWrite}, "the size is"},
		{"Device.IP.Interface.{i}.", dm.Param[iface]{Name: "Status", At: at, Check: dm.Enum{"Up", "Sideways"}}, `"Sideways" is not in the table`},
		{"Device.IP.Interface.{i}.", dm.Param[iface]{Name: "Name", At: at, Inform: true}, "Inform is true"},
		{"Device.IP.Interface.{i}.", dm.Param[iface]{Name: "Name", At: at, Notify: dm.NotifyForced}, "notification policy"},
		{"Device.Users.User.{i}.", dm.Param[iface]{Name: "Password", At: at, Access: dm.ReadWrite, Check: dm.Len{Max: 64}}, "is hidden"},
		{"Device.Ethernet.Link.{i}.", dm.Param[iface]{Name: "MACAddress", At: at, Check: dm.Len{Max: 17}}, `in the table "MACAddress"`},
		{"Device.Hosts.Host.{i}.", dm.Param[iface]{Name: "X_A", At: at}, "rows can be added"},
		{"Device.DNS.Relay.Forwarding.{i}.", dm.Param[iface]{Name: "X_A", At: at}, "Source.Rename"},
	} {
		r := Device2().Compare(func(yield func(dm.Object) bool) {
			yield(object(tt.path, []dm.Param[iface]{tt.param}, nil))
		})
		if !slices.ContainsFunc(r.Errors, func(e string) bool { return strings.Contains(e, tt.want) }) {
			t.Errorf("%s%s: %q, want %q", tt.path, tt.param.Name, r.Errors, tt.want)
		}
	}
}

// recorder is a test that may fail.
type recorder struct {
	testing.TB
	errs []string
}

func (r *recorder) Helper()                      {}
func (r *recorder) Error(args ...any)            { r.errs = append(r.errs, fmt.Sprint(args...)) }
func (r *recorder) Errorf(f string, args ...any) { r.errs = append(r.errs, fmt.Sprintf(f, args...)) }

func TestRoundTripFindsFaults(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*dm.Source[iface])
		want string
	}{
		{"a value that is not in the table", func(s *dm.Source[iface]) {
			s.Rows = dm.One(func(context.Context, []dm.Key) (iface, error) { return iface{status: "Sideways", mtu: 1500}, nil })
		}, `reads as "Sideways"`},
		{"a value out of range", func(s *dm.Source[iface]) {
			s.Rows = dm.One(func(context.Context, []dm.Key) (iface, error) { return iface{status: "Up", mtu: 3}, nil })
		}, `writing back "3"`},
		{"a Load that does not know what Rows listed", func(s *dm.Source[iface]) {
			s.Load = func(context.Context, []dm.Key) (*iface, error) { return nil, dm.ErrGone }
		}, "by its own name"},
		{"a Stage that refuses what was read", func(s *dm.Source[iface]) {
			s.Stage = func(context.Context, *dm.Tx, []dm.Key, dm.Change[iface]) error { return dm.ErrDenied }
		}, "writing back"},
		{"a source that does not answer", func(s *dm.Source[iface]) {
			s.Rows = dm.One(func(context.Context, []dm.Key) (iface, error) { return iface{}, dm.ErrResources })
		}, "is left out"},
	} {
		r := &recorder{TB: t}
		RoundTrip(r, tree(t, object("Device.IP.Interface.{i}.", good, tt.edit)))
		if !slices.ContainsFunc(r.errs, func(e string) bool { return strings.Contains(e, tt.want) }) {
			t.Errorf("%s: found %q", tt.name, r.errs)
		}
	}
	r := &recorder{TB: t}
	RoundTrip(r, tree(t, object("Device.IP.Interface.{i}.", good, func(s *dm.Source[iface]) {
		s.Stage = func(context.Context, *dm.Tx, []dm.Key, dm.Change[iface]) error { return dm.ErrDenied }
	})), "Device.IP.")
	if len(r.errs) != 0 {
		t.Errorf("what was to be skipped: %q", r.errs)
	}
}

func TestTable(t *testing.T) {
	tb := Device2()
	n := 0
	for _, r := range tb {
		if !r.Object {
			n++
		}
	}
	if n != 7343+849 || len(tb)-n != 873+113 {
		t.Errorf("%d parameters, %d objects", n, len(tb)-n)
	}
	r := tb["Device.Time.Client.{i}.IPVersion"]
	if r == nil || len(r.Range) != 3 || r.Range[2].Min != -1 {
		t.Errorf("%+v", r)
	}
	if r := tb["Device.ManagementServer.ConnectionRequestURL"]; !r.Forced || r.Notify != "forceDefaultEnabled" {
		t.Errorf("%+v", r)
	}
}

func TestEdges(t *testing.T) {
	for _, tt := range []struct {
		info      dm.Info
		good, bad []string
	}{
		{dm.Info{Type: dm.UnsignedInt, Check: dm.Range{Min: 0, Max: 5}}, []string{"0", "5"}, []string{"-1", "6"}},
		{dm.Info{Type: dm.Int, Check: dm.AtLeast(-1)}, []string{"-1", "2147483647"}, []string{"-2", "2147483648"}},
		{dm.Info{Type: dm.String, Check: dm.Len{Min: 1, Max: 2}}, []string{"ää", "ä"}, []string{"äää", ""}},
		{dm.Info{Type: dm.HexBinary, Check: dm.Hex{Max: 1}}, []string{"0F"}, []string{"0F0F"}},
		{dm.Info{Type: dm.String, Check: dm.Written{Read: dm.Enum{"A", "B"}, Write: dm.Enum{"B"}}}, []string{"B"}, []string{"no such value"}},
	} {
		good, bad := Edges(tt.info)
		if !slices.Equal(good, tt.good) || !slices.Equal(bad, tt.bad) {
			t.Errorf("%+v: %q %q", tt.info.Check, good, bad)
		}
	}
}
