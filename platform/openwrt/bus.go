// Questions to ubusd: one connection that is opened when it is needed, and
// closed when it has not been for a while.

package openwrt

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"gatehouse/internal/ubus"
	"gatehouse/platform"
)

const (
	// patience bounds one question: a daemon that is busy answers late, one that
	// hangs not at all, and the ACS waits for us.
	patience = 5 * time.Second
	// doubt is when a reading is asked for again: nobody answers for an object
	// that went while it was asked, as hostapd's do with their networks.
	doubt = time.Second
	// fresh is how long an answer is good for: the rows of one request are read
	// within it, by sources that know nothing of each other. A hint makes every
	// answer stale before it is reported, so that whoever looks again sees news.
	fresh = 500 * time.Millisecond
	// linger is how long a connection without a question stays open.
	linger = 2 * time.Second
)

// errAbsent says that nobody has published the object, or that it lacks the
// method.
var errAbsent = errors.New("not on the bus")

func isAbsent(err error) bool { return errors.Is(err, errAbsent) }

// A bus asks. Whoever waits for an answer holds no lock.
type bus struct {
	socket string
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
	log    *slog.Logger

	mu      sync.Mutex
	line    *line
	users   int // questions under way
	idle    *time.Timer
	answers map[question]answer
	age     int // how often all answers became stale
}

// A line is one connection, and what it knows of objects.
type line struct {
	conn  *ubus.Conn
	close context.CancelFunc
	mu    sync.Mutex
	ids   map[string]uint32
}

type question struct{ object, method, device string }

type answer struct {
	value any
	until time.Time
}

func newBus(socket string, dial func(context.Context, string, string) (net.Conn, error), log *slog.Logger) *bus {
	return &bus{socket: socket, dial: dial, log: log, answers: map[question]answer{}}
}

// ask asks an object for a reading; device is the argument of that name, ""
// for none. Within a moment the same question has the same answer.
func (b *bus) ask(ctx context.Context, object, method, device string) (ubus.Table, error) {
	v, err := b.once(ctx, question{object, method, device}, func(ctx context.Context) (any, error) {
		args := ubus.Table{}
		if device != "" {
			args = ubus.Table{{Name: "device", Value: device}}
		}
		t, err := b.wait(ctx, doubt, object, method, args)
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			t, err = b.call(ctx, object, method, args) // over another connection, which looks it up anew
		}
		return t, err
	})
	t, _ := v.(ubus.Table)
	return t, err
}

// once remembers what load returned, for a moment.
func (b *bus) once(ctx context.Context, q question, load func(context.Context) (any, error)) (any, error) {
	b.mu.Lock()
	a, known := b.answers[q]
	age := b.age
	b.mu.Unlock()
	if known && time.Now().Before(a.until) {
		return a.value, nil
	}
	v, err := load(ctx)
	if err == nil {
		b.mu.Lock()
		if b.age == age { // else it may be older than a hint
			b.answers[q] = answer{v, time.Now().Add(fresh)}
			b.rest()
		}
		b.mu.Unlock()
	}
	return v, err
}

// stale makes every answer one of the past.
func (b *bus) stale() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.age++
	clear(b.answers)
}

// call calls a method. A connection that has ended since it was used last is
// opened anew, once.
func (b *bus) call(ctx context.Context, object, method string, args ubus.Table) (ubus.Table, error) {
	return b.wait(ctx, patience, object, method, args)
}

// wait is call with a bound of its own.
func (b *bus) wait(ctx context.Context, bound time.Duration, object, method string, args ubus.Table) (t ubus.Table, err error) {
	err = b.use(ctx, bound, object, func(ctx context.Context, l *line) (err error) {
		t, err = l.call(ctx, object, method, args)
		return err
	})
	return t, err
}

// use has f use the connection, and says what went wrong in the words of the
// platform. f is called again when the connection has ended.
func (b *bus) use(ctx context.Context, bound time.Duration, object string, f func(context.Context, *line) error) (err error) {
	within, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	for range 2 {
		var l *line
		if l, err = b.open(within); err != nil {
			break
		}
		err = f(within, l)
		b.done(l, err)
		if !errors.Is(err, ubus.ErrClosed) {
			break
		}
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, ubus.NotFound), errors.Is(err, ubus.MethodNotFound):
		err = errAbsent
	}
	return &platform.Unavailable{Source: "ubus " + object, Err: err}
}

// has says whether an object is there, and has a method.
func (b *bus) has(ctx context.Context, object, method string) (bool, error) {
	v, err := b.once(ctx, question{object: object}, func(ctx context.Context) (any, error) {
		var methods ubus.Table
		err := b.use(ctx, patience, object, func(ctx context.Context, l *line) error {
			found, err := l.conn.Lookup(ctx, object)
			if len(found) == 1 {
				methods = found[0].Methods
			}
			return err
		})
		if isAbsent(err) {
			err = nil
		}
		return methods, err
	})
	methods, _ := v.(ubus.Table)
	_, can := methods.Get(method)
	return can, err
}

// open returns the connection, and counts who uses it.
func (b *bus) open(ctx context.Context) (*line, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.line != nil && !b.line.ended() {
		b.users++
		return b.line, nil
	}
	b.mu.Unlock()
	l, err := b.connect(ctx)
	b.mu.Lock()
	if err != nil {
		return nil, err
	}
	if b.line != nil && !b.line.ended() { // somebody was faster
		l.close()
	} else {
		b.line, b.users = l, 0
	}
	b.users++
	return b.line, nil
}

func (b *bus) connect(ctx context.Context) (*line, error) {
	raw, err := b.dial(ctx, "unix", b.socket)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	conn, err := ubus.Open(raw, b.log)
	if !stop() && err == nil {
		err = ctx.Err()
		raw.Close()
	}
	if err != nil {
		return nil, err
	}
	serving, cancel := context.WithCancel(context.Background())
	go conn.Serve(serving) // why it ended is told by each question under way
	return &line{conn: conn, close: cancel, ids: map[string]uint32{}}, nil
}

// done ends a use. A connection that was in the way of an answer is not used
// again.
func (b *bus) done(l *line, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.line != l {
		return
	}
	if b.users--; errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ubus.ErrClosed) {
		l.close()
		b.line = nil
	}
	b.rest()
}

// rest has everything given back after a while without questions. mu is held.
func (b *bus) rest() {
	if b.idle != nil {
		b.idle.Stop()
	}
	b.idle = time.AfterFunc(linger, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		clear(b.answers)
		if b.line != nil && b.users == 0 {
			b.line.close()
			b.line = nil
		}
	})
}

func (l *line) ended() bool {
	select {
	case <-l.conn.Ended():
		return true
	default:
		return false
	}
}

// call looks an object up, if it is not known, and calls it. A daemon that was
// restarted has published it under another number.
func (l *line) call(ctx context.Context, object, method string, args ubus.Table) (ubus.Table, error) {
	l.mu.Lock()
	id, known := l.ids[object]
	l.mu.Unlock()
	if known {
		t, err := l.conn.Invoke(ctx, id, method, args)
		if !errors.Is(err, ubus.NotFound) {
			return t, err
		}
	}
	found, err := l.conn.Lookup(ctx, object)
	if err != nil {
		return nil, err
	}
	if len(found) != 1 {
		return nil, ubus.NotFound
	}
	l.mu.Lock()
	l.ids[object] = found[0].ID
	l.mu.Unlock()
	return l.conn.Invoke(ctx, found[0].ID, method, args)
}
