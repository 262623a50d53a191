package datamodel

// A small router in memory, which the tests of this package declare as a
// model: Box (no table), Port (rows of the system, with fixed sub-objects and a
// table below), Rule (rows that can be added), Host (volatile).

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/store/storetest"
)

type box struct {
	name, serial, password string
	start                  time.Time
	reset                  bool
	absent                 bool
}

type port struct {
	Alias   Alias
	enable  bool
	name    string
	mtu     uint32
	rx, tx  uint64
	lower   []Ref
	tags    []string
	key     []byte
	speed   int32
	changed bool
}

type addr struct {
	ip     string
	static bool
}

type rule struct {
	Alias    Alias
	enable   bool
	external uint32
	proto    string
	port     Ref
	label    string
}

type host struct {
	name string
	via  Ref
}

type router struct {
	box       box
	ports     map[string]port
	order     []string
	addrs     map[string][]addr
	hosts     []string
	rules     *Kept[rule]
	rulesFile *storetest.File
	numbers   *storetest.File
	journal   *storetest.File
	read      map[string]int // rows read, by object

	hostsErr    error
	prepareErr  error
	commitErr   error
	rollbackErr error
	preparing   func()
	log         []string
}

func newRouter() *router {
	r := &router{
		box: box{name: "gw", serial: "1", password: "secret"},
		ports: map[string]port{
			"lo":   {enable: true, name: "lo", mtu: 65535},
			"eth0": {enable: true, name: "eth0", mtu: 1500, rx: 1 << 40, tags: []string{"a,b", "c"}, key: []byte{0xab}},
			"eth1": {name: "eth1", mtu: 1500, lower: []Ref{{"Device.Port.{i}.", []Key{"eth0"}}}},
		},
		order:     []string{"lo", "eth0", "eth1"},
		addrs:     map[string][]addr{"eth0": {{"192.0.2.1", true}, {"192.0.2.2", false}}},
		hosts:     []string{"h1", "h2"},
		rulesFile: &storetest.File{}, numbers: &storetest.File{}, journal: &storetest.File{},
		read: map[string]int{},
	}
	r.rules = NewKept("rules", ruleParams, r.rulesFile)
	r.rules.Default = &rule{proto: "TCP"}
	return r
}

var boxParams = []Param[box]{
	{Name: "Name", At: func(b *box) any { return &b.name }, Access: ReadWrite, Check: Len{Max: 8}, Notify: NotifyForced, Inform: true},
	{Name: "SerialNumber", At: func(b *box) any { return &b.serial }, Inform: true},
	{Name: "Password", At: func(b *box) any { return &b.password }, Access: ReadWrite, Hidden: true},
	{Name: "Start", At: func(b *box) any { return &b.start }},
	{Name: "Reset", At: func(b *box) any { return &b.reset }, Access: Command},
	{Name: "Boot.Reason", At: func(b *box) any { return &b.serial }},
	{Name: "Boot.Detail.Code", At: func(b *box) any { return &b.serial }},
}

var portParams = []Param[port]{
	{Name: "Alias", At: func(p *port) any { return &p.Alias }, Access: ReadWrite, Check: Len{Max: 64}},
	{Name: "Enable", At: func(p *port) any { return &p.enable }, Access: ReadWrite},
	{Name: "Name", At: func(p *port) any { return &p.name }},
	{Name: "MTU", At: func(p *port) any { return &p.mtu }, Access: ReadWrite, Check: Range{64, 65535}},
	{Name: "LowerLayers", At: func(p *port) any { return &p.lower }, Access: ReadWrite, Refs: []string{"Device.Port.{i}."}},
	{Name: "Tags", At: func(p *port) any { return &p.tags }, Access: ReadWrite, Check: List{Of: Len{Max: 4}, MaxItems: 3}},
	{Name: "Key", At: func(p *port) any { return &p.key }, Access: ReadWrite, Check: Hex{Max: 4}},
	{Name: "Speed", At: func(p *port) any { return &p.speed }, Access: ReadWrite, Check: Spans{{-1, -1}, {10, 100}}},
	{Name: "Stats.BytesReceived", At: func(p *port) any { return &p.rx }, Notify: NotifyNever},
	{Name: "Stats.BytesSent", At: func(p *port) any { return &p.tx }, Notify: NotifyNever},
}

var addrParams = []Param[addr]{
	{Name: "IPAddress", At: func(a *addr) any { return &a.ip }, Access: ReadWrite, Check: IPv4Address{}},
	{Name: "Static", At: func(a *addr) any { return &a.static }},
}

