package datamodel

// Reading: values, names, what is left out, extensions.

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"
)

func TestValues(t *testing.T) {
	r := newRouter()
	tree := r.tree(t)
	rd := tree.Reader(ReadOptions{})
	for _, tt := range []struct {
		path string
		want []string
	}{
		{"Device.Box.Name", []string{"Device.Box.Name=gw"}},
		{"Device.Box.Password", []string{"Device.Box.Password="}},
		{"Device.Box.Reset", []string{"Device.Box.Reset=false"}},
		{"Device.Box.Start", []string{"Device.Box.Start=0001-01-01T00:00:00Z"}},
		{"Device.Box.Boot.", []string{"Device.Box.Boot.Reason=1", "Device.Box.Boot.Detail.Code=1"}},
		{"Device.Box.Boot.Detail.Code", []string{"Device.Box.Boot.Detail.Code=1"}},
		{"Device.Port.2.MTU", []string{"Device.Port.2.MTU=1500"}},
		{"Device.Port.2.Stats.", []string{"Device.Port.2.Stats.BytesReceived=1099511627776", "Device.Port.2.Stats.BytesSent=0"}},
		{"Device.Port.2.Key", []string{"Device.Port.2.Key=AB"}},
		{"Device.Port.2.Tags", []string{"Device.Port.2.Tags=a%2Cb,c"}},
		{"Device.Port.3.LowerLayers", []string{"Device.Port.3.LowerLayers=Device.Port.2"}},
		{"Device.Port.*.Name", []string{"Device.Port.1.Name=lo", "Device.Port.2.Name=eth0", "Device.Port.3.Name=eth1"}},
		{"Device.Port.[cpe-3].Name", []string{"Device.Port.[cpe-3].Name=eth1"}},
		{"Device.Port.*.Address.*.IPAddress", []string{"Device.Port.2.Address.1.IPAddress=192.0.2.1", "Device.Port.2.Address.2.IPAddress=192.0.2.2"}},
		{"Device.Port.2.AddressNumberOfEntries", []string{"Device.Port.2.AddressNumberOfEntries=2"}},
		{"Device.PortNumberOfEntries", []string{"Device.PortNumberOfEntries=3"}},
		{"Device.Hosts.HostNumberOfEntries", []string{"Device.Hosts.HostNumberOfEntries=2"}},
		{"Device.Hosts.", []string{"Device.Hosts.Host.1.HostName=h1", "Device.Hosts.Host.1.Via=Device.Port.3",
			"Device.Hosts.Host.2.HostName=h2", "Device.Hosts.Host.2.Via=Device.Port.3", "Device.Hosts.HostNumberOfEntries=2"}},
		{"Device.Rule.", nil},
		{"Device.Rule.*.Enable", nil},
		{"Device.Port.1.Address.", nil},
	} {
		equal(t, tt.path, values(t, rd, tt.path), tt.want)
	}
	for _, path := range []string{
		"Device", "Devic.", "X", "Device.Nope", "Device.Nope.", "Device.Port", "Device.Port.1", "Device.Port.9.", "Device.Port.9.MTU",
		"Device.Port.0.MTU", "Device.Port.01.MTU", "Device.Port.MTU", "Device.Port.*.Nope", "Device.Port.{i}.MTU", "Device.Port.1.MTU.",
		"Device.Port.1.Stats", "Device.Port.[nope].MTU", "Device.Port.[cpe-9].MTU", "Device.Hosts.Host.[cpe-1].HostName", "Device.Box.RetryCount\t",
		"Device..Box.", "Device.*.", "Device.Box", "Device.Port.1.Address.1.IPAddress", "Device.Port.4294967296.MTU", "device.Box.Name", ".", "Device.Rule.1.Enable",
	} {
		got := values(t, rd, path)
		if len(got) != 1 || !strings.Contains(got[0], ErrNoName.Error()) {
			t.Errorf("%q: got %q, want an invalid name", path, got)
		}
	}
}

func TestWholeTreeIsTheSameByBothNames(t *testing.T) {
	rd := newRouter().tree(t).Reader(ReadOptions{})
	a, b := values(t, rd, ""), values(t, rd, "Device.")
	equal(t, "whole tree", a, b)
	if len(a) != 7+3*11+2*2+2*2+3 {
		t.Errorf("%d parameters:\n%s", len(a), strings.Join(a, "\n"))
	}
}

