package ubus

// A connection: the requests that we make of the daemon, and of others.

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"
)

const (
	handshake   = 10 * time.Second // for the daemon to say hello
	writeWithin = 10 * time.Second // for it to take a message
	maxPending  = 256              // requests of ours without an answer
	maxAnswer   = 4 << 20          // bytes of all the messages of one answer
	maxAnswers  = 4096             // and how many these are
	eventsID    = 1                // the object of the daemon that events go through
)

// ErrClosed says that the connection to the daemon has ended.
var ErrClosed = errors.New("the connection to ubus has ended")

// A Conn is a connection to the daemon. Its methods may be called by many
// goroutines while Serve runs.
type Conn struct {
	raw   net.Conn
	id    uint32
	log   *slog.Logger
	ended chan struct{} // closed when Serve returns

	writing sync.Mutex

	mu      sync.Mutex
	seq     uint16
	pending map[pendingKey]*request
	objects map[uint32]*published

	calls inFlight
	news  news
}

// pendingKey is what an answer must have in common with its request. Anybody
// who has published something can send an answer to anybody, and the daemon
// vouches for nothing but the peer.
type pendingKey struct {
	seq  uint16
	peer uint32
}

// A request waits for its answer. The mutex of the Conn guards it until done.
type request struct {
	answers []*message
	size    int
	adds    *published // the object that it publishes
	done    chan error // holds one
}

// Open greets the daemon at the other end of raw, which the Conn owns then. log
// may be nil.
func Open(raw net.Conn, log *slog.Logger) (*Conn, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c := &Conn{raw: raw, log: log, ended: make(chan struct{}),
		pending: map[pendingKey]*request{}, objects: map[uint32]*published{}}
	c.calls.by = map[uint32]int{}
	c.news.wake = make(chan struct{}, 1)
	raw.SetReadDeadline(time.Now().Add(handshake))
	m, err := readMessage(raw)
	if err == nil && m.kind != msgHello {
		err = fmt.Errorf("%w: a message of kind %d in place of a greeting", errBlob, m.kind)
	}
	if err != nil {
		raw.Close()
		return nil, fmt.Errorf("ubus: %w", err)
	}
	raw.SetReadDeadline(time.Time{})
	c.id = m.peer
	return c, nil
}

// Serve reads until ctx ends or the connection breaks, and waits for the calls
// under way. It must run for any other method to get an answer.
func (c *Conn) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var tasks sync.WaitGroup
	defer tasks.Wait()
	defer cancel()
	defer c.end()
	defer context.AfterFunc(ctx, func() { c.raw.Close() })()
	tasks.Go(func() { c.news.tell(ctx) })
	for {
		m, err := readMessage(c.raw)
		if err == nil {
			err = c.receive(ctx, &tasks, m)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("%w: %w", ErrClosed, err)
		}
	}
}

// Ended is closed when Serve has returned.
func (c *Conn) Ended() <-chan struct{} { return c.ended }

func (c *Conn) end() {
	c.raw.Close()
	close(c.ended)
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, r := range c.pending {
		delete(c.pending, key)
		r.done <- ErrClosed
	}
}

// receive must not wait for anything but the daemon to take what it is sent.
func (c *Conn) receive(ctx context.Context, tasks *sync.WaitGroup, m *message) error {
	switch m.kind {
	case msgStatus, msgData:
		c.answer(m)
	case msgInvoke:
		return c.invoked(ctx, tasks, m)
	case msgNotify, msgUnsubscribe:
		c.noticed(m)
	}
	return nil // whatever else a later daemon may say
}

// answer hands a message to the request that it answers.
func (c *Conn) answer(m *message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := pendingKey{m.seq, m.peer}
	r := c.pending[key]
	if r == nil {
		return // whoever asked does not wait any more
	}
	r.size += m.size
	status, ok := m.number(attrStatus)
	var err error
	switch {
	case r.size > maxAnswer, len(r.answers) >= maxAnswers, m.kind == msgStatus && !ok:
		err = fmt.Errorf("ubus: an answer: %w", errBlob)
	case m.kind == msgData:
		r.answers = append(r.answers, m)
		if r.adds == nil {
			return
		}
		// The next message may be the first call of the new object.
		if id, ok := m.number(attrObjID); ok && r.adds.id == 0 {
			r.adds.id = id
			c.objects[id] = r.adds
		}
		return
	case status != 0:
		err = Status(status)
	}
	delete(c.pending, key)
	r.done <- err
}

