package bus

// org.gatehouse1.Registry: who has put which objects into the tree.

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godbus/dbus/v5"

	"gatehouse/agent/api"
	"gatehouse/datamodel"
)

const (
	maxVendors       = 64
	maxRegistrations = 128
	maxTopics        = 1024 // after that many registrations, topics are given again
)

// What a vendor may take for an answer.
const (
	defaultTimeout = 5 * time.Second
	minTimeout     = 100 * time.Millisecond
	maxTimeout     = 15 * time.Second
)

// A registration is one prefix of one vendor.
type registration struct {
	v       *vendor
	prefix  string
	path    dbus.ObjectPath // where it implements Subtree
	timeout time.Duration
	topic   datamodel.Topic
	objects []datamodel.Object
	remove  func() // takes the objects out of the tree
}

type registry struct {
	d          *Door
	registrars sync.Mutex // held while the tree is changed: one at a time

	mu      sync.Mutex
	vendors map[string]*vendor // by sender
	regs    map[string]*registration
	topics  int
	closed  bool

	lastID atomic.Uint64
}

func (r *registry) init(d *Door) {
	r.d, r.vendors, r.regs = d, map[string]*vendor{}, map[string]*registration{}
	r.lastID.Store(uint64(time.Now().UnixMicro()))
}

// nextID names a transaction to a vendor, differently in each life of the
// agent.
func (r *registry) nextID() uint64 { return r.lastID.Add(1) }

func (d *Door) registryInterface() iface {
	opts := arg{"options", "a{sv}"}
	return iface{name: ifaceRegistry, methods: []method{
		{"Register", []arg{{"prefix", "s"}, {"schema", "a(ssa{sv})"}, opts}, nil, d.register},
		{"Unregister", []arg{{"prefix", "s"}}, nil, d.unregister},
		{"List", nil, []arg{{"registrations", "a(sss)"}}, d.listVendors},
	}}
}

func (d *Door) register(c *call) ([]any, error) {
	prefix, _ := c.args[0].(string)
	opts, err := options(c.args[2], "Path", "Timeout")
	if err != nil {
		return nil, err
	}
	at, err := option(opts, "Path", Path+"/Subtree")
	if err != nil {
		return nil, err
	}
	ms, err := option(opts, "Timeout", uint32(defaultTimeout/time.Millisecond))
	if err != nil {
		return nil, err
	}
	timeout := time.Duration(ms) * time.Millisecond
	if timeout < minTimeout || timeout > maxTimeout {
		return nil, refuse(api.InvalidArguments, "", "Timeout is %v to %v in milliseconds", minTimeout, maxTimeout)
	}
	if err := c.who.May(api.Register, prefix); err != nil {
		return nil, err
	}
	return nil, d.vendors.register(c, &registration{prefix: prefix, path: at, timeout: timeout}, c.args[1])
}

// register makes the objects of a schema and puts them into the tree.
func (r *registry) register(c *call, reg *registration, schema any) error {
	r.registrars.Lock()
	defer r.registrars.Unlock()
	if _, err := r.d.base(reg.prefix); err != nil {
		return err
	}
	v, err := r.vendor(c)
	if err != nil {
		return err
	}
	reg.v = v
	old, err := r.admit(reg)
	if err == nil {
		reg.objects, err = r.d.build(reg, schema)
	}
	if err == nil {
		err = r.swap(old, reg)
	}
	if err != nil {
		r.release(v)
		return err
	}
	v.answered(true) // it is alive
	r.d.log.Info("a vendor has registered objects", "prefix", reg.prefix, "by", c.who.Name, "sender", c.sender)
	r.d.cfg.Resync()
	return nil
}

// vendor returns the vendor that calls, and follows it from its first call on.
func (r *registry) vendor(c *call) (*vendor, error) {
	r.mu.Lock()
	v, many := r.vendors[c.sender], len(r.vendors)
	r.mu.Unlock()
	if v != nil {
		return v, nil
	}
	if many >= maxVendors {
		return nil, refuse(api.Full, "", "%d processes have registered objects: no more can", maxVendors)
	}
	v = newVendor(r.d, c.sender)
	r.mu.Lock()
	r.vendors[c.sender] = v // first, so that its end is noticed
	r.mu.Unlock()
	err := r.d.conn.AddMatchSignalContext(c.ctx, changedMatch(c.sender)...)
	if err == nil {
		err = r.d.follow(c.ctx, c.sender)
	}
	if err != nil {
		r.d.drop(changedMatch(c.sender)...)
		r.mu.Lock()
		delete(r.vendors, c.sender)
		r.mu.Unlock()
		return nil, err
	}
	return v, nil
}

func changedMatch(sender string) []dbus.MatchOption {
	return []dbus.MatchOption{dbus.WithMatchSender(sender), dbus.WithMatchInterface(ifaceSubtree), dbus.WithMatchMember("Changed")}
}

// admit sees that the prefix is nobody else's, and returns the registration
// that this one is to replace.
func (r *registry) admit(reg *registration) (old *registration, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for p, other := range r.regs {
		switch {
		case p == reg.prefix && other.v == reg.v:
			old = other
		case strings.HasPrefix(p, reg.prefix) || strings.HasPrefix(reg.prefix, p):
			return nil, refuse(api.Denied, reg.prefix, "%s is registered already, by %s", p, other.v.sender)
		}
	}
	if old == nil && len(r.regs) >= maxRegistrations {
		return nil, refuse(api.Full, reg.prefix, "%d registrations are all that there can be", maxRegistrations)
	}
	reg.topic = r.d.cfg.Topics + datamodel.Topic(r.topics%maxTopics)
	r.topics++
	return old, nil
}