// Every leaf that is listed can be read by its name, and nothing else is read
// (field.md 22: GPN lists names that GPV refuses).
func TestNamesAndValuesAgree(t *testing.T) {
	rd := newRouter().tree(t).Reader(ReadOptions{})
	var leaves []string
	for n, err := range rd.Names(t.Context(), "", false) {
		if err != nil {
			t.Fatal(err)
		}
		if n.Object {
			if got := values(t, rd, n.Path); len(got) == 1 && strings.HasPrefix(got[0], "error") {
				t.Errorf("%s is listed: %s", n.Path, got[0])
			}
			continue
		}
		leaves = append(leaves, n.Path)
		if _, err := rd.Get(t.Context(), n.Path); err != nil {
			t.Error(err)
		}
	}
	read := map[string]bool{}
	for it := range rd.Values(t.Context(), "") {
		read[it.Name] = true
	}
	for _, l := range leaves {
		if !read[l] {
			t.Errorf("%s is listed and not read", l)
		}
	}
	if len(leaves) != len(read) {
		t.Errorf("%d names, %d values", len(leaves), len(read))
	}
}

func TestNames(t *testing.T) {
	r := newRouter()
	rd := r.tree(t).Reader(ReadOptions{})
	for _, tt := range []struct {
		path string
		next bool
		want []string
	}{
		{"", true, []string{"Device."}},
		{"Device.", true, []string{"Device.Box.", "Device.PortNumberOfEntries", "Device.Port.", "Device.RuleNumberOfEntries", "Device.Rule. w", "Device.Hosts."}},
		{"Device.Box.", true, []string{"Device.Box.Name w", "Device.Box.SerialNumber", "Device.Box.Password w", "Device.Box.Start", "Device.Box.Reset w", "Device.Box.Boot."}},
		{"Device.Box.Boot.", false, []string{"Device.Box.Boot.", "Device.Box.Boot.Reason", "Device.Box.Boot.Detail.", "Device.Box.Boot.Detail.Code"}},
		{"Device.Box.Boot.", true, []string{"Device.Box.Boot.Reason", "Device.Box.Boot.Detail."}},
		{"Device.Port.", true, []string{"Device.Port.1.", "Device.Port.2.", "Device.Port.3."}},
		{"Device.Port.2.Address.", false, []string{"Device.Port.2.Address. w", "Device.Port.2.Address.1. w", "Device.Port.2.Address.1.IPAddress w", "Device.Port.2.Address.1.Static",
			"Device.Port.2.Address.2. w", "Device.Port.2.Address.2.IPAddress w", "Device.Port.2.Address.2.Static"}},
		{"Device.Hosts.", true, []string{"Device.Hosts.HostNumberOfEntries", "Device.Hosts.Host."}},
		{"Device.Box.Name", false, []string{"Device.Box.Name w"}},
		{"Device.PortNumberOfEntries", false, []string{"Device.PortNumberOfEntries"}},
		{"Device.Port.[cpe-2].Stats.", false, []string{"Device.Port.[cpe-2].Stats.", "Device.Port.[cpe-2].Stats.BytesReceived", "Device.Port.[cpe-2].Stats.BytesSent"}},
		{"Device.Port.*.MTU", false, []string{"Device.Port.1.MTU w", "Device.Port.2.MTU w", "Device.Port.3.MTU w"}},
		{"Device.Rule.", false, []string{"Device.Rule. w"}},
		{"Device.Rule.", true, nil},
	} {
		equal(t, tt.path, names(t, rd, tt.path, tt.next), tt.want)
	}
	for path, want := range map[string]error{"Device.Box.Name": ErrArguments, "Device.PortNumberOfEntries": ErrArguments, "Device.Nope": ErrNoName, "Device.Box": ErrNoName, "Device.Port.9.": ErrNoName} {
		for _, err := range rd.Names(t.Context(), path, true) {
			if !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", path, err, want)
			}
		}
	}
}

func TestNamesReadKeysNotRows(t *testing.T) {
	r := newRouter()
	tree := r.tree(t)
	names(t, tree.Reader(ReadOptions{}), "Device.Port.", true)
	names(t, tree.Reader(ReadOptions{}), "Device.Port.2.", false)
	if r.read["port"] > 1 { // one Load to see that 2 is there
		t.Errorf("%d rows read", r.read["port"])
	}
}

