package tr181_test

import (
	"context"
	"errors"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/datamodel"
	"gatehouse/datamodel/tr181"
	"gatehouse/internal/store/storetest"
	"gatehouse/platform"
	"gatehouse/platform/fake"
)

// A recorder remembers the first text that was saved.
type recorder struct {
	*storetest.File
	first []byte
}

func (r *recorder) Save(b []byte) error {
	if r.first == nil {
		r.first = slices.Clone(b)
	}
	return r.File.Save(b)
}

// Settings in memory, with their half of a transaction.
type settings map[string]string

func (s settings) Get(name string) string { return s[name] }

func (s settings) Stage(tx *datamodel.Tx, name, value string) error {
	b, err := datamodel.Enlist(tx, "settings", func() (*settingsBatch, error) {
		return &settingsBatch{s: s, set: map[string]string{}}, nil
	})
	if err == nil {
		b.set[name] = value
	}
	return err
}

type settingsBatch struct{ s, old, set settings }

func (b *settingsBatch) Prepare(context.Context) error { b.old = maps.Clone(b.s); return nil }
func (b *settingsBatch) Commit(context.Context) (bool, error) {
	maps.Copy(b.s, b.set)
	return false, nil
}
func (b *settingsBatch) Rollback(context.Context) error {
	if b.old == nil {
		return nil // never prepared
	}
	clear(b.s)
	maps.Copy(b.s, b.old)
	return nil
}

type reach string

func (r reach) ConnectionRequestURL() string { return string(r) }

// nat is behind one; xmpp keeps one connection, which one its string says.
type nat struct{}

func (nat) UDPAddress() (bool, string) { return true, "198.51.100.9:31000" }

type xmpp struct{ key *datamodel.Key }

func (x xmpp) Connection(key datamodel.Key) (tr181.XMPPStatus, bool) {
	if key != *x.key {
		return tr181.XMPPStatus{}, false
	}
	return tr181.XMPPStatus{JabberID: "cpe@example.com/cwmp", Status: "Enabled", TLS: true, ReceivedMessages: 3}, true
}

// A house is a tree over a router in memory, and what it keeps.
type house struct {
	testing.TB
	router   *fake.Router
	platform platform.Platform
	settings settings
	files    map[string]*storetest.File
	journal  datamodel.Backing
	schemas  *datamodel.Schemas // nil: of its own
	dead     error              // of the files that the agent keeps; nil: they can be read
	tests    tests
	xmpp     datamodel.Key // of the connection that the agent keeps
	voice    voice
	gateway  tr181.Gateway
	model    *tr181.Model
	tree     *datamodel.Tree
}

func build(t testing.TB) *house { return buildOn(t, fake.New()) }

// both are the two kinds of router: links are its IP interfaces, or it has
// logical ones.
var both = map[string]func() *fake.Router{"links": fake.New, "logical": fake.NewLogical}

func buildOn(t testing.TB, r *fake.Router) *house {
	t.Helper()
	h := &house{TB: t, router: r, platform: r.Platform(), files: map[string]*storetest.File{}, settings: settings{
		"ManagementServer.URL": "https://acs.example/", "ManagementServer.Username": "user", "ManagementServer.Password": "secret",
		"ManagementServer.PeriodicInformEnable": "true", "ManagementServer.PeriodicInformInterval": "1800",
		"ManagementServer.CWMPRetryMinimumWaitInterval": "5", "ManagementServer.CWMPRetryIntervalMultiplier": "2000",
		"ManagementServer.EnableCWMP": "true", "ManagementServer.HTTPConnectionRequestEnable": "true",
		"ManagementServer.InstanceMode": "InstanceNumber", "ManagementServer.HTTPCompression": "Disabled",
		"ManagementServer.STUNMaximumKeepAlivePeriod": "-1", "ManagementServer.STUNServerPort": "3478",
		"ManagementServer.UDPLightweightNotificationPort": "7547",
		"ManagementServer.DelayReboot":                    "-1", "DeviceInfo.ProvisioningCode": "abc",
	}}
	h.voice.says = phone()
	h.gateway = tr181.Gateway{OUI: "00005e", ProductClass: "Gateway", SerialNumber: "GW0001"}
	h.journal = h.file("journal")
	h.start()
	return h
}

// start builds the tree anew, as a restarted agent does, on the same files.
func (h *house) start() {
	h.Helper()
	id, err := h.platform.Identity.ID(h.Context())
	if err != nil {
		h.Fatal(err)
	}
	h.model = tr181.New(h.platform, tr181.Agent{
		NAT: nat{}, XMPP: xmpp{&h.xmpp}, Lightweight: true, Transfers: transfers{}, Diagnostics: &h.tests, Voice: &h.voice,
		Settings: h.settings, Reach: reach("http://203.0.113.17:7547/cr"), Identity: func() platform.ID { return id },
		Gateway: func() tr181.Gateway { return h.gateway },
		Keep:    h.keep, Version: "test", Start: time.Now(),
	})
	if h.tree, err = datamodel.New(datamodel.Options{Numbers: h.file("numbers"), Journal: h.journal, Schemas: h.schemas}); err != nil {
		h.Fatal(err)
	}
	if _, err := h.tree.Add(h.model.Objects()...); err != nil {
		h.Fatal(err)
	}
	h.tree.Recover(h.Context(), h.model.Undo())
}

