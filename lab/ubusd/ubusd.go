// Package ubusd is OpenWrt's bus daemon for tests: it speaks the wire protocol,
// refuses what ubusd refuses, and enforces the same access lists. Command is the
// ubus command beside it.
package ubusd

import (
	"context"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
)

// A User is who stands at the other end of a connection.
type User struct {
	UID         uint32
	Name, Group string
}

// Root may do everything.
var Root = User{0, "root", "root"}

// A Daemon is one life of ubusd. Its fields are set before Serve.
type Daemon struct {
	// Who says who a client is; nil: everybody is root.
	Who func(net.Conn) User
	// Access are the access lists, as in /usr/share/acl.d.
	Access []Access
	// ID makes the numbers of clients, objects and types; nil: random ones.
	ID func() uint32
	// Old daemons do not tell who calls.
	Old bool

	mu      sync.Mutex
	clients map[uint32]*client
	objects map[uint32]*object
	paths   []*object // in the order of their paths
	listens []listen
	seq     uint16
}

type client struct {
	User
	id   uint32
	conn net.Conn
	out  chan []byte
}

type object struct {
	id, typ     uint32
	path        string
	signature   []byte
	owner       *client
	subscribers []*object
	seq         uint16
}

type listen struct {
	object  *object
	pattern string
}

// queue is how many messages wait for a slow client; what is more is lost.
const queue = 4096

// Serve serves l until ctx ends, and closes it.
func (d *Daemon) Serve(ctx context.Context, l net.Listener) error {
	d.begin()
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			if err == nil {
				conn.Close()
			}
			return nil
		}
		if err != nil {
			return err
		}
		all.Go(func() { d.serve(ctx, conn) })
	}
}

func (d *Daemon) begin() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.clients == nil {
		d.clients, d.objects = map[uint32]*client{}, map[uint32]*object{}
	}
}

func (d *Daemon) serve(ctx context.Context, conn net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	c := &client{User: Root, conn: conn, out: make(chan []byte, queue)}
	if d.Who != nil {
		c.User = d.Who(conn)
	}
	d.mu.Lock()
	c.id = d.id()
	d.clients[c.id] = c
	c.send(&message{kind: hello, peer: c.id})
	d.mu.Unlock()
	written := make(chan struct{})
	go func() {
		defer close(written)
		for b := range c.out {
			if _, err := conn.Write(b); err != nil {
				cancel()
			}
		}
	}()
	for {
		m, err := read(conn)
		if err != nil {
			break
		}
		d.mu.Lock()
		d.handle(c, m)
		d.mu.Unlock()
	}
	cancel()
	d.mu.Lock()
	d.leave(c)
	close(c.out)
	d.mu.Unlock()
	<-written
}

func (d *Daemon) id() uint32 {
	for {
		n := rand.Uint32()
		if d.ID != nil {
			n = d.ID()
		}
		if n >= 1024 && d.objects[n] == nil && d.clients[n] == nil {
			return n
		}
	}
}

// leave takes a client's objects along.
func (d *Daemon) leave(c *client) {
	delete(d.clients, c.id)
	for _, o := range d.objects {
		if o.owner == c {
			d.remove(o)
		}
	}
}

func (c *client) send(m *message) {
	select {
	case c.out <- m.bytes():
	default:
	}
}

// later says that somebody else answers, or nobody.
const later = -1

func (d *Daemon) handle(c *client, m *message) {
	handlers := map[byte]func(*client, *message) int{
		ping:   func(*client, *message) int { c.send(&message{kind: data, seq: m.seq, peer: m.peer}); return ok },
		lookup: d.lookup, invoke: d.invoke, status: d.respond, data: d.respond,
		addObject: d.addObject, removeObject: d.removeObject,
		subscribe: d.subscribe, unsubscribe: d.unsubscribe, notify: d.notify,
	}
	code := invalidCommand
	if h := handlers[m.kind]; h != nil {
		code = h(c, m)
	}
	if code != later {
		c.send(&message{kind: status, seq: m.seq, peer: m.peer, attrs: []attribute{num(aStatus, uint32(code))}})
	}
}

func (d *Daemon) lookup(c *client, m *message) int {
	path, given := m.str(aPath)
	prefix, star := strings.CutSuffix(path, "*")
	found := !given
	for _, o := range d.paths {
		if !given || o.path == path || star && strings.HasPrefix(o.path, prefix) {
			found = true
			c.send(&message{kind: data, seq: m.seq, peer: m.peer,
				attrs: []attribute{str(aPath, o.path), num(aID, o.id), num(aType, o.typ), {aSignature, o.signature}}})
		}
	}
	if !found {
		return notFound
	}
	return ok
}

func (d *Daemon) addObject(c *client, m *message) int {
	path, given := m.str(aPath)
	if given && !d.may(c, publishes, path, "") {
		return permissionDenied
	}
	o := &object{id: 0, owner: c, path: path}
	if (m.get(aSignature) != nil) != given {
		return invalidArgument
	}
	if given {
		if d.at(path) != nil {
			return invalidArgument
		}
		o.signature = m.get(aSignature)
		methods, good := members(o.signature)
		for _, method := range methods {
			good = good && method.typ == 2 && method.name != ""
		}
		if !good {
			return invalidArgument
		}
	}
	o.id = d.id()
	d.objects[o.id] = o
	reply := []attribute{num(aID, o.id)}
	if given {
		o.typ = d.id()
		reply = append(reply, num(aType, o.typ))
		i := 0
		for i < len(d.paths) && d.paths[i].path < path {
			i++
		}
		d.paths = append(d.paths[:i], append([]*object{o}, d.paths[i:]...)...)
		d.announce(o, "ubus.object.add")
	}
	c.send(&message{kind: data, seq: m.seq, peer: m.peer, attrs: reply})
	return ok
}

func (d *Daemon) at(path string) *object {
	for _, o := range d.paths {
		if o.path == path {
			return o
		}
	}
	return nil
}

func (d *Daemon) removeObject(c *client, m *message) int {
	id, given := m.number(aID)
	o := d.objects[id]
	switch {
	case !given:
		return invalidArgument
	case o == nil:
		return notFound
	case o.owner != c:
		return permissionDenied
	}
	c.send(&message{kind: data, seq: m.seq, peer: m.peer, attrs: []attribute{num(aID, o.id)}})
	d.remove(o)
	return ok
}

func (d *Daemon) remove(o *object) {
	delete(d.objects, o.id)
	for _, s := range o.subscribers {
		s.seq++
		s.owner.send(&message{kind: unsubscribe, seq: s.seq, attrs: []attribute{num(aID, s.id), num(aTarget, o.id)}})
	}
	for _, t := range d.objects {
		d.drop(t, o)
	}
	for i := 0; i < len(d.listens); i++ {
		if d.listens[i].object == o {
			d.listens = append(d.listens[:i], d.listens[i+1:]...)
			i--
		}
	}
	for i, p := range d.paths {
		if p == o {
			d.paths = append(d.paths[:i:i], d.paths[i+1:]...)
			d.announce(o, "ubus.object.remove")
			break
		}
	}
}

// Kick ends every connection, as a daemon that is killed does.
func (d *Daemon) Kick() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.clients {
		c.conn.Close()
	}
}

// Paths are the objects that are published.
func (d *Daemon) Paths() (paths []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, o := range d.paths {
		paths = append(paths, o.path)
	}
	return paths
}