func TestLazy(t *testing.T) {
	r := newRouter()
	for range r.tree(t).Values(t.Context(), "") {
		break
	}
	if n := r.read["box"] + r.read["port"]; n != 1 {
		t.Errorf("taking one value read %d rows", n)
	}
	r = newRouter()
	values(t, r.tree(t).Reader(ReadOptions{}), "Device.")
	if r.read["port"] != 3+2 || r.read["addr"] != 2 || r.read["box"] != 1 || r.read["host"] != 2 {
		t.Errorf("one walk reads each row once, and once more each row that is pointed to: %v", r.read)
	}
}

func TestAliasesInNames(t *testing.T) {
	r := newRouter()
	tree := r.tree(t)
	if err := set(t, tree, "Device.Port.2.Alias", "wan.1"); err != nil {
		t.Fatal(err)
	}
	rd := tree.Reader(ReadOptions{Aliases: true})
	equal(t, "aliases", values(t, rd, "Device.Port.*.Name"), []string{"Device.Port.[cpe-1].Name=lo", "Device.Port.[wan.1].Name=eth0", "Device.Port.[cpe-3].Name=eth1"})
	equal(t, "as written above", values(t, rd, "Device.Port.2.Address."), []string{
		"Device.Port.2.Address.1.IPAddress=192.0.2.1", "Device.Port.2.Address.1.Static=true", "Device.Port.2.Address.2.IPAddress=192.0.2.2", "Device.Port.2.Address.2.Static=false"})
	equal(t, "found", values(t, rd, "Device.Port.[wan.1].Alias"), []string{"Device.Port.[wan.1].Alias=wan.1"})
	if got := values(t, rd, "Device.Port.[cpe-2].Alias"); !strings.Contains(got[0], ErrNoName.Error()) {
		t.Errorf("the old alias still leads there: %v", got)
	}
	equal(t, "after a restart", values(t, r.tree(t).Reader(ReadOptions{}), "Device.Port.[wan.1].Name"), []string{"Device.Port.[wan.1].Name=eth0"})
}

func TestUnavailable(t *testing.T) {
	r := newRouter()
	tree := r.tree(t)
	r.hostsErr = &Unavailable{"neighbours", errors.New("timeout")}
	var warned []string
	rd := tree.Reader(ReadOptions{Unavailable: func(p string, err error) { warned = append(warned, p+" "+err.Error()) }})
	for _, v := range values(t, rd, "Device.") {
		if strings.HasPrefix(v, "error") || strings.HasPrefix(v, "Device.Hosts.") {
			t.Error(v)
		}
	}
	equal(t, "one warning", warned, []string{"Device.Hosts.Host. neighbours is not available: timeout"})
	for _, path := range []string{"Device.Hosts.Host.", "Device.Hosts.Host.1.HostName", "Device.Hosts.Host.1.", "Device.Hosts.HostNumberOfEntries"} {
		var u *Unavailable
		for _, err := range rd.Values(t.Context(), path) {
			if !errors.As(err, &u) || u.Source != "neighbours" {
				t.Errorf("%s: %v", path, err)
			}
		}
		if u == nil {
			t.Errorf("%s: no error", path)
		}
	}
	r.hostsErr = errors.New("broken pipe") // of no known kind: as good as unavailable
	if got := values(t, rd, "Device."); len(got) == 0 || strings.HasPrefix(got[len(got)-1], "error") {
		t.Errorf("%v", got)
	}
	r.hostsErr = ErrGone
	equal(t, "gone", values(t, rd, "Device.Hosts.Host."), nil)
}

func TestAbsentObject(t *testing.T) {
	r := newRouter()
	r.box.absent = true
	rd := r.tree(t).Reader(ReadOptions{})
	for _, path := range []string{"Device.Box.", "Device.Box.Name", "Device.Box.Boot."} {
		if got := values(t, rd, path); len(got) != 1 || !strings.Contains(got[0], ErrNoName.Error()) {
			t.Errorf("%s: %v", path, got)
		}
		if got := names(t, rd, path, false); len(got) != 1 || !strings.Contains(got[0], ErrNoName.Error()) {
			t.Errorf("%s: %v", path, got)
		}
	}
	for _, n := range names(t, rd, "Device.", true) {
		if n == "Device.Box." {
			t.Error("an absent object is listed")
		}
	}
}

func TestCancelledWalk(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	tree := newRouter().tree(t)
	var last error
	for _, err := range tree.Values(ctx, "") {
		last = err
		cancel()
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("got %v", last)
	}
}

