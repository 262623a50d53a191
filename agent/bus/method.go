package bus

// From a message to a method and back: one table of interfaces, which is also
// what introspection tells.

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"

	"gatehouse/agent/api"
	"gatehouse/internal/systembus"
)

// A method of the door.
type method struct {
	name    string
	in, out []arg
	run     func(*call) ([]any, error)
}

type arg struct{ name, sig string }

type signal struct {
	name string
	args []arg
}

type property struct{ name, sig, emits string } // emits: as in org.freedesktop.DBus.Property.EmitsChangedSignal

type iface struct {
	name       string
	methods    []method
	signals    []signal
	properties []property
}

// A call is one call of a method.
type call struct {
	ctx    context.Context
	sender string
	who    api.Caller
	uid    uint32
	args   []any
}

// answerWithin bounds a call: callers give up after 25 s unless they say
// otherwise.
const answerWithin = 20 * time.Second

// What one sender, and all together, may have under way.
const (
	maxCalls       = 128
	maxSenderCalls = 32
)

// A fault is an error of ours on its way to the bus: the message names what is
// to blame, and the second part lists every problem.
type fault struct{ err *api.Error }

type problem struct{ Name, Path, Message string }

func (f fault) Error() string { return f.err.Error() }

// DBusError implements dbus.DBusError.
func (f fault) DBusError() (string, []any) {
	list := make([]problem, len(f.err.Problems))
	for i, p := range f.err.Problems {
		list[i] = problem{errorPrefix + p.Name, valid(p.Path), valid(p.Message)}
	}
	return errorPrefix + f.err.Name(), []any{valid(f.err.Error()), list}
}

func refuse(name, path, format string, args ...any) error {
	return api.Refuse(name, path, fmt.Sprintf(format, args...))
}

// LookupObject implements dbus.Handler.
func (d *Door) LookupObject(path dbus.ObjectPath) (dbus.ServerObject, bool) {
	switch {
	case path == Path:
		return object{d, path}, true
	case path == "/" || strings.HasPrefix(string(Path), string(path)+"/"):
		return object{d, path}, true
	}
	return nil, false
}

// An object is ours, or one above it, which can only be introspected.
type object struct {
	d    *Door
	path dbus.ObjectPath
}

// LookupInterface implements dbus.ServerObject.
func (o object) LookupInterface(name string) (dbus.Interface, bool) {
	if o.path != Path {
		if name == ifaceIntrospect || name == "" {
			return table{o.d, []method{{name: "Introspect", out: []arg{{"xml", "s"}}, run: func(*call) ([]any, error) {
				return []any{introspectAbove(o.path)}, nil
			}}}}, true
		}
		return nil, false
	}
	if name == "" { // the caller leaves it to us: the first that has it
		var all []method
		for _, i := range o.d.ifaces {
			if i.name != ifacePeer {
				all = append(all, i.methods...)
			}
		}
		return table{o.d, all}, true
	}
	for _, i := range o.d.ifaces {
		if i.name == name && name != ifacePeer {
			return table{o.d, i.methods}, true
		}
	}
	return nil, false
}

type table struct {
	d       *Door
	methods []method
}

// LookupMethod implements dbus.Interface.
func (t table) LookupMethod(name string) (dbus.Method, bool) {
	i := slices.IndexFunc(t.methods, func(m method) bool { return m.name == name })
	if i < 0 {
		return nil, false
	}
	return bound{t.d, &t.methods[i]}, true
}

// bound is a method with its door, as the library wants it.
type bound struct {
	d *Door
	m *method
}

func (bound) NumArguments() int     { return 0 }
func (bound) NumReturns() int       { return 0 }
func (bound) ArgumentValue(int) any { return nil }
func (bound) ReturnValue(int) any   { return nil }

// DecodeArguments implements dbus.ArgumentDecoder.
func (b bound) DecodeArguments(_ *dbus.Conn, sender string, m *dbus.Message, body []any) ([]any, error) {
	want, got := "", ""
	for _, a := range b.m.in {
		want += a.sig
	}
	if s, ok := m.Headers[dbus.FieldSignature].Value().(dbus.Signature); ok {
		got = s.String()
	}
	if got != want {
		return nil, dbus.Error{Name: theBus + ".Error.InvalidArgs",
			Body: []any{fmt.Sprintf("%s takes (%s) in at most %d bytes, and got (%s)", b.m.name, want, systembus.MaxBody, got)}}
	}
	return []any{sender, body}, nil
}

// Call implements dbus.Method.
func (b bound) Call(args ...any) ([]any, error) {
	sender, _ := args[0].(string)
	body, _ := args[1].([]any)
	if b.m.name == "Introspect" {
		return b.m.run(&call{})
	}
	out, err := b.d.call(b.m, sender, body)
	if err == nil {
		return out, nil
	}
	var ours *api.Error
	var theirs dbus.Error
	switch {
	case errors.As(err, &ours):
		return nil, fault{ours}
	case errors.As(err, &theirs):
		return nil, theirs
	}
	return nil, fault{api.Refuse(api.Failed, "", err.Error())}
}

func (d *Door) call(m *method, sender string, body []any) ([]any, error) {
	if !d.busy.enter(sender) {
		return nil, refuse(api.Busy, "", "too many calls at a time: %d for one connection, %d for all", maxSenderCalls, maxCalls)
	}
	defer d.busy.leave(sender)
	ctx, cancel := context.WithTimeout(d.ctx, answerWithin)
	defer cancel()
	id, err := d.callers.who(ctx, d, sender)
	if err != nil {
		return nil, refuse(api.NotPermitted, "", "the bus does not tell who you are: %v", err)
	}
	ctx = context.WithValue(ctx, senderKey{}, sender)
	return m.run(&call{ctx, sender, id.caller, id.uid, body})
}

// senderKey is under which a context tells for whom it works.
type senderKey struct{}

// inFlight counts calls.
type inFlight struct {
	mu  sync.Mutex
	all int
	by  map[string]int
}

func (f *inFlight) init() { f.by = map[string]int{} }

func (f *inFlight) enter(sender string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all >= maxCalls || f.by[sender] >= maxSenderCalls {
		return false
	}
	f.all++
	f.by[sender]++
	return true
}

func (f *inFlight) leave(sender string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all--
	if f.by[sender]--; f.by[sender] == 0 {
		delete(f.by, sender)
	}
}

// options takes the last argument, a{sv}, and refuses what is not in known: a
// slip of the pen must not pass for an option that was heeded.
func options(v any, known ...string) (map[string]dbus.Variant, error) {
	o, _ := v.(map[string]dbus.Variant)
	for _, name := range slices.Sorted(maps.Keys(o)) {
		if !slices.Contains(known, name) {
			return nil, refuse(api.InvalidArguments, "", "there is no option %q", name)
		}
	}
	return o, nil
}

// option returns one of them, or what it is when nobody says.
func option[T any](o map[string]dbus.Variant, name string, otherwise T) (T, error) {
	v, ok := o[name]
	if !ok {
		return otherwise, nil
	}
	t, ok := v.Value().(T)
	if !ok {
		return otherwise, refuse(api.InvalidArguments, "", "the option %s is a %s, not a %s", name, dbus.SignatureOf(otherwise), v.Signature())
	}
	return t, nil
}