// request sends a message and returns what answers it before the status, which
// is the error when it is none of success.
func (c *Conn) request(ctx context.Context, kind byte, peer uint32, fill func([]byte) []byte) ([]*message, error) {
	return c.do(ctx, &request{}, kind, peer, fill)
}

func (c *Conn) do(ctx context.Context, r *request, kind byte, peer uint32, fill func([]byte) []byte) ([]*message, error) {
	r.done = make(chan error, 1)
	key, err := c.await(r, peer)
	if err != nil {
		return nil, err
	}
	if err = c.send(frame(kind, key.seq, peer, fill)); err == nil {
		select {
		case err := <-r.done:
			return r.answers, err
		case <-c.ended:
			err = ErrClosed
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pending, key)
	return nil, err
}

// await gives a request a number that no other one has.
func (c *Conn) await(r *request, peer uint32) (pendingKey, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending) >= maxPending {
		return pendingKey{}, fmt.Errorf("ubus: %d requests are without an answer", maxPending)
	}
	for {
		c.seq++
		key := pendingKey{c.seq, peer}
		if c.pending[key] == nil {
			c.pending[key] = r
			return key, nil
		}
	}
}

// send writes one message. A daemon that does not take it loses us.
func (c *Conn) send(b []byte) error {
	if len(b)-headerSize > maxMessage {
		return NoMemory
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	c.raw.SetWriteDeadline(time.Now().Add(writeWithin))
	if _, err := c.raw.Write(b); err != nil {
		c.raw.Close()
		return fmt.Errorf("%w: %w", ErrClosed, err)
	}
	return nil
}

// A Found is an object that somebody has published.
type Found struct {
	Path    string
	ID      uint32
	Methods Table // of each a Table with the types of its arguments
}

// Lookup returns the objects of a path, which may end in a star; all of them
// when it is "". None is NotFound.
func (c *Conn) Lookup(ctx context.Context, path string) ([]Found, error) {
	answers, err := c.request(ctx, msgLookup, 0, func(b []byte) []byte {
		if path == "" {
			return b
		}
		return appendText(b, attrObjPath, path)
	})
	if err != nil {
		return nil, err
	}
	var found []Found
	for _, m := range answers {
		id, ok := m.number(attrObjID)
		methods, err := decodeTable(m.attrs[attrSignature], maxReply)
		if !ok || err != nil {
			return nil, fmt.Errorf("ubus: a look-up: %w", errors.Join(errBlob, err))
		}
		found = append(found, Found{Path: m.text(attrObjPath), ID: id, Methods: methods})
	}
	return found, nil
}

// Invoke calls a method of an object. A refusal is a Status; the object may
// have said something beside it. Of several answers the last counts.
func (c *Conn) Invoke(ctx context.Context, object uint32, method string, args Table) (reply Table, err error) {
	answers, err := c.request(ctx, msgInvoke, object, func(b []byte) []byte {
		b = appendNumber(b, attrObjID, object)
		b = appendText(b, attrMethod, method)
		return appendTableAttr(b, attrData, args)
	})
	if n := len(answers); n > 0 {
		var perr error
		if reply, perr = answers[n-1].table(maxReply); perr != nil && err == nil {
			err = fmt.Errorf("ubus: %s: %w", method, perr)
		}
	}
	return reply, err
}

// Call looks an object up and invokes a method of it.
func (c *Conn) Call(ctx context.Context, path, method string, args Table) (Table, error) {
	found, err := c.Lookup(ctx, path)
	if err != nil {
		return nil, err
	}
	if len(found) != 1 {
		return nil, NotFound
	}
	return c.Invoke(ctx, found[0].ID, method, args)
}

// Send sends an event to whoever listens for its name.
func (c *Conn) Send(ctx context.Context, event string, data Table) error {
	_, err := c.Invoke(ctx, eventsID, "send", Table{{"id", event}, {"data", data}})
	return err
}
