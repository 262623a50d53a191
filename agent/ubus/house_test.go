package ubus_test

// The house: the door over the real model of a router in memory, on the lab's
// daemon, with the access list that is shipped, and the ubus command as caller.

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/agent/api"
	"gatehouse/agent/core"
	"gatehouse/agent/core/coretest"
	"gatehouse/agent/notify"
	door "gatehouse/agent/ubus"
	"gatehouse/datamodel"
	"gatehouse/datamodel/tr181"
	"gatehouse/internal/store/storetest"
	"gatehouse/internal/ubus"
	"gatehouse/lab/pipe"
	"gatehouse/lab/ubusd"
	"gatehouse/platform"
	"gatehouse/platform/fake"
)

const (
	wan     = "Device.IP.Interface.2." // eth0
	address = "10.0.0.1:1"             // lab/pipe wants host and port
)

type house struct {
	*testing.T
	net    *pipe.Network
	daemon *ubusd.Daemon
	router *fake.Router
	core   *coretest.Core
	api    *api.Service
	asked  int // sessions, as by a connection request
	acs    string
	stop   func() // the daemon
}

// Callers: the host that one dials from stands for its user.
const (
	asRoot   = "10.0.0.1"
	asReader = "10.0.0.2" // of the group gatehouse
	asNobody = "10.0.0.3"
	asVendor = "10.0.0.4" // of the group gatehouse, may write below DeviceInfo
)

func build(t *testing.T) *house {
	h := &house{T: t, net: pipe.New(), router: fake.New(), acs: "https://acs.example/",
		core: coretest.New(core.Status{State: core.Idle})}
	model := tr181.New(h.router.Platform(), tr181.Agent{
		Identity: func() platform.ID { return platform.ID{OUI: "00005E"} },
		Keep:     func(string) datamodel.Backing { return new(storetest.File) }, Version: "test", Start: time.Now(), Provider: provider{},
	})
	tree, err := datamodel.New(datamodel.Options{Numbers: new(storetest.File)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tree.Add(model.Objects()...); err != nil {
		t.Fatal(err)
	}
	n, err := notify.New(notify.Config{Tree: tree, Core: func(context.Context, bool) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	h.api = api.New(api.Config{
		Tree: tree, Attributes: n, Core: h.core, Statuses: h.core.Watch,
		Reload:  func(context.Context) ([]string, error) { return []string{"ManagementServer.URL"}, nil },
		Written: func(context.Context, []string) { h.api.Resync() },
		Agent:   func(s *api.Status) { s.Version, s.ACS = "test", h.acs },
		Log:     slog.New(slog.DiscardHandler), Provider: provider{},
	})
	ctx, cancel := context.WithCancel(t.Context())
	var tasks sync.WaitGroup
	n.Start(ctx)
	tasks.Go(func() {
		h.router.Platform().Events.Watch(ctx, func(e platform.Event) {
			if e.Topic == platform.Resync {
				h.api.Resync()
			} else {
				h.api.Hint(datamodel.Topic(e.Topic))
			}
		})
	})
	h.start()
	tasks.Go(func() {
		d := door.New(door.Config{
			API: h.api, Caller: callerOf, Start: time.Now(), Path: address, Dial: h.net.From(asRoot).Dial,
			Request: func(context.Context) error { h.asked++; return nil },
			Wait:    func(context.Context, string) ubus.Waiter { return nil },
		})
		for ctx.Err() == nil {
			again := time.NewTimer(d.Turn(ctx))
			select {
			case <-again.C:
			case <-ctx.Done():
			}
			again.Stop()
		}
	})
	t.Cleanup(func() {
		cancel()
		tasks.Wait()
		if err := n.Stop(); err != nil {
			t.Error(err)
		}
		h.stop()
	})
	synctest.Wait()
	return h
}

func callerOf(name, group string) (api.Caller, error) {
	switch c := (api.Caller{Name: name}); name {
	case "root":
		c.Rights = api.Everything
		return c, nil
	case "reader":
		c.Rights = api.Read
		return c, nil
	case "vendor":
		c.Grants = []api.Grant{{Rights: api.Read | api.Write, Path: "Device.DeviceInfo."}}
		return c, nil
	}
	return api.Caller{}, errors.New("no such user")
}

func (h *house) start() {
	text, err := os.ReadFile("../../openwrt/files/usr/share/acl.d/gatehouse.json")
	if err != nil {
		h.Fatal(err)
	}
	access, err := ubusd.ParseAccess(text)
	if err != nil {
		h.Fatal(err)
	}
	h.daemon = &ubusd.Daemon{Access: []ubusd.Access{access}, Who: func(c net.Conn) ubusd.User {
		switch host, _, _ := net.SplitHostPort(c.RemoteAddr().String()); host {
		case asReader:
			return ubusd.User{UID: 1000, Name: "reader", Group: "gatehouse"}
		case asNobody:
			return ubusd.User{UID: 65534, Name: "nobody", Group: "nogroup"}
		case asVendor:
			return ubusd.User{UID: 1001, Name: "vendor", Group: "gatehouse"}
		}
		return ubusd.Root
	}}
	l, err := h.net.Listen("unix", address)
	if err != nil {
		h.Fatal(err)
	}
	ctx, cancel := context.WithCancel(h.Context())
	ended := make(chan struct{})
	go func(d *ubusd.Daemon) { defer close(ended); d.Serve(ctx, l) }(h.daemon)
	h.stop = func() { cancel(); <-ended }
}

func (h *house) dial(from string) net.Conn {
	h.Helper()
	c, err := h.net.From(from).Dial(h.Context(), "unix", address)
	if err != nil {
		h.Fatal(err)
	}
	return c
}

// ubus runs the command.
func (h *house) ubus(from string, args ...string) (output string, code int) {
	h.Helper()
	return ubusd.Command(h.dial(from), args...)
}

// call calls a method of gatehouse as root; the answer is JSON.
func (h *house) call(method, args string) map[string]any {
	h.Helper()
	out, code := h.ubus(asRoot, "call", "gatehouse", method, args)
	if code != 0 {
		h.Fatalf("%s %s: %s", method, args, out)
	}
	return h.parse(out)
}

func (h *house) parse(text string) (m map[string]any) {
	h.Helper()
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		h.Fatalf("%q: %v", text, err)
	}
	return m
}

func bubble(t *testing.T, f func(t *testing.T, h *house)) {
	synctest.Test(t, func(t *testing.T) { f(t, build(t)) })
}

// provider is a provider's configuration whose fetches succeed.
type provider struct{}

func (provider) ProviderState() tr181.ProviderState {
	return tr181.ProviderState{Status: "Enabled", Source: "live"}
}
func (provider) FetchProvider() {}
func (provider) Provider(_ context.Context, call string) (bool, error) {
	if call == "reload" {
		return false, errors.New("the copy on disk is damaged")
	}
	return call == "fetch", nil
}