func TestInform(t *testing.T) {
	r := newRouter()
	var got []string
	for it, err := range r.tree(t).Inform(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, it.Name+"="+it.Value)
	}
	equal(t, "Inform", got, []string{"Device.Box.Name=gw", "Device.Box.SerialNumber=1"})
	if r.read["port"] != 0 || r.read["host"] != 0 {
		t.Errorf("rows read: %v", r.read)
	}
}

func TestDescribe(t *testing.T) {
	tree := newRouter().tree(t)
	for path, want := range map[string]Info{
		"Device.Box.Name":            {Path: "Device.Box.Name", Type: String, Access: ReadWrite, Writable: true, Notify: NotifyForced, Inform: true},
		"Device.Port.[cpe-2].MTU":    {Path: "Device.Port.2.MTU", Type: UnsignedInt, Access: ReadWrite, Writable: true},
		"Device.Port.2.Stats.":       {Path: "Device.Port.2.Stats.", Object: true},
		"Device.Port.":               {Path: "Device.Port.", Object: true},
		"Device.Rule.":               {Path: "Device.Rule.", Object: true, Writable: true},
		"Device.Port.2.Address.1.":   {Path: "Device.Port.2.Address.1.", Object: true, Writable: true},
		"Device.PortNumberOfEntries": {Path: "Device.PortNumberOfEntries", Type: UnsignedInt},
		"Device.Hosts.Host.1.Via":    {Path: "Device.Hosts.Host.1.Via", Type: String},
		"":                           {Path: "Device.", Object: true},
	} {
		got, err := tree.Describe(t.Context(), path)
		if err != nil || got.Path != want.Path || got.Object != want.Object || got.Type != want.Type || got.Access != want.Access ||
			got.Writable != want.Writable || got.Notify != want.Notify || got.Inform != want.Inform {
			t.Errorf("%s: %+v, %v", path, got, err)
		}
	}
	for _, path := range []string{"Device.Port.9.MTU", "Device.Port.*.MTU", "Device.Port.2", "Device.Nope."} {
		if got, err := tree.Describe(t.Context(), path); !errors.Is(err, ErrNoName) {
			t.Errorf("%s: %+v, %v", path, got, err)
		}
	}
}

func TestConcerns(t *testing.T) {
	tree := newRouter().tree(t)
	for _, tt := range []struct {
		path  string
		topic Topic
		want  bool
	}{
		{"Device.Port.1.MTU", topicPort, true},
		{"Device.Port.[x].Stats.BytesSent", topicPort, true},
		{"Device.PortNumberOfEntries", topicPort, true},
		{"Device.", topicPort, true},
		{"Device.Port.*.", topicPort, true},
		{"Device.Port.1.MTU", topicHost, false},
		{"Device.Port.1.Address.1.IPAddress", topicPort, false},
		{"Device.Hosts.", topicHost, true},
		{"Device.Box.", topicHost, false},
		{"nonsense", topicHost, false},
	} {
		if got := tree.Concerns(tt.path, tt.topic); got != tt.want {
			t.Errorf("%s, %d: %v", tt.path, tt.topic, got)
		}
	}
}

func TestOnce(t *testing.T) {
	n := 0
	load := func(context.Context) (string, error) { n++; return "0123456789", nil }
	size := func(s string) int { return len(s) }
	once := func(ctx context.Context, key any) { _, _ = Once(ctx, key, size, load) }
	once(t.Context(), 1)
	once(t.Context(), 1)
	if n != 2 {
		t.Errorf("without a memo: %d", n)
	}
	ctx := withMemo(t.Context(), 15)
	n = 0
	for range 3 {
		once(ctx, 1)
	}
	if n != 1 {
		t.Errorf("with a memo: %d", n)
	}
	for range 3 {
		once(ctx, 2) // does not fit any more
	}
	if n != 4 {
		t.Errorf("beyond the cap: %d", n)
	}
	fail := 0
	for range 3 {
		if _, err := Once(ctx, 3, size, func(context.Context) (string, error) { fail++; return "", errors.New("timeout") }); err == nil {
			t.Error("no error")
		}
	}
	if fail != 1 {
		t.Errorf("an error was asked for %d times", fail)
	}
	forgetAll(ctx)
	n = 0
	once(ctx, 1)
	if n != 1 {
		t.Error("a commit leaves old values behind")
	}
}

