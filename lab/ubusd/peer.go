package ubusd

// A peer is one of the system's daemons on the bus: netifd, hostapd, procd. It
// publishes objects, answers calls as libubus does, and tells events.

import (
	"context"
	"net"
	"slices"
	"sync"
)

// A method of an object. Args are the types that blobmsg_parse lets pass: an
// argument of another type is not there.
type method struct {
	name  string
	args  map[string]int
	serve func(args Table) (Table, int)
}

// Outcomes without an answer: the daemon has gone in mid-call, or the process
// that was called.
const silent, dead = -2, -3

type peer struct {
	r    *Router
	conn net.Conn

	writing sync.Mutex
	mu      sync.Mutex
	seq     uint16
	answers map[uint16]chan *message
	objects map[uint32]*offered
}

type offered struct {
	path    string
	methods []method
}

// join connects a peer to the daemon; it serves until ctx ends.
func (r *Router) join(ctx context.Context, d *Daemon, all *sync.WaitGroup) *peer {
	ours, theirs := net.Pipe()
	p := &peer{r: r, conn: ours, answers: map[uint16]chan *message{}, objects: map[uint32]*offered{}}
	all.Go(func() { d.serve(ctx, theirs) })
	all.Go(func() { p.read(all) })
	return p
}

func (p *peer) read(all *sync.WaitGroup) {
	defer p.conn.Close()
	defer p.hangUp()
	for {
		m, err := read(p.conn)
		if err != nil {
			return
		}
		switch m.kind {
		case invoke:
			all.Go(func() { p.invoked(m) })
		case status, data:
			p.mu.Lock()
			if c := p.answers[m.seq]; c != nil {
				c <- m // it has room for all that the daemon says of one request
			}
			p.mu.Unlock()
		}
	}
}

// hangUp ends the requests under way.
func (p *peer) hangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for seq, c := range p.answers {
		close(c)
		delete(p.answers, seq)
	}
	p.answers = nil
}

func (p *peer) send(m *message) {
	p.writing.Lock()
	defer p.writing.Unlock()
	p.conn.Write(m.bytes()) // whether the daemon is there is seen by reading
}

// request waits for the status of a request of the daemon itself.
func (p *peer) request(kind byte, to uint32, attrs ...attribute) (answer *message) {
	c := make(chan *message, 8)
	p.mu.Lock()
	if p.answers == nil {
		p.mu.Unlock()
		return nil
	}
	p.seq++
	seq := p.seq
	p.answers[seq] = c
	p.mu.Unlock()
	p.send(&message{kind: kind, seq: seq, peer: to, attrs: attrs})
	for m := range c {
		if m.kind == status {
			break
		}
		answer = m
	}
	p.mu.Lock()
	delete(p.answers, seq)
	p.mu.Unlock()
	return answer
}

// publish adds an object.
func (p *peer) publish(path string, methods ...method) {
	var signature Table
	for _, m := range methods {
		args := Table{}
		for name, typ := range m.args {
			args = append(args, Pair{name, typ})
		}
		slices.SortFunc(args, func(a, b Pair) int { return len(a.Name) - len(b.Name) })
		signature = append(signature, Pair{m.name, args})
	}
	if m := p.request(addObject, 0, str(aPath, path), attribute{aSignature, signature.bytes()}); m != nil {
		id, _ := m.number(aID)
		p.mu.Lock()
		p.objects[id] = &offered{path, methods}
		p.mu.Unlock()
	}
}

// withdraw takes an object back.
func (p *peer) withdraw(path string) {
	if id := p.id(path); id != 0 {
		p.request(removeObject, 0, num(aID, id))
		p.mu.Lock()
		delete(p.objects, id)
		p.mu.Unlock()
	}
}

func (p *peer) id(path string) uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, o := range p.objects {
		if o.path == path {
			return id
		}
	}
	return 0
}

// notify tells the subscribers of an object something.
func (p *peer) notify(path, what string, t Table) {
	if id := p.id(path); id != 0 {
		p.send(&message{kind: notify, peer: id, attrs: []attribute{num(aID, id), str(aMethod, what), {aNoReply, []byte{1}}, {aData, t.bytes()}}})
	}
}

// event tells whoever listens for its name.
func (p *peer) event(name string, t Table) {
	p.request(invoke, 1, num(aID, 1), str(aMethod, "send"), attribute{aData, T("id", name, "data", t).bytes()})
}

func (p *peer) invoked(m *message) {
	id, _ := m.number(aID)
	name, _ := m.str(aMethod)
	p.mu.Lock()
	o := p.objects[id]
	p.mu.Unlock()
	var reply Table
	code := notFound // as libubus says of one that was withdrawn while it was called
	if o != nil {
		reply, code = p.call(o, name, m.get(aData))
	}
	if code == silent {
		return
	}
	if quiet := m.get(aNoReply); len(quiet) == 1 && quiet[0] != 0 {
		return
	}
	if reply != nil {
		p.send(&message{kind: data, seq: m.seq, peer: m.peer, attrs: []attribute{num(aID, id), {aData, reply.bytes()}}})
	}
	p.send(&message{kind: status, seq: m.seq, peer: m.peer, attrs: []attribute{num(aStatus, uint32(code)), num(aID, id)}})
}

func (p *peer) call(o *offered, name string, body []byte) (Table, int) {
	if body == nil {
		return nil, invalidArgument
	}
	args, good := fromMembers(body)
	if !good {
		return nil, invalidArgument
	}
	for _, m := range o.methods {
		if m.name != name {
			continue
		}
		code := p.r.hold(o.path, name)
		if code == dead {
			p.withdraw(o.path)
			code = silent
		}
		if code != ok {
			return nil, code
		}
		return m.serve(pass(m.args, body, args))
	}
	return nil, methodNotFound
}

// pass leaves out what blobmsg_parse does.
func pass(policy map[string]int, body []byte, args Table) (passed Table) {
	list, _ := members(body)
	for i, m := range list {
		if typ, known := policy[m.name]; known && (typ == 0 || typ == m.typ) {
			passed = append(passed, args[i])
		}
	}
	return passed
}