var ruleParams = []Param[rule]{
	{Name: "Alias", At: func(r *rule) any { return &r.Alias }, Access: ReadWrite},
	{Name: "Enable", At: func(r *rule) any { return &r.enable }, Access: ReadWrite},
	{Name: "ExternalPort", At: func(r *rule) any { return &r.external }, Access: ReadWrite, Check: Range{0, 65535}},
	{Name: "Protocol", At: func(r *rule) any { return &r.proto }, Access: ReadWrite, Check: Enum{"TCP", "UDP"}},
	{Name: "Port", At: func(r *rule) any { return &r.port }, Access: ReadWrite, Refs: []string{"Device.Port.{i}.", "Device.Rule.{i}."}},
	{Name: "Label", At: func(r *rule) any { return &r.label }, Access: ReadWrite, Check: Len{Max: 16}},
}

var hostParams = []Param[host]{
	{Name: "HostName", At: func(h *host) any { return &h.name }},
	{Name: "Via", At: func(h *host) any { return &h.via }},
}

const (
	topicPort Topic = iota + 1
	topicHost
)

// batch is a participant that logs, and fails as the router is told.
type batch struct {
	r    *router
	do   []func()
	undo []func()
}

func (b *batch) Prepare(context.Context) error {
	b.r.log = append(b.r.log, "prepare")
	if b.r.preparing != nil {
		b.r.preparing()
	}
	return b.r.prepareErr
}
func (b *batch) Commit(context.Context) (bool, error) {
	b.r.log = append(b.r.log, "commit")
	for _, f := range b.do {
		f()
	}
	return false, b.r.commitErr
}
func (b *batch) Rollback(context.Context) error {
	b.r.log = append(b.r.log, "rollback")
	for _, f := range slices.Backward(b.undo) {
		f()
	}
	return b.r.rollbackErr
}
func (b *batch) Undo() (string, []byte) { return "batch", []byte("how to undo\n\x00") }

func (r *router) enlist(tx *Tx) *batch {
	b, _ := Enlist(tx, r, func() (*batch, error) { return &batch{r: r}, nil })
	return b
}

func (r *router) portSource() Source[port] {
	return Source[port]{
		Rows: func(ctx context.Context, _ []Key) iter.Seq2[Row[port], error] {
			return func(yield func(Row[port], error) bool) {
				for _, k := range r.order {
					r.read["port"]++
					if !yield(Row[port]{k, new(r.ports[k])}, nil) {
						return
					}
				}
			}
		},
		Keys: func(ctx context.Context, _ []Key) iter.Seq2[Key, error] {
			return func(yield func(Key, error) bool) {
				for _, k := range r.order {
					if !yield(k, nil) {
						return
					}
				}
			}
		},
		Load: func(ctx context.Context, at []Key) (*port, error) {
			r.read["port"]++
			p, ok := r.ports[at[0]]
			if !ok {
				return nil, fmt.Errorf("port %s: %w", at[0], ErrGone)
			}
			return &p, nil
		},
		Check: func(c Change[port]) error {
			if c.New != nil && c.New.mtu == 666 {
				return &FieldError{"MTU", errors.New("the number of the beast")}
			}
			if c.New != nil && c.New.mtu == 667 {
				return errors.New("bad row")
			}
			return nil
		},
		Stage: func(ctx context.Context, tx *Tx, at []Key, c Change[port]) error {
			b := r.enlist(tx)
			old, nu := *c.Old, *c.New
			nu.changed = c.Set("MTU")
			b.do = append(b.do, func() { r.ports[at[0]] = nu })
			b.undo = append(b.undo, func() { r.ports[at[0]] = old })
			return nil
		},
		Topics: []Topic{topicPort},
	}
}

func (r *router) addrSource() Source[addr] {
	return Source[addr]{
		Rows: func(ctx context.Context, parent []Key) iter.Seq2[Row[addr], error] {
			return func(yield func(Row[addr], error) bool) {
				for _, a := range slices.Clone(r.addrs[parent[0]]) {
					r.read["addr"]++
					if !yield(Row[addr]{a.ip, &a}, nil) {
						return
					}
				}
			}
		},
		New: func(_ context.Context, parent []Key) (Key, *addr, error) {
			return fmt.Sprintf("new%d", len(r.log)), &addr{static: true}, nil
		},
		Stage: func(ctx context.Context, tx *Tx, at []Key, c Change[addr]) error {
			b := r.enlist(tx)
			list := slices.Clone(r.addrs[at[0]])
			b.undo = append(b.undo, func() { r.addrs[at[0]] = list })
			key := at[1]
			if c.New != nil && c.New.ip != "" && c.New.ip != key {
				tx.Rekey("Device.Port.{i}.Address.{i}.", at[:1], key, c.New.ip)
			}
			b.do = append(b.do, func() {
				l := slices.DeleteFunc(slices.Clone(r.addrs[at[0]]), func(a addr) bool { return a.ip == key })
				if c.New != nil {
					l = append(l, *c.New)
				}
				r.addrs[at[0]] = l
			})
			if c.New == nil {
				r.log = append(r.log, "delete address "+key)
			}
			return nil
		},
		Unique: [][]string{{"IPAddress"}},
	}
}

