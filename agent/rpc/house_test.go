package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"log/slog"
	"maps"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/agent/core"
	"gatehouse/agent/core/coretest"
	"gatehouse/agent/notify"
	"gatehouse/agent/rpc"
	"gatehouse/agent/settings"
	"gatehouse/cwmp"
	"gatehouse/datamodel"
	"gatehouse/datamodel/tr181"
	"gatehouse/internal/store"
	"gatehouse/internal/store/storetest"
	"gatehouse/platform"
	"gatehouse/platform/fake"
)

// A house is the methods of an ACS over the real model on a router in memory.
type house struct {
	*testing.T
	router   *fake.Router
	tree     *datamodel.Tree
	settings *settings.Settings
	notify   *notify.Notifier
	core     *coretest.Core
	methods  *rpc.Methods
	files    map[string]*storetest.File
	log      *bytes.Buffer

	mu      sync.Mutex
	changed []bool // what notify told core: a change, or that it is taken back
}

type reach struct{}

func (reach) ConnectionRequestURL() string { return "http://203.0.113.17:7547/cr" }

func build(t *testing.T) *house {
	t.Helper()
	h := &house{T: t, router: fake.New(), core: coretest.New(core.Status{}), files: map[string]*storetest.File{}, log: &bytes.Buffer{}}
	p := h.router.Platform()
	state, err := store.Open(filepath.Join(t.TempDir(), "state"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h.settings, err = settings.Open(settings.Options{State: state.File("settings", 1), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	id, err := p.Identity.ID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	model := tr181.New(p, tr181.Agent{
		Settings: h.settings, Reach: reach{}, Identity: func() platform.ID { return id },
		Keep: func(name string) datamodel.Backing { return h.file("kept-" + name) }, Version: "test", Start: time.Now(),
	})
	h.tree, err = datamodel.New(datamodel.Options{Numbers: h.file("numbers"), Journal: h.file("journal"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.tree.Add(model.Objects()...); err != nil {
		t.Fatal(err)
	}
	// As the agent does at its start: what cannot be undone at once is owed.
	undo := maps.Clone(model.Undo())
	undo[settings.UndoName] = h.settings.Recover
	h.tree.Recover(t.Context(), undo)
	h.startNotify()
	h.methods = rpc.New(rpc.Config{
		Tree: h.tree, Attributes: h.notify, Core: h.core,
		ParameterKey: func(tx *datamodel.Tx, key string) error { return h.settings.Stage(tx, settings.ParameterKey, key) },
		Addressing: func() rpc.Addressing {
			return rpc.Addressing{
				Aliases:    h.settings.Get(settings.InstanceMode) == "InstanceAlias",
				AutoCreate: h.settings.Bool(settings.AutoCreateInstances),
			}
		},
		Log: slog.New(slog.NewTextHandler(h.log, nil)),
	})
	return h
}

func (h *house) startNotify() {
	h.Helper()
	var err error
	h.notify, err = notify.New(notify.Config{
		Tree:       h.tree,
		Defaults:   func() iter.Seq[datamodel.Info] { return notify.Defaults(h.tree) },
		Attributes: h.file("attributes"),
		Core: func(_ context.Context, changed bool) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.changed = append(h.changed, changed)
			return nil
		},
	})
	if err != nil {
		h.Fatal(err)
	}
	h.notify.Start(context.Background())
	h.Cleanup(func() {
		if err := h.notify.Stop(); err != nil {
			h.Error(err)
		}
	})
}

func (h *house) file(name string) *storetest.File {
	if h.files[name] == nil {
		h.files[name] = &storetest.File{}
	}
	return h.files[name]
}

// handle is one request; its lists are read, and late errors are the answer.
func (h *house) handle(req cwmp.Request) (cwmp.Response, error) {
	return h.methods.Handle(h.Context(), req)
}

func (h *house) must(req cwmp.Request) cwmp.Response {
	h.Helper()
	resp, err := h.handle(req)
	if err != nil {
		h.Fatalf("%s: %v", req.Method(), err)
	}
	return resp
}

// fault returns the fault that req is answered with, nil when it goes well.
func (h *house) fault(req cwmp.Request) *cwmp.Fault {
	h.Helper()
	resp, err := h.handle(req)
	switch r := resp.(type) {
	case cwmp.GetParameterValuesResponse:
		_, err = collect(r.ParameterList)
	case cwmp.GetParameterNamesResponse:
		_, err = collect(r.ParameterList)
	case cwmp.GetParameterAttributesResponse:
		_, err = collect(r.ParameterList)
	}
	if err == nil {
		return nil
	}
	f, ok := err.(*cwmp.Fault)
	if !ok {
		h.Fatalf("%s: %v is no fault", req.Method(), err)
	}
	return f
}

func collect[V any](seq iter.Seq2[V, error]) (all []V, err error) {
	for v, err := range seq {
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

func (h *house) values(paths ...string) []cwmp.ParameterValue {
	h.Helper()
	all, err := collect(h.must(cwmp.GetParameterValues{ParameterNames: paths}).(cwmp.GetParameterValuesResponse).ParameterList)
	if err != nil {
		h.Fatalf("GetParameterValues %q: %v", paths, err)
	}
	return all
}

func (h *house) get(name string) string {
	h.Helper()
	all := h.values(name)
	if len(all) != 1 || all[0].Name != name {
		h.Fatalf("GetParameterValues of %s: %v", name, all)
	}
	return all[0].Value
}

func (h *house) names(path string, next bool) []cwmp.ParameterInfo {
	h.Helper()
	all, err := collect(h.must(cwmp.GetParameterNames{ParameterPath: path, NextLevel: next}).(cwmp.GetParameterNamesResponse).ParameterList)
	if err != nil {
		h.Fatalf("GetParameterNames %q: %v", path, err)
	}
	return all
}

func (h *house) attributes(paths ...string) []cwmp.ParameterAttribute {
	h.Helper()
	all, err := collect(h.must(cwmp.GetParameterAttributes{ParameterNames: paths}).(cwmp.GetParameterAttributesResponse).ParameterList)
	if err != nil {
		h.Fatalf("GetParameterAttributes %q: %v", paths, err)
	}
	return all
}

// set makes a SetParameterValues of "name=value" pairs below prefix.
func set(key, prefix string, pairs ...string) cwmp.SetParameterValues {
	r := cwmp.SetParameterValues{ParameterKey: key}
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		r.ParameterList = append(r.ParameterList, cwmp.ParameterValue{Name: prefix + name, Value: value})
	}
	return r
}

func (h *house) set(prefix string, pairs ...string) {
	h.Helper()
	h.must(set("", prefix, pairs...))
}

func (h *house) add(table string) string {
	h.Helper()
	r := h.must(cwmp.AddObject{ObjectName: table}).(cwmp.AddObjectResponse)
	return table + itoa(r.InstanceNumber) + "."
}

// watch lets the ACS watch these actively, and tells it what they are now.
func (h *house) watch(paths ...string) {
	h.Helper()
	var r cwmp.SetParameterAttributes
	for _, p := range paths {
		r.ParameterList = append(r.ParameterList, cwmp.SetParameterAttribute{Name: p, NotificationChange: true, Notification: 2})
	}
	h.must(r)
	h.news() // of what was there before
}

// news lets notify look at everything, and reports whether core holds a
// VALUE CHANGE.
func (h *house) news() bool {
	h.Helper()
	h.notify.Resync()
	if err := h.notify.Sync(h.Context()); err != nil {
		h.Fatal(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	last := false
	for _, c := range h.changed {
		last = c
	}
	return last
}

func itoa(n uint32) string {
	if n >= 10 {
		return itoa(n/10) + itoa(n%10)
	}
	return string(rune('0' + n))
}

var errDisk = errors.New("input/output error")