// keep is where the agent keeps a table of rows.
func (h *house) keep(name string) datamodel.Backing {
	if h.dead != nil {
		return deadFile{h.file(name), h.dead}
	}
	return h.file(name)
}

// A deadFile cannot be read.
type deadFile struct {
	*storetest.File
	err error
}

func (f deadFile) Load() ([]byte, error) { return nil, f.err }

func (h *house) file(name string) *storetest.File {
	if h.files[name] == nil {
		h.files[name] = &storetest.File{}
	}
	return h.files[name]
}

// values reads all below path.
func (h *house) values(path string) map[string]string {
	h.Helper()
	all := map[string]string{}
	for item, err := range h.tree.Values(h.Context(), path) {
		if err != nil {
			h.Fatalf("%s: %v", path, err)
		}
		if _, twice := all[item.Name]; twice {
			h.Errorf("%s: twice", item.Name)
		}
		all[item.Name] = item.Value
	}
	return all
}

func (h *house) get(name string) string {
	h.Helper()
	v, ok := h.values(name)[name]
	if !ok {
		h.Fatalf("%s: nothing there", name)
	}
	return v
}

// want checks single parameters, given as "name=value" below prefix.
func (h *house) want(prefix string, pairs ...string) {
	h.Helper()
	all := h.values(prefix)
	for _, pair := range pairs {
		name, want, _ := strings.Cut(pair, "=")
		if got, ok := all[prefix+name]; !ok || got != want {
			h.Errorf("%s%s = %q (there: %v), want %q", prefix, name, got, ok, want)
		}
	}
}

// find returns the instance of table, with its last dot, in which the named
// parameter has the value.
func (h *house) find(table, name, value string) string {
	h.Helper()
	if path := h.lookup(table, name, value); path != "" {
		return path
	}
	h.Fatalf("%s*.%s: none is %q", table, name, value)
	return ""
}

func (h *house) lookup(table, name, value string) string {
	h.Helper()
	for n, v := range h.values(table) {
		number, rest, _ := strings.Cut(strings.TrimPrefix(n, table), ".")
		if rest == name && v == value {
			return table + number + "."
		}
	}
	return ""
}

// try runs f in a transaction and commits it.
func (h *house) try(f func(tx *datamodel.Tx) error) error {
	h.Helper()
	tx, err := h.tree.Begin(h.Context())
	if err != nil {
		h.Fatal(err)
	}
	defer tx.Abort()
	if err := f(tx); err != nil {
		return err
	}
	_, err = tx.Commit(h.Context())
	return err
}

func (h *house) trySet(prefix string, pairs ...string) error {
	h.Helper()
	return h.try(func(tx *datamodel.Tx) error {
		var as []datamodel.Assignment
		for _, pair := range pairs {
			name, value, _ := strings.Cut(pair, "=")
			as = append(as, datamodel.Assignment{Path: prefix + name, Value: value})
		}
		return tx.Set(h.Context(), as...)
	})
}

func (h *house) set(prefix string, pairs ...string) {
	h.Helper()
	if err := h.trySet(prefix, pairs...); err != nil {
		h.Fatalf("set %s%v: %v", prefix, pairs, err)
	}
}

func (h *house) add(table string) string {
	h.Helper()
	var added datamodel.Added
	if err := h.try(func(tx *datamodel.Tx) (err error) {
		added, err = tx.Add(h.Context(), table)
		return err
	}); err != nil {
		h.Fatalf("add %s: %v", table, err)
	}
	return added.Path
}

func (h *house) tryDelete(path string) error {
	h.Helper()
	return h.try(func(tx *datamodel.Tx) error { return tx.Delete(h.Context(), path) })
}

func (h *house) delete(path string) {
	h.Helper()
	if err := h.tryDelete(path); err != nil {
		h.Fatalf("delete %s: %v", path, err)
	}
}

func rows[V any](t testing.TB, seq iter.Seq2[V, error]) (all []V) {
	t.Helper()
	for v, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

func (h *house) hasAddress(link, prefix string) bool {
	h.Helper()
	return slices.ContainsFunc(rows(h.TB, h.platform.Addresses.Addresses(h.Context())), func(a platform.Address) bool {
		return a.Link == link && a.Prefix.String() == prefix
	})
}

func (h *house) route(dest string) (platform.Route, bool) {
	h.Helper()
	for _, ipv6 := range []bool{false, true} {
		for _, r := range rows(h.TB, h.platform.Routes.Routes(h.Context(), ipv6)) {
			if r.Dest.String() == dest {
				return r, true
			}
		}
	}
	return platform.Route{}, false
}

// blames checks that err is the refusal want of exactly these parameters.
func blames(t *testing.T, err, want error, paths ...string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
	var all datamodel.Errors
	errors.As(err, &all)
	var got []string
	for _, e := range all {
		got = append(got, e.Path)
	}
	if !slices.Equal(got, paths) {
		t.Errorf("%v blames %q, want %q", err, got, paths)
	}
}

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }
