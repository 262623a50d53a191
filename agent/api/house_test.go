package api_test

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"slices"
	"testing"
	"time"

	"gatehouse/agent/api"
	"gatehouse/agent/core"
	"gatehouse/agent/core/coretest"
	"gatehouse/agent/notify"
	"gatehouse/datamodel"
	"gatehouse/datamodel/tr181"
	"gatehouse/internal/store/storetest"
	"gatehouse/platform"
	"gatehouse/platform/fake"
)

var (
	root   = api.Caller{Name: "root", Rights: api.Everything}
	reader = api.Caller{Name: "reader", Rights: api.Read}
	nobody = api.Caller{Name: "nobody"}
)

const wan = "Device.IP.Interface.2." // eth0

// A house is the service over the real model on a router in memory.
type house struct {
	testing.TB
	acs     string
	router  *fake.Router
	tree    *datamodel.Tree
	core    *coretest.Core
	api     *api.Service
	written [][]string
	fail    error // of Reload
}

func build(t testing.TB) *house {
	t.Helper()
	h := &house{TB: t, acs: "https://acs.example/", router: fake.New()}
	h.core = coretest.New(core.Status{State: core.Waiting, RetryCount: 3, LastError: "no route to host",
		Pending: []core.Event{{Code: core.Boot}, {Code: core.MReboot, CommandKey: "k"}}})
	p := h.router.Platform()
	model := tr181.New(p, tr181.Agent{
		Identity: func() platform.ID { return platform.ID{OUI: "00005E"} },
		Keep:     func(string) datamodel.Backing { return new(storetest.File) }, Version: "test", Start: time.Now(),
	})
	var err error
	if h.tree, err = datamodel.New(datamodel.Options{Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.tree.Add(model.Objects()...); err != nil {
		t.Fatal(err)
	}
	n, err := notify.New(notify.Config{Tree: h.tree, Core: func(context.Context, bool) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	n.Start(context.Background())
	t.Cleanup(func() {
		if err := n.Stop(); err != nil {
			t.Error(err)
		}
	})
	h.api = api.New(api.Config{
		Tree: h.tree, Attributes: n, Core: h.core,
		Origin:  func(path string) string { return map[string]string{"Device.DeviceInfo.UpTime": "file"}[path] },
		Reload:  func(context.Context) ([]string, error) { return []string{"ManagementServer.URL"}, h.fail },
		Written: func(_ context.Context, paths []string) { h.written = append(h.written, paths) },
		Agent:   func(s *api.Status) { s.Version, s.ACS = "test", h.acs },
		Log:     slog.New(slog.DiscardHandler),
	})
	return h
}

func collect[V any](seq iter.Seq2[V, error]) (all []V, err error) {
	for v, err := range seq {
		if err != nil {
			return all, err
		}
		all = append(all, v)
	}
	return all, nil
}

func (h *house) get(name string) string {
	h.Helper()
	all, err := collect(h.api.Get(h.Context(), reader, []string{name}))
	if err != nil || len(all) != 1 {
		h.Fatalf("%s: %v, %v", name, all, err)
	}
	return all[0].Value
}

func (h *house) set(pairs ...string) error {
	h.Helper()
	_, err := h.api.Set(h.Context(), root, assign(pairs...), false)
	return err
}

func assign(pairs ...string) (as []api.Assignment) {
	for p := range slices.Chunk(pairs, 2) {
		as = append(as, api.Assignment{Name: p[0], Value: p[1]})
	}
	return as
}

// named checks that err has the name and blames the paths.
func (h *house) named(err error, name string, paths ...string) {
	h.Helper()
	var e *api.Error
	if !errors.As(err, &e) {
		h.Errorf("%v is no api.Error, want %s", err, name)
		return
	}
	var got []string
	for _, p := range e.Problems {
		if p.Path != "" {
			got = append(got, p.Path)
		}
	}
	if e.Name() != name || !slices.Equal(got, paths) {
		h.Errorf("got %s %q (%v), want %s %q", e.Name(), got, e, name, paths)
	}
}
