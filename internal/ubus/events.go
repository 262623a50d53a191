package ubus

// What others tell: events by name, and notifications of the objects that we
// have subscribed to.

import (
	"context"
	"sync"
)

// An Event is news.
type Event struct {
	Name string
	Data Table
	// Lost says, in place of all else, that some news were more than could wait:
	// look at the state itself.
	Lost bool
	// Gone says, in place of all else, that the object subscribed to is no more.
	Gone bool
}

// What may wait to be told.
const (
	maxNews      = 128
	maxNewsBytes = 512 << 10
)

// news is a queue that one goroutine tells, in order.
type news struct {
	mu    sync.Mutex
	queue []item
	bytes int
	wake  chan struct{} // holds one
}

type item struct {
	to    *published
	event Event
	size  int
}

// add never waits. The last place is for the word that something is lost.
func (n *news) add(to *published, e Event, size int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.queue) >= maxNews-1 || n.bytes+size > maxNewsBytes {
		e, size = Event{Lost: true}, 0
		for _, i := range n.queue {
			if i.to == to && i.event.Lost {
				return // it comes, and means this, too
			}
		}
	}
	n.queue = append(n.queue, item{to, e, size})
	n.bytes += size
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

func (n *news) tell(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.wake:
		}
		for ctx.Err() == nil {
			n.mu.Lock()
			if len(n.queue) == 0 {
				n.queue = nil
				n.mu.Unlock()
				break
			}
			i := n.queue[0]
			n.queue = n.queue[1:]
			n.bytes -= i.size
			n.mu.Unlock()
			i.to.deliver(i.event)
		}
	}
}

// Listen has the events told whose name is pattern, or begins with it when it
// ends in a star. tell is called one event after the other.
func (c *Conn) Listen(ctx context.Context, pattern string, tell func(Event)) error {
	id, err := c.publish(ctx, &published{deliver: tell}, nil)
	if err != nil {
		return err
	}
	_, err = c.Invoke(ctx, eventsID, "register", Table{{"object", int32(id)}, {"pattern", pattern}})
	return err
}

// Subscribe has the notifications told of the object at path.
func (c *Conn) Subscribe(ctx context.Context, path string, tell func(Event)) error {
	found, err := c.Lookup(ctx, path)
	if err != nil {
		return err
	}
	if len(found) != 1 {
		return NotFound
	}
	s, err := c.Subscriber(ctx, tell)
	if err != nil {
		return err
	}
	return s.Add(ctx, found[0].ID)
}

// A Subscriber hears the notifications of any number of objects, and costs the
// daemon one object of its own. It is told, by Gone, when any of them is no
// more.
type Subscriber struct {
	c  *Conn
	id uint32
}

// Subscriber makes a subscriber of nothing yet. tell is called one event after
// the other.
func (c *Conn) Subscriber(ctx context.Context, tell func(Event)) (*Subscriber, error) {
	id, err := c.publish(ctx, &published{deliver: tell}, nil)
	if err != nil {
		return nil, err
	}
	return &Subscriber{c, id}, nil
}

// Add subscribes to an object, by its number.
func (s *Subscriber) Add(ctx context.Context, object uint32) error {
	return s.send(ctx, msgSubscribe, object)
}

// Drop ends the subscription to an object.
func (s *Subscriber) Drop(ctx context.Context, object uint32) error {
	return s.send(ctx, msgUnsubscribe, object)
}

func (s *Subscriber) send(ctx context.Context, kind byte, object uint32) error {
	_, err := s.c.request(ctx, kind, 0, func(b []byte) []byte {
		return appendNumber(appendNumber(b, attrObjID, s.id), attrTarget, object)
	})
	return err
}

// delivered takes news in, and says so to whoever waits for that.
func (c *Conn) delivered(p *published, m *message) error {
	data, err := m.table(maxValues)
	e := Event{Name: m.text(attrMethod), Data: data}
	if err != nil || !m.whole {
		e = Event{Lost: true}
	}
	c.news.add(p, e, m.size)
	return c.reply(m, p.id, nil, OK)
}

// noticed is the daemon's own news of an object of ours.
func (c *Conn) noticed(m *message) {
	id, ok := m.number(attrObjID)
	c.mu.Lock()
	p := c.objects[id]
	c.mu.Unlock()
	switch {
	case !ok || p == nil:
	case m.kind == msgUnsubscribe && p.deliver != nil:
		c.news.add(p, Event{Gone: true}, 0)
	case m.kind == msgNotify && p.object != nil && p.object.Subscribed != nil && m.attrs[attrActive] != nil:
		p.object.Subscribed(m.flag(attrActive))
	}
}
