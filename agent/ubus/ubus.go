// Package ubus is the door on OpenWrt's bus: the objects gatehouse, with the
// methods of the D-Bus door, and tr069, with what scripts for icwmpd call. It
// translates between ubus and agent/api.
//
// ubusd asks its access lists first (gatehouse.json in acl.d), and tells whose
// call it is; what that user may do with which part of the tree is decided
// here, as at every door. Nothing outlives the connection but the door itself,
// which publishes its objects again when the daemon comes back.
package ubus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"gatehouse/agent/api"
	"gatehouse/internal/ubus"
)

// The objects.
const (
	Object       = "gatehouse"
	LegacyObject = "tr069"
)

// Config is what the door needs; every field but those with a default must be
// given.
type Config struct {
	API *api.Service
	// Caller tells what a user may do, by the name of the user and of the group
	// that its process has.
	Caller func(user, group string) (api.Caller, error)
	// Request asks for a session as a connection request does.
	Request func(ctx context.Context) error
	Start   time.Time // of the agent

	Path string // of the daemon's socket; "": where OpenWrt has it
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	Wait func(ctx context.Context, path string) ubus.Waiter
	Log  *slog.Logger
}

// A Door is open whenever there is a bus, as long as somebody gives it turns.
type Door struct {
	keeper *ubus.Keeper
	tasks  sync.WaitGroup // of the connection
}

// New returns a door that is closed.
func New(cfg Config) *Door {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	outer := new(Door)
	outer.keeper = ubus.NewKeeper(ubus.Config{Path: cfg.Path, Dial: cfg.Dial, Wait: cfg.Wait, Log: cfg.Log,
		Up: func(ctx context.Context, c *ubus.Conn) error {
			d := &door{cfg: cfg, ctx: ctx, conn: c, tasks: &outer.tasks, published: make(chan struct{})}
			return d.open()
		},
	})
	return outer
}

// Turn looks for a bus and, where there is one, keeps the door open until the bus
// is gone or ctx ends. It returns after how long to look again.
func (d *Door) Turn(ctx context.Context) (again time.Duration) {
	defer d.tasks.Wait()
	return d.keeper.Turn(ctx)
}

// A door is one connection to the bus.
type door struct {
	cfg       Config
	ctx       context.Context // of the connection
	conn      *ubus.Conn
	tasks     *sync.WaitGroup
	object    uint32
	published chan struct{} // closed when object is known
	watches   watches
}

// open publishes the objects. Somebody else may have one of them, icwmpd above
// all: the other one is still worth having.
func (d *door) open() error {
	d.watches.all = map[int32]*watch{}
	id, err := d.conn.Publish(d.ctx, &ubus.Object{Path: Object, Methods: d.bind(d.methods()), Subscribed: d.subscribed})
	if err == nil {
		d.object = id
		close(d.published)
	}
	_, lerr := d.conn.Publish(d.ctx, &ubus.Object{Path: LegacyObject, Methods: d.bind(d.legacy())})
	if err != nil && lerr != nil {
		return fmt.Errorf("neither %s nor %s can be published: %w", Object, LegacyObject, errors.Join(err, lerr))
	}
	for path, err := range map[string]error{Object: err, LegacyObject: lerr} {
		if err != nil {
			d.cfg.Log.Warn("an object cannot be published: another process may have it", "object", path, "err", err)
		}
	}
	return nil
}

// answerWithin bounds a call: the ubus command gives up after 30 s.
const answerWithin = 20 * time.Second

// A method of the door.
type method struct {
	name string
	args []ubus.Arg
	run  func(*call) (ubus.Table, error)
}

// A call is one call of a method, whose arguments are known by name and type.
type call struct {
	ctx  context.Context
	who  api.Caller
	args ubus.Table
}

func (d *door) bind(methods []method) []ubus.Method {
	out := make([]ubus.Method, len(methods))
	for i, m := range methods {
		out[i] = ubus.Method{Name: m.name, Args: m.args, Serve: func(ctx context.Context, c ubus.Call) (ubus.Table, error) {
			return d.serve(ctx, m, c)
		}}
	}
	return out
}

func (d *door) serve(ctx context.Context, m method, in ubus.Call) (ubus.Table, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	c := &call{ctx: ctx, args: in.Args}
	err := refuse(api.NotPermitted, "ubus does not tell who you are")
	if in.User != "" {
		c.who, err = d.cfg.Caller(in.User, in.Group)
		if err != nil {
			err = refuse(api.NotPermitted, "nobody knows the user %s", in.User)
		}
		c.who.Name = "ubus " + c.who.Name
	}
	if err == nil {
		err = check(m, in.Args)
	}
	if err == nil {
		var out ubus.Table
		if out, err = m.run(c); err == nil {
			return orEmpty(out), nil
		}
		if out != nil {
			return append(out, problems(err)...), status(err)
		}
	}
	return problems(err), status(err)
}

// orEmpty is a table even when there is nothing in it: callers wait for one.
func orEmpty(t ubus.Table) ubus.Table {
	if t == nil {
		return ubus.Table{}
	}
	return t
}

// session is what rpcd adds to the calls that come by HTTP.
const session = "ubus_rpc_session"

// check refuses arguments that the method has not: a slip of the pen must not
// pass for something that was heeded.
func check(m method, args ubus.Table) error {
	for i, f := range args {
		at := slices.IndexFunc(m.args, func(a ubus.Arg) bool { return a.Name == f.Name })
		switch {
		case f.Name == session:
		case at < 0:
			return refuse(api.InvalidArguments, "%s has no argument %q", m.name, clean(f.Name))
		case slices.ContainsFunc(args[:i], func(b ubus.Field) bool { return b.Name == f.Name }):
			return refuse(api.InvalidArguments, "the argument %s is given twice", f.Name)
		case !is(f.Value, m.args[at].Type):
			return refuse(api.InvalidArguments, "the argument %s is not a %s", f.Name, typeNames[m.args[at].Type])
		}
	}
	return nil
}

var typeNames = map[int]string{ubus.TypeArray: "list of texts", ubus.TypeTable: "table", ubus.TypeString: "text", ubus.TypeInt32: "number", ubus.TypeBool: "truth value"}

func is(v any, typ int) bool {
	switch x := v.(type) {
	case string:
		return typ == ubus.TypeString
	case bool:
		return typ == ubus.TypeBool
	case int32:
		return typ == ubus.TypeInt32
	case ubus.Table:
		return typ == ubus.TypeTable
	case ubus.Array:
		return typ == ubus.TypeArray && !slices.ContainsFunc(x, func(e any) bool { _, text := e.(string); return !text })
	}
	return false
}

// arg returns an argument, or the zero value when it is not given.
func arg[T any](c *call, name string) T {
	v, _ := c.args.Get(name)
	t, _ := v.(T)
	return t
}

// maxPaths bounds what one call may name.
const maxPaths = 4096

// paths are those of the argument paths, and the one of path.
func (c *call) paths() ([]string, error) {
	var paths []string
	for _, e := range arg[ubus.Array](c, "paths") {
		s, _ := e.(string)
		paths = append(paths, s)
	}
	if v, ok := c.args.Get("path"); ok {
		s, _ := v.(string)
		paths = append(paths, s)
	}
	if len(paths) == 0 || len(paths) > maxPaths {
		return nil, refuse(api.InvalidArguments, "1 to %d paths can be named, by path or paths", maxPaths)
	}
	return paths, nil
}

func refuse(name, format string, args ...any) error {
	return api.Refuse(name, "", fmt.Sprintf(format, args...))
}