func (r *router) objects() []Object {
	return []Object{
		Define("Device.Box.", boxParams, Source[box]{
			Rows: One(func(context.Context, []Key) (box, error) {
				r.read["box"]++
				if r.box.absent {
					return box{}, ErrGone
				}
				return r.box, nil
			}),
			Stage: func(_ context.Context, tx *Tx, _ []Key, c Change[box]) error {
				b := r.enlist(tx)
				old := *c.Old
				b.do = append(b.do, func() {
					r.box = *c.New
					if c.Set("Reset") && c.New.reset {
						r.log = append(r.log, "reset")
					}
				})
				b.undo = append(b.undo, func() { r.box = old })
				tx.After("reload", "box")
				return nil
			},
		}),
		Define("Device.Port.{i}.", portParams, r.portSource()),
		Define("Device.Port.{i}.Address.{i}.", addrParams, r.addrSource()),
		Define("Device.Rule.{i}.", ruleParams, Source[rule]{
			Rows: r.rules.Rows, Keys: r.rules.Keys, Load: r.rules.Load, New: r.rules.New, Stage: r.rules.Stage,
			Unique: [][]string{{"ExternalPort", "Protocol"}},
		}),
		Define("Device.Hosts.Host.{i}.", hostParams, Source[host]{
			Rows: func(context.Context, []Key) iter.Seq2[Row[host], error] {
				return func(yield func(Row[host], error) bool) {
					if r.hostsErr != nil {
						yield(Row[host]{}, r.hostsErr)
						return
					}
					for _, h := range r.hosts {
						r.read["host"]++
						if !yield(Row[host]{h, &host{h, Ref{"Device.Port.{i}.", []Key{"eth1"}}}}, nil) {
							return
						}
					}
				}
			},
			Volatile: true, Topics: []Topic{topicHost},
		}),
	}
}

func (r *router) tree(t testing.TB) *Tree {
	t.Helper()
	tree, err := New(Options{Numbers: r.numbers, Journal: r.journal})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tree.Add(r.objects()...); err != nil {
		t.Fatal(err)
	}
	return tree
}

// values reads path as lines of "name=value", or one that begins with "error".
func values(t testing.TB, r *Reader, path string) []string {
	t.Helper()
	var out []string
	for it, err := range r.Values(t.Context(), path) {
		if err != nil {
			return append(out, "error: "+err.Error())
		}
		out = append(out, it.Name+"="+it.Value)
	}
	return out
}

func names(t testing.TB, r *Reader, path string, next bool) []string {
	t.Helper()
	var out []string
	for n, err := range r.Names(t.Context(), path, next) {
		if err != nil {
			return append(out, "error: "+err.Error())
		}
		s := n.Path
		if n.Writable {
			s += " w"
		}
		if n.Object != strings.HasSuffix(n.Path, ".") {
			t.Errorf("%s: object %v", n.Path, n.Object)
		}
		out = append(out, s)
	}
	return out
}

func begin(t testing.TB, tree *Tree) *Tx {
	t.Helper()
	tx, err := tree.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

// set runs one transaction of assignments, name and value by turns.
func set(t testing.TB, tree *Tree, kv ...string) error {
	t.Helper()
	tx := begin(t, tree)
	defer tx.Abort()
	if err := tx.Set(t.Context(), assign(kv...)...); err != nil {
		return err
	}
	_, err := tx.Commit(t.Context())
	return err
}

func assign(kv ...string) []Assignment {
	var as []Assignment
	for i := 0; i < len(kv); i += 2 {
		as = append(as, Assignment{Path: kv[i], Value: kv[i+1]})
	}
	return as
}

func add(t testing.TB, tree *Tree, table string, kv ...string) Added {
	t.Helper()
	tx := begin(t, tree)
	defer tx.Abort()
	a, err := tx.Add(t.Context(), table)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(kv); i += 2 {
		if err := tx.Set(t.Context(), Assignment{Path: a.Path + kv[i], Value: kv[i+1]}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	return a
}

func get(t testing.TB, tree *Tree, path string) string {
	t.Helper()
	it, err := tree.Reader(ReadOptions{}).Get(t.Context(), path)
	if err != nil {
		return "error: " + err.Error()
	}
	return it.Value
}

func equal(t testing.TB, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got\n  %s\nwant\n  %s", what, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}
