package ubusd

// Calls, events and notifications: what one client tells another.

import "encoding/binary"

func (d *Daemon) invoke(c *client, m *message) int {
	id, given := m.number(aID)
	method, named := m.str(aMethod)
	if !given || !named {
		return invalidArgument
	}
	if id == 1 {
		return d.event(c, m, method)
	}
	o := d.objects[id]
	if o == nil {
		return notFound
	}
	if !d.may(c, accesses, o.path, method) {
		return permissionDenied
	}
	d.forward(c, o, m.seq, method, m.get(aData), false)
	return later
}

// forward writes every attribute itself: what the caller says of its user is
// nobody's business.
func (d *Daemon) forward(from *client, to *object, seq uint16, method string, body []byte, noReply bool) {
	f := &message{kind: invoke, seq: seq, peer: from.id}
	if noReply {
		f.attrs = append(f.attrs, attribute{aNoReply, []byte{1}})
	}
	f.attrs = append(f.attrs, num(aID, to.id), str(aMethod, method))
	if !d.Old {
		f.attrs = append(f.attrs, str(aUser, from.Name), str(aGroup, from.Group))
	}
	if body != nil {
		f.attrs = append(f.attrs, attribute{aData, body})
	}
	to.owner.send(f)
}

// respond passes an answer on to whoever the answerer says; the daemon knows
// nothing of the question.
func (d *Daemon) respond(c *client, m *message) int {
	id, given := m.number(aID)
	o, to := d.objects[id], d.clients[m.peer]
	if !given || o == nil || o.owner != c || to == nil || m.kind == status && m.get(aStatus) == nil || m.kind == data && m.get(aData) == nil {
		return later
	}
	m.peer = id
	to.send(m)
	return later
}

// event is the object 1, which is the daemon's own.
func (d *Daemon) event(c *client, m *message, method string) int {
	args, good := members(m.get(aData))
	if !good {
		return invalidArgument
	}
	switch method {
	case "register":
		return d.register(c, args)
	case "send":
		var id string
		var body []byte
		for _, a := range args {
			if s, is := a.text(); is && a.name == "id" {
				id = s
			}
			if a.name == "data" && a.typ == 2 {
				body = a.body
			}
		}
		if id == "" || body == nil {
			return invalidArgument
		}
		if len(id) >= 5 && id[:5] == "ubus." || !d.may(c, sends, id, "") {
			return permissionDenied
		}
		d.broadcast(c, id, body)
		return ok
	}
	return methodNotFound
}

func (d *Daemon) register(c *client, args []member) int {
	var o *object
	pattern, named, numbered := "", false, false
	for _, a := range args {
		if s, is := a.text(); is && a.name == "pattern" {
			pattern, named = s, true
		}
		if a.name == "object" && a.typ == 5 && len(a.body) == 4 {
			o, numbered = d.objects[binary.BigEndian.Uint32(a.body)], true
		}
	}
	switch {
	case !named || !numbered:
		return invalidArgument
	case o == nil:
		return notFound
	case o.owner != c || !d.may(c, listens, pattern, ""):
		return permissionDenied
	}
	d.listens = append(d.listens, listen{o, pattern})
	return ok
}

// broadcast tells every listener but the sender, once.
func (d *Daemon) broadcast(from *client, id string, body []byte) {
	told := map[*object]bool{}
	for _, l := range d.listens {
		if l.object.owner == from || told[l.object] || !matches(l.pattern, id) {
			continue
		}
		told[l.object] = true
		d.seq++
		l.object.owner.send(&message{kind: invoke, seq: d.seq, attrs: []attribute{num(aID, l.object.id), str(aMethod, id), {aData, body}}})
	}
}

func (d *Daemon) announce(o *object, event string) {
	id := member{5, "id", binary.BigEndian.AppendUint32(nil, o.id)}
	path := member{3, "path", append([]byte(o.path), 0)}
	d.broadcast(nil, event, append(id.bytes(), path.bytes()...))
}

func (d *Daemon) subscribe(c *client, m *message) int {
	id, given := m.number(aID)
	to, aimed := m.number(aTarget)
	o, target := d.objects[id], d.objects[to]
	switch {
	case !given || !aimed:
		return invalidArgument
	case o == nil:
		return notFound
	case o.owner != c:
		return invalidArgument
	case target == nil:
		return notFound
	case target.owner == c:
		return invalidArgument
	case target.path == "" && target.owner.Name != c.Name && target.owner.Group != c.Group:
		return notFound
	case target.path != "" && !d.may(c, subscribes, target.path, ""):
		return notFound
	}
	target.subscribers = append(target.subscribers, o)
	if len(target.subscribers) == 1 {
		d.active(target)
	}
	return ok
}

func (d *Daemon) unsubscribe(c *client, m *message) int {
	id, given := m.number(aID)
	to, aimed := m.number(aTarget)
	o := d.objects[id]
	switch {
	case !given || !aimed:
		return invalidArgument
	case o == nil:
		return notFound
	case o.owner != c:
		return invalidArgument
	}
	if target := d.objects[to]; target != nil && d.drop(target, o) {
		return ok
	}
	return notFound
}

// drop ends one subscription.
func (d *Daemon) drop(target, o *object) bool {
	for i, s := range target.subscribers {
		if s == o {
			target.subscribers = append(target.subscribers[:i:i], target.subscribers[i+1:]...)
			if len(target.subscribers) == 0 {
				d.active(target)
			}
			return true
		}
	}
	return false
}

// active tells the owner that somebody, or nobody any more, is subscribed.
func (d *Daemon) active(o *object) {
	o.seq++
	b := []byte{0}
	if len(o.subscribers) > 0 {
		b[0] = 1
	}
	o.owner.send(&message{kind: notify, seq: o.seq, attrs: []attribute{num(aID, o.id), {aActive, b}}})
}

func (d *Daemon) notify(c *client, m *message) int {
	id, given := m.number(aID)
	method, named := m.str(aMethod)
	o := d.objects[id]
	switch {
	case !given || !named:
		return invalidArgument
	case o == nil:
		return notFound
	case o.owner != c:
		return permissionDenied
	}
	quiet := m.get(aNoReply)
	noReply := len(quiet) == 1 && quiet[0] != 0
	if !noReply {
		var list []byte
		for _, s := range o.subscribers {
			list = append(list, pack(0, binary.BigEndian.AppendUint32(nil, s.id))...)
		}
		c.send(&message{kind: status, seq: m.seq, peer: m.peer, attrs: []attribute{num(aID, o.id), {aSubscribers, list}, num(aStatus, ok)}})
	}
	for _, s := range o.subscribers {
		d.forward(c, s, m.seq, method, m.get(aData), noReply)
	}
	return later
}
