// Package bus is the D-Bus door: org.gatehouse1 on the system bus. It
// translates between the bus and agent/api, and lets processes of the vendor
// add objects of their own to the tree, which call them back.
//
// What D-Bus calls a connection, this package calls a sender; a sender that has
// registered something is a vendor. Nothing here outlives the connection to the
// bus: when that ends, so do watches, and the objects of vendors leave the tree.
package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"

	"gatehouse/agent/api"
	"gatehouse/datamodel"
	"gatehouse/internal/systembus"
)

// Names on the bus.
const (
	Name = "org.gatehouse1"
	Path = dbus.ObjectPath("/org/gatehouse1")

	ifaceModel    = "org.gatehouse1.DataModel"
	ifaceAgent    = "org.gatehouse1.Agent"
	ifaceProvider = "org.gatehouse1.Provider"
	ifaceRegistry = "org.gatehouse1.Registry"
	ifaceSubtree  = "org.gatehouse1.Subtree" // the vendor's side
	errorPrefix   = "org.gatehouse1.Error."

	theBus          = "org.freedesktop.DBus"
	ifaceProperties = "org.freedesktop.DBus.Properties"
	ifacePeer       = "org.freedesktop.DBus.Peer" // the library's own
	ifaceIntrospect = "org.freedesktop.DBus.Introspectable"
)

// ErrNoBus says that there is no bus to talk to.
var ErrNoBus = errors.New("no D-Bus")

// ErrTaken says that somebody else has the name org.gatehouse1.
var ErrTaken = errors.New("another process has the name " + Name)

// Config is what a Door needs; every field but Log and those with a default
// must be given.
type Config struct {
	API  *api.Service
	Tree *datamodel.Tree // where vendors' objects go
	// Address of the bus, "unix:path=…" or "unix:abstract=…".
	Address string
	Dial    func(ctx context.Context, network, address string) (net.Conn, error) // nil: the real one
	// Caller tells what a user may do.
	Caller func(uid uint32, gids []uint32) api.Caller
	// Hint passes on that rows of a topic may have changed, Resync that
	// anything may have.
	Hint   func(datamodel.Topic)
	Resync func()
	// Topics is the first of the topics that vendors' objects may have.
	Topics datamodel.Topic
	// Retry is the first pause before a vendor that did not answer is asked
	// again; 0: 10 s.
	Retry time.Duration
	Log   *slog.Logger
}

// A Door is one connection to the bus.
type Door struct {
	cfg     Config
	log     *slog.Logger
	ctx     context.Context // of the connection: calls end with it
	conn    *dbus.Conn
	ifaces  []iface
	callers callers
	busy    inFlight
	watches watches
	agent   properties
	vendors registry
}

// Serve connects to the bus, takes the name and serves until ctx ends or the
// connection breaks. ready, which may be nil, is called once the name is ours.
// The error is ErrNoBus when there is nobody to connect to.
func Serve(ctx context.Context, cfg Config, ready func()) error {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Dial == nil {
		cfg.Dial = new(net.Dialer).DialContext
	}
	if cfg.Retry == 0 {
		cfg.Retry = 10 * time.Second
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	d := &Door{cfg: cfg, log: cfg.Log, ctx: ctx}
	d.ifaces = d.interfaces()
	d.callers.init()
	d.busy.init()
	d.watches.init()
	d.vendors.init(d)
	if err := d.connect(ctx); err != nil {
		return err
	}
	defer d.conn.Close()
	var tasks sync.WaitGroup
	defer tasks.Wait()
	defer stop()
	defer d.vendors.close()
	if err := d.takeName(); err != nil {
		return err
	}
	tasks.Go(func() { d.followStatus(ctx) })
	if ready != nil {
		ready()
	}
	select {
	case <-ctx.Done():
		return nil
	case <-d.conn.Context().Done():
		return fmt.Errorf("%w: the connection to the bus has ended", ErrNoBus)
	}
}

func (d *Door) connect(ctx context.Context) (err error) {
	d.conn, err = systembus.Connect(ctx, d.cfg.Address, d.cfg.Dial, dbus.WithHandler(d), dbus.WithSignalHandler(d))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoBus, err)
	}
	return nil
}

func (d *Door) takeName() error {
	got, err := d.conn.RequestName(Name, dbus.NameFlagDoNotQueue)
	if err != nil {
		return fmt.Errorf("%s: %w", Name, err)
	}
	if got != dbus.RequestNameReplyPrimaryOwner {
		return ErrTaken
	}
	return nil
}

// DeliverSignal implements dbus.SignalHandler on the goroutine that reads: it
// must not wait.
func (d *Door) DeliverSignal(iface, name string, s *dbus.Signal) {
	switch {
	case s.Sender == theBus && iface == theBus && name == "NameOwnerChanged" && len(s.Body) == 3:
		who, _ := s.Body[0].(string)
		owner, _ := s.Body[2].(string)
		if owner == "" && strings.HasPrefix(who, ":") {
			d.watches.gone(who)
			go d.vendors.gone(who)
		}
	case iface == ifaceSubtree && name == "Changed":
		d.vendors.changed(s.Sender)
	}
}

// follow asks the bus to say when a sender vanishes. It fails when that has
// happened already.
func (d *Door) follow(ctx context.Context, sender string) error {
	err := d.conn.AddMatchSignalContext(ctx, goneMatch(sender)...)
	if err != nil {
		return err
	}
	var there bool
	err = d.conn.BusObject().CallWithContext(ctx, theBus+".NameHasOwner", 0, sender).Store(&there)
	if err == nil && !there {
		err = fmt.Errorf("%s has gone", sender)
	}
	if err != nil {
		d.unfollow(sender)
	}
	return err
}

// unfollow takes one follow back, without waiting for the bus.
func (d *Door) unfollow(sender string) { d.drop(goneMatch(sender)...) }

func (d *Door) drop(match ...dbus.MatchOption) {
	go d.conn.RemoveMatchSignal(match...)
}

func goneMatch(sender string) []dbus.MatchOption {
	return []dbus.MatchOption{dbus.WithMatchSender(theBus), dbus.WithMatchInterface(theBus),
		dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, sender)}
}

// tell sends a signal to one receiver.
func (d *Door) tell(to, iface, member string, body ...any) error {
	m := &dbus.Message{Type: dbus.TypeSignal, Flags: dbus.FlagNoReplyExpected, Body: body, Headers: map[dbus.HeaderField]dbus.Variant{
		dbus.FieldPath: dbus.MakeVariant(Path), dbus.FieldInterface: dbus.MakeVariant(iface), dbus.FieldMember: dbus.MakeVariant(member),
		dbus.FieldDestination: dbus.MakeVariant(to), dbus.FieldSignature: dbus.MakeVariant(dbus.SignatureOf(body...)),
	}}
	if call := d.conn.Send(m, nil); call != nil {
		return call.Err
	}
	return nil
}