func TestExtends(t *testing.T) {
	r := newRouter()
	tree := r.tree(t)
	type extra struct {
		note string
		bad  bool
	}
	notes := map[string]*extra{"eth0": {note: "x"}, "eth1": {note: "y"}}
	params := []Param[extra]{
		{Name: "X_ACME_Note", At: func(e *extra) any { return &e.note }, Access: ReadWrite, Check: Len{Max: 3}},
		{Name: "Stats.X_ACME_Bad", At: func(e *extra) any { return &e.bad }},
	}
	src := Source[extra]{
		Extends: true,
		Load: func(_ context.Context, at []Key) (*extra, error) {
			if e := notes[at[0]]; e != nil {
				return e, nil
			}
			return nil, ErrGone
		},
		Stage: func(_ context.Context, tx *Tx, at []Key, c Change[extra]) error {
			r.enlist(tx).do = append(r.enlist(tx).do, func() { *notes[at[0]] = *c.New })
			return nil
		},
	}
	sub := Define("Device.Port.{i}.X_ACME_Sub.{i}.", hostParams, Source[host]{Extends: true, Rows: func(_ context.Context, parent []Key) iter.Seq2[Row[host], error] {
		return func(yield func(Row[host], error) bool) { yield(Row[host]{"k", &host{name: parent[0]}}, nil) }
	}})
	remove, err := tree.Add(sub, Define("Device.Port.{i}.", params, src))
	if err != nil {
		t.Fatal(err)
	}
	rd := tree.Reader(ReadOptions{})
	equal(t, "extra", values(t, rd, "Device.Port.*.X_ACME_Note"), []string{"Device.Port.2.X_ACME_Note=x", "Device.Port.3.X_ACME_Note=y"})
	equal(t, "sub-object", names(t, rd, "Device.Port.2.Stats.", false), []string{"Device.Port.2.Stats.", "Device.Port.2.Stats.BytesReceived", "Device.Port.2.Stats.BytesSent", "Device.Port.2.Stats.X_ACME_Bad"})
	equal(t, "table", values(t, rd, "Device.Port.2.X_ACME_Sub.1.HostName"), []string{"Device.Port.2.X_ACME_Sub.1.HostName=eth0"})
	if got := get(t, tree, "Device.Port.1.X_ACME_Note"); !strings.Contains(got, ErrNoName.Error()) {
		t.Error(got)
	}
	if got := names(t, rd, "Device.Port.1.X_ACME_Note", false); len(got) != 1 || !strings.HasPrefix(got[0], "error") {
		t.Error(got)
	}
	if err := set(t, tree, "Device.Port.2.X_ACME_Note", "new", "Device.Port.2.MTU", "1400"); err != nil {
		t.Fatal(err)
	}
	if notes["eth0"].note != "new" || r.ports["eth0"].mtu != 1400 {
		t.Errorf("%v %v", notes["eth0"], r.ports["eth0"])
	}
	if _, err := tree.Add(Define("Device.Port.{i}.", params, src)); err == nil {
		t.Error("the same names twice")
	}
	remove()
	remove()
	if got := get(t, tree, "Device.Port.2.X_ACME_Note"); !strings.Contains(got, ErrNoName.Error()) {
		t.Error(got)
	}
}

func TestAddAllOrNone(t *testing.T) {
	tree := newRouter().tree(t)
	before := names(t, tree.Reader(ReadOptions{}), "", false)
	one := func(path string) Object {
		return Define(path, []Param[box]{{Name: "V", At: func(b *box) any { return &b.name }}}, Source[box]{Rows: One(func(context.Context, []Key) (box, error) { return box{}, nil })})
	}
	for _, bad := range []Object{one("Device.Box."), one("Device.Port.{i}."), one("Device.Rule."), one("Device.No.{i}.Sub."), one("Device.Box.Name.")} {
		if _, err := tree.Add(one("Device.X_ACME_A."), bad); err == nil {
			t.Errorf("%s was taken", bad.Path())
		}
	}
	equal(t, "unchanged", names(t, tree.Reader(ReadOptions{}), "", false), before)
	remove, err := tree.Add(one("Device.X_ACME_A.B."), one("Device.X_ACME_A."))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "island", names(t, tree.Reader(ReadOptions{}), "Device.X_ACME_A.", false), []string{"Device.X_ACME_A.", "Device.X_ACME_A.V", "Device.X_ACME_A.B.", "Device.X_ACME_A.B.V"})
	remove()
	equal(t, "removed", names(t, tree.Reader(ReadOptions{}), "", false), before)
}
