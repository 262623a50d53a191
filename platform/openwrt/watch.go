// Hints: what netlink tells, what netifd and hostapd tell on ubus, and files
// that change.

package openwrt

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/ubus"
	"gatehouse/platform"
)

// deafness is how long hostapd is not listened to after a stranger has looked
// for networks: in a town that happens all the time, and each time would wake
// us. A station that comes or goes then is heard of so much later.
const deafness = 30 * time.Second

// Watch implements platform.Events.
func (b *backend) Watch(ctx context.Context, report func(platform.Event)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	tell := func(events ...platform.Event) {
		b.bus.stale() // whoever looks again sees what is new
		mu.Lock()
		defer mu.Unlock()
		for _, e := range events {
			if ctx.Err() == nil {
				report(e)
			}
		}
	}
	unnamed := make(chan struct{}, 1)
	f := openFiles(b, func(events ...platform.Event) {
		if slices.ContainsFunc(events, func(e platform.Event) bool { return e.Topic == platform.ConfigChanged }) {
			poke(unnamed)
		}
		tell(events...)
	})
	var tasks sync.WaitGroup
	defer tasks.Wait()
	defer cancel()
	tasks.Go(func() {
		if err := f.watch(ctx); err != nil && ctx.Err() == nil {
			b.log.Warn("files are not watched any more", "err", err)
		}
	})
	tasks.Go(func() {
		for poke(unnamed); ; {
			select {
			case <-unnamed:
				b.name(ctx)
			case <-ctx.Done():
				return
			}
		}
	})
	tasks.Go(func() {
		ubus.Keep(ctx, ubus.Config{Path: b.paths.socket, Dial: b.bus.dial, Log: b.log, Up: func(ctx context.Context, c *ubus.Conn) error {
			e := &ear{conn: c, tell: tell, files: f, ctx: ctx, hostapd: map[uint32]bool{}}
			return e.up(ctx)
		}})
	})
	return b.kernel.Events.Watch(ctx, func(e platform.Event) { tell(e) })
}

func poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// An ear hears one connection to ubusd.
type ear struct {
	ctx   context.Context // of the connection, which calls back without one
	conn  *ubus.Conn
	tell  func(...platform.Event)
	files *files

	network, stations *ubus.Subscriber

	mu      sync.Mutex
	hostapd map[uint32]bool // its objects, and whether we hear them
	deaf    bool
}

// up listens and subscribes. What happened before is unknown.
func (e *ear) up(ctx context.Context) (err error) {
	if e.network, err = e.conn.Subscriber(ctx, e.notified); err != nil {
		return err
	}
	if e.stations, err = e.conn.Subscriber(ctx, e.station); err != nil {
		return err
	}
	if err := e.conn.Listen(ctx, "ubus.object.*", e.object); err != nil {
		return err
	}
	if err := e.conn.Listen(ctx, "network.interface", e.notified); err != nil {
		return err
	}
	if err := e.conn.Listen(ctx, dhcpEvent, e.answered); err != nil {
		return err
	}
	found, err := e.conn.Lookup(ctx, "")
	if err != nil {
		return err
	}
	for _, f := range found {
		if err := e.subscribe(f.Path, f.ID); err != nil {
			return err
		}
	}
	e.files.arm()
	e.tell(platform.Event{Topic: platform.Resync})
	return nil
}

// subscribe hears an object, if it is one of those that tell. One that has just
// gone is no error.
func (e *ear) subscribe(path string, id uint32) (err error) {
	switch {
	case path == "network.interface", path == "service":
		err = e.network.Add(e.ctx, id)
	case strings.HasPrefix(path, "hostapd."):
		e.mu.Lock()
		e.hostapd[id] = true
		deaf := e.deaf
		e.mu.Unlock()
		if !deaf {
			err = e.stations.Add(e.ctx, id)
		}
	}
	if errors.Is(err, ubus.NotFound) {
		return nil
	}
	return err
}

// object hears that one came or went.
func (e *ear) object(n ubus.Event) {
	path, id := text(n.Data, "path"), uint32(number(n.Data, "id"))
	link, wireless := strings.CutPrefix(path, "hostapd.")
	switch {
	case n.Lost:
		e.tell(platform.Event{Topic: platform.Resync})
		return
	case n.Name == "ubus.object.add":
		if err := e.subscribe(path, id); err != nil {
			e.tell(platform.Event{Topic: platform.Resync})
		}
	default:
		e.mu.Lock()
		delete(e.hostapd, id)
		e.mu.Unlock()
	}
	switch {
	case wireless:
		e.tell(platform.Event{Topic: platform.WiFiChanged, Key: link}, platform.Event{Topic: platform.StationChanged, Key: link})
	case path == "network.interface":
		e.tell(platform.Event{Topic: platform.InterfaceChanged}, platform.Event{Topic: platform.WiFiChanged})
	}
}

// notified hears netifd, by its event and by its notification, and procd.
func (e *ear) notified(n ubus.Event) {
	switch name := text(n.Data, "interface"); {
	case n.Lost:
		e.tell(platform.Event{Topic: platform.Resync})
	case name != "":
		e.tell(platform.Event{Topic: platform.InterfaceChanged, Key: name}, platform.Event{Topic: platform.ResolverChanged})
	case text(n.Data, "service") != "":
		e.files.arm() // dnsmasq has a file of leases now
	}
}

// dhcpEvent is what our hook of udhcpc and odhcp6c sends when it has kept an
// answer (openwrt/files/etc).
const dhcpEvent = "cwmp.dhcp"

// answered hears the hook. What was answered is in its file: anybody on the bus
// can send an event.
func (e *ear) answered(ubus.Event) { e.tell(platform.Event{Topic: platform.DHCPAnswered}) }

// station hears hostapd.
func (e *ear) station(n ubus.Event) {
	switch {
	case n.Lost:
		e.tell(platform.Event{Topic: platform.StationChanged})
	case n.Gone, n.Name == "auth": // the one is told elsewhere, the other is half of joining
	case n.Name == "probe", n.Name == "beacon-report":
		e.rest()
	default:
		e.tell(platform.Event{Topic: platform.StationChanged})
	}
}

// rest is deaf for a while, and hints then at what may have been missed.
func (e *ear) rest() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.deaf {
		return
	}
	e.deaf = true
	e.each(e.stations.Drop)
	time.AfterFunc(deafness, func() {
		e.mu.Lock()
		e.deaf = false
		if e.ctx.Err() == nil {
			e.each(e.stations.Add)
		}
		e.mu.Unlock()
		e.tell(platform.Event{Topic: platform.StationChanged})
	})
}

// each does something to every object of hostapd. One that has gone, or a
// connection that has, is told elsewhere. mu is held.
func (e *ear) each(f func(context.Context, uint32) error) {
	for id := range e.hostapd {
		if f(e.ctx, id) != nil && e.ctx.Err() != nil {
			return
		}
	}
}