// swap takes the old objects out of the tree, when there are some, and puts
// the new ones in; or leaves things as they were.
func (r *registry) swap(old, reg *registration) error {
	if old != nil {
		old.remove()
	}
	remove, err := r.d.cfg.Tree.Add(reg.objects...)
	if err != nil {
		if old != nil {
			back, also := r.d.cfg.Tree.Add(old.objects...)
			if also != nil {
				return errors.Join(err, also)
			}
			old.remove = back
		}
		return refuse(api.InvalidArguments, reg.prefix, "%v", err)
	}
	reg.remove = remove
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.vendors[reg.v.sender] != reg.v { // it went while we were at it
		remove()
		delete(r.regs, reg.prefix)
		return refuse(api.Unavailable, "", "%s has gone", reg.v.sender)
	}
	r.regs[reg.prefix] = reg
	return nil
}

// release forgets a vendor that has nothing registered.
func (r *registry) release(v *vendor) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.vendors[v.sender] != v || slices.ContainsFunc(slices.Collect(maps.Values(r.regs)), func(o *registration) bool { return o.v == v }) {
		return
	}
	delete(r.vendors, v.sender)
	v.end()
	r.d.drop(changedMatch(v.sender)...)
	r.d.unfollow(v.sender)
}

func (d *Door) unregister(c *call) ([]any, error) {
	prefix, _ := c.args[0].(string)
	r := &d.vendors
	r.registrars.Lock()
	defer r.registrars.Unlock()
	r.mu.Lock()
	reg := r.regs[prefix]
	if reg == nil || reg.v.sender != c.sender {
		r.mu.Unlock()
		return nil, refuse(api.InvalidArguments, prefix, "you have not registered this")
	}
	delete(r.regs, prefix)
	r.mu.Unlock()
	reg.remove()
	r.release(reg.v)
	d.cfg.Resync()
	return nil, nil
}

// gone takes out the objects of a vendor that has vanished.
func (r *registry) gone(sender string) {
	r.mu.Lock()
	v := r.vendors[sender]
	delete(r.vendors, sender)
	r.mu.Unlock()
	if v == nil {
		return
	}
	v.end()
	if r.removeAll(func(reg *registration) bool { return reg.v == v }) {
		r.d.drop(changedMatch(sender)...)
		r.d.unfollow(sender)
		r.d.cfg.Resync()
	}
}

func (r *registry) removeAll(which func(*registration) bool) (any bool) {
	r.registrars.Lock()
	defer r.registrars.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	for p, reg := range r.regs {
		if which(reg) {
			delete(r.regs, p)
			reg.remove()
			r.d.log.Info("objects of a vendor have left the tree", "prefix", p, "sender", reg.v.sender)
			any = true
		}
	}
	return any
}

// close takes out everybody's objects: the bus has gone.
func (r *registry) close() {
	r.mu.Lock()
	r.closed = true
	for _, v := range r.vendors {
		v.end()
	}
	clear(r.vendors)
	r.mu.Unlock()
	if r.removeAll(func(*registration) bool { return true }) {
		r.d.cfg.Resync()
	}
}

// A listed is a line of List.
type listed struct{ Prefix, Sender, State string }

func (d *Door) listVendors(c *call) ([]any, error) {
	r := &d.vendors
	r.mu.Lock()
	all := []listed{}
	for _, p := range slices.Sorted(maps.Keys(r.regs)) {
		v := r.regs[p].v
		state := "up"
		if v.isDown() != nil {
			state = "down"
		}
		all = append(all, listed{p, v.sender, state})
	}
	r.mu.Unlock()
	all = slices.DeleteFunc(all, func(l listed) bool { return c.who.May(api.Read, l.Prefix) != nil })
	return []any{all}, nil
}

// changed hears the signal of a sender, on the goroutine that reads.
func (r *registry) changed(sender string) {
	r.mu.Lock()
	v := r.vendors[sender]
	r.mu.Unlock()
	if v != nil {
		v.changed()
	}
}

// hint passes on that rows of a vendor may have changed.
func (r *registry) hint(v *vendor) {
	r.mu.Lock()
	var topics []datamodel.Topic
	for _, reg := range r.regs {
		if reg.v == v {
			topics = append(topics, reg.topic)
		}
	}
	r.mu.Unlock()
	for _, t := range topics {
		r.d.cfg.Hint(t)
	}
}

// errReentered is why the write of a vendor is cut short.
var errReentered = errors.New("a transaction that is under way needs an answer of yours first")

// writes announces a write of a sender. A vendor whose answer the transaction
// under way is waiting for gets Busy, now or while it waits its turn: it may be
// waiting for us in the same thread.
func (r *registry) writes(ctx context.Context, sender string) (context.Context, func(), error) {
	r.mu.Lock()
	v := r.vendors[sender]
	r.mu.Unlock()
	if v == nil {
		return ctx, func() {}, nil
	}
	return v.writes(ctx)
}

// reason gives the error of a call that was cut short its true name.
func (r *registry) reason(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(context.Cause(ctx), errReentered) {
		return api.Refuse(api.Busy, "", errReentered.Error())
	}
	return err
}
