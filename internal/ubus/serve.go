package ubus

// Objects that we publish, and the calls that others make of them.

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// An Object is what we publish under a path.
type Object struct {
	Path    string
	Methods []Method
	// Subscribed is told when the first subscriber has come and when the last
	// one has gone. It must not wait. May be nil.
	Subscribed func(bool)
}

// A Method of an object.
type Method struct {
	Name string
	Args []Arg
	// Serve answers a call; its context ends with the connection. An error that
	// is no Status is told as UnknownError. What it returns beside an error is
	// sent, too.
	Serve func(ctx context.Context, c Call) (Table, error)
}

// An Arg is an argument, as ubus -v list shows it. The daemon checks none.
type Arg struct {
	Name string
	Type int
}

// A Call is one call of a method.
type Call struct {
	// User and Group are the caller's, in the words of the daemon, which has
	// them from the kernel; "" when it is too old to tell.
	User, Group string
	Client      uint32 // the connection that the call came by
	Args        Table
}

// Calls that may be under way, of one connection, of all, and in bytes.
const (
	maxClientCalls = 8
	maxCalls       = 32
	maxCallBytes   = 1 << 20
)

// published is an object that the daemon knows: one with methods, or one that
// news come to.
type published struct {
	id      uint32
	object  *Object
	deliver func(Event)
}

// inFlight counts calls. The mutex of the Conn guards it.
type inFlight struct {
	all, bytes int
	by         map[uint32]int
}

// Publish makes an object known. A path that somebody else has is
// InvalidArgument, one that we may not have PermissionDenied.
func (c *Conn) Publish(ctx context.Context, o *Object) (id uint32, err error) {
	return c.publish(ctx, &published{object: o}, func(b []byte) []byte {
		b = appendText(b, attrObjPath, o.Path)
		return appendTableAttr(b, attrSignature, signature(o.Methods))
	})
}

func signature(methods []Method) Table {
	var t Table
	for _, m := range methods {
		args := Table{}
		for _, a := range m.Args {
			args = append(args, Field{a.Name, a.Type})
		}
		t = append(t, Field{m.Name, args})
	}
	return t
}

func (c *Conn) publish(ctx context.Context, p *published, fill func([]byte) []byte) (uint32, error) {
	if _, err := c.do(ctx, &request{adds: p}, msgAddObject, 0, fill); err != nil {
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.id == 0 {
		return 0, fmt.Errorf("ubus: an object's number: %w", errBlob)
	}
	return p.id, nil
}

// Remove takes an object back.
func (c *Conn) Remove(ctx context.Context, id uint32) error {
	_, err := c.request(ctx, msgRemoveObject, 0, func(b []byte) []byte { return appendNumber(b, attrObjID, id) })
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.objects, id)
	return err
}

// Notify tells the subscribers of an object of ours something. It does not wait
// for them.
func (c *Conn) Notify(object uint32, what string, data Table) error {
	c.mu.Lock()
	c.seq++
	seq := c.seq
	c.mu.Unlock()
	return c.send(frame(msgNotify, seq, object, func(b []byte) []byte {
		b = appendNumber(b, attrObjID, object)
		b = appendText(b, attrMethod, what)
		b, start := openAttr(b, attrNoReply, false)
		b = closeAttr(append(b, 1), start)
		return appendTableAttr(b, attrData, data)
	}))
}

// invoked is a call of an object of ours, or news for one.
func (c *Conn) invoked(ctx context.Context, tasks *sync.WaitGroup, m *message) error {
	id, ok := m.number(attrObjID)
	c.mu.Lock()
	p := c.objects[id]
	c.mu.Unlock()
	switch {
	case !ok:
		return nil
	case p == nil:
		return c.reply(m, id, nil, NotFound)
	case p.deliver != nil:
		return c.delivered(p, m)
	case !m.whole:
		return c.reply(m, id, nil, NoMemory)
	}
	name := m.text(attrMethod)
	for i := range p.object.Methods {
		if method := &p.object.Methods[i]; method.Name == name {
			return c.start(ctx, tasks, method, id, m)
		}
	}
	return c.reply(m, id, nil, MethodNotFound)
}

// start runs a method on a goroutine of its own, if there is room.
func (c *Conn) start(ctx context.Context, tasks *sync.WaitGroup, method *Method, id uint32, m *message) error {
	if !c.enter(m) {
		return c.reply(m, id, nil, Timeout)
	}
	tasks.Go(func() {
		defer c.leave(m)
		args, err := m.table(maxValues)
		if err != nil {
			c.log.Debug("a call of ubus cannot be read", "method", method.Name, "err", err)
			c.reply(m, id, nil, ParseError)
			return
		}
		call := Call{User: m.text(attrUser), Group: m.text(attrGroup), Client: m.peer, Args: args}
		out, err := method.Serve(ctx, call)
		status := OK
		if err != nil && !errors.As(err, &status) {
			status = UnknownError
		}
		if err := c.reply(m, id, out, status); err != nil {
			c.log.Debug("a caller on ubus gets no answer", "method", method.Name, "err", err)
		}
	})
	return nil
}

func (c *Conn) enter(m *message) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := &c.calls
	if f.all >= maxCalls || f.by[m.peer] >= maxClientCalls || f.bytes+m.size > maxCallBytes {
		return false
	}
	f.all++
	f.bytes += m.size
	f.by[m.peer]++
	return true
}

func (c *Conn) leave(m *message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := &c.calls
	f.all--
	f.bytes -= m.size
	if f.by[m.peer]--; f.by[m.peer] == 0 {
		delete(f.by, m.peer)
	}
}

// reply answers a call: what it returns, if anything, and how it went. An
// answer that no message can hold is told as NoMemory.
func (c *Conn) reply(m *message, id uint32, out Table, status Status) error {
	if m.flag(attrNoReply) {
		return nil
	}
	var b []byte
	if out != nil {
		b = frame(msgData, m.seq, m.peer, func(b []byte) []byte {
			return appendTableAttr(appendNumber(b, attrObjID, id), attrData, out)
		})
		if len(b)-headerSize > maxMessage/2 { // ubusd drops what a slow caller leaves in a queue of 1 MB
			b, status = nil, NoMemory
		}
	}
	return c.send(append(b, frame(msgStatus, m.seq, m.peer, func(b []byte) []byte {
		return appendNumber(appendNumber(b, attrStatus, uint32(status)), attrObjID, id)
	})...))
}
