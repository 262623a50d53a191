package app_test

// A world in which the agent can be killed at any step: whatever it does to a
// disk or to the network is a step with a name, and a blow falls on one of them.

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"path"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing/synctest"
	"time"

	"gatehouse/agent/app"
	"gatehouse/internal/store"
	"gatehouse/internal/store/storetest"
	"gatehouse/platform/fake"
)

// A blow is what happens at one step.
type blow struct {
	at    string         // the step's name; "": it never comes
	err   error          // the call fails with it; nil: the agent is killed
	torn  bool           // half of a write takes effect first
	lasts bool           // the disk stays like that until the next start
	loss  storetest.Loss // what the end of the process leaves
}

func (b blow) String() string {
	s := b.loss.String()
	if b.err != nil {
		s = b.err.Error()
	}
	if b.torn {
		s += ", torn"
	}
	return s + " at " + b.at
}

// A world is a house whose agent has several lives. Steps are counted over all
// of them.
type world struct {
	*house
	blow  blow
	boots int // of the device, from 1
	cable bool

	chapter atomic.Int32 // how far the ACS has come with its plan

	mu    sync.Mutex
	seen  map[string]int
	steps []passed
	hit   bool
}

// passed is a step that was taken, and when.
type passed struct {
	name    string
	chapter int32
}

func newWorld(h *house, b blow) *world {
	return &world{house: h, blow: b, boots: 1, cable: true, seen: map[string]int{}}
}

// so tells all steps so far, and whether the blow has come.
func (w *world) so() (steps []passed, hit bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.steps, w.hit
}

// A life is one process of the agent. When it is over, nothing that is left of
// it reaches a disk, the router or the ACS.
type life struct {
	w        *world
	stop     context.CancelFunc
	ended    chan error
	rebooted chan struct{}
	died     chan struct{}

	// Guarded by the world's mu.
	dead   bool
	sick   map[string]error // disks that stay bad
	wires  []*wire
	flash  *storetest.FS // what the next life finds
	ram    *storetest.FS
	router *fake.Router
}

// step is one step of the agent; do is its effect, by half when torn.
func (l *life) step(name string, do func(torn bool) error) error {
	w := l.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if l.dead {
		return storetest.ErrCrashed
	}
	w.seen[name]++
	name = fmt.Sprintf("%s #%d", name, w.seen[name])
	w.steps = append(w.steps, passed{name, w.chapter.Load()})
	if name != w.blow.at {
		return do(false)
	}
	w.hit = true
	if w.blow.torn {
		if err := do(true); err != nil {
			return err
		}
	}
	if w.blow.err != nil {
		if w.blow.lasts {
			where, _, _ := strings.Cut(name, " ")
			l.sick[where] = w.blow.err
		}
		return &fs.PathError{Op: "blow", Path: name, Err: w.blow.err}
	}
	l.die(w.blow.loss)
	return storetest.ErrCrashed
}

// die ends the life as a kill or a power cut does; the world's mu is held.
func (l *life) die(loss storetest.Loss) {
	if l.dead {
		return
	}
	l.dead = true
	l.flash, l.ram = l.w.state.Restart(loss), l.w.ram.Restart(loss)
	l.router = l.w.router.Twin()
	for _, c := range l.wires {
		if loss == storetest.Kill { // the kernel closes what the process had open
			c.Conn.Close()
		}
		c.Conn.SetReadDeadline(time.Now())
	}
	close(l.died)
}

// A disk is a file system whose changes are steps.
type disk struct {
	*storetest.FS
	life *life
	name string // "flash", "ram"
}

var _ store.FS = (*disk)(nil)

func (d *disk) change(call, file string, room bool, do func(torn bool) error) error {
	return d.life.step(d.name+" "+call+" "+path.Base(file), func(torn bool) error {
		if err := d.life.sick[d.name]; err != nil && (room || err != syscall.ENOSPC) {
			return &fs.PathError{Op: call, Path: file, Err: err}
		}
		return do(torn)
	})
}

func (d *disk) Mkdir(dir string, perm fs.FileMode) error {
	if _, err := d.FS.ReadDir(dir); err == nil {
		return fs.ErrExist
	}
	return d.change("mkdir", dir, true, func(bool) error { return d.FS.Mkdir(dir, perm) })
}

func (d *disk) Create(file string, perm fs.FileMode) (out store.Writer, err error) {
	err = d.change("create", file, true, func(bool) error {
		f, err := d.FS.Create(file, perm)
		out = &pen{f, d, file}
		return err
	})
	return out, err
}

func (d *disk) Rename(from, to string) error {
	return d.change("rename", to, false, func(bool) error { return d.FS.Rename(from, to) })
}

func (d *disk) Remove(file string) error {
	if _, err := d.FS.ReadFile(file, 0); err != nil {
		return err
	}
	return d.change("remove", file, false, func(bool) error { return d.FS.Remove(file) })
}

func (d *disk) SyncDir(dir string) error {
	return d.change("syncdir", dir, false, func(bool) error { return d.FS.SyncDir(dir) })
}

// A pen writes one file of a disk.
type pen struct {
	f    store.Writer
	disk *disk
	file string
}

func (p *pen) Write(b []byte) (n int, err error) {
	err = p.disk.change("write", p.file, true, func(torn bool) (err error) {
		if torn {
			b = b[:len(b)/2]
		}
		n, err = p.f.Write(b)
		return err
	})
	return n, err
}

func (p *pen) Sync() error {
	return p.disk.change("sync", p.file, false, func(bool) error { return p.f.Sync() })
}

func (p *pen) Close() error { return p.f.Close() }

// A wire is a connection to the ACS whose messages are steps.
type wire struct {
	net.Conn
	life *life
}

var spoken = regexp.MustCompile(`<cwmp:([A-Z]\w+)|<soap(?:env)?:(Fault)`)

// about names what passes on a wire.
func about(p []byte) string {
	text := string(p)
	if head, _, _ := strings.Cut(text, "\r\n"); strings.HasPrefix(head, "HTTP/1.") && !strings.Contains(head, " 200 ") {
		return head[len("HTTP/1.1 "):]
	}
	for _, m := range spoken.FindAllStringSubmatch(text, -1) {
		if name := m[1] + m[2]; name != "ID" && name != "SessionTimeout" && name != "SupportedCWMPVersions" && name != "UseCWMPVersion" && name != "HoldRequests" {
			return name
		}
	}
	if strings.Contains(text, "Content-Length: 0\r\n") {
		return "an empty POST"
	}
	return "more"
}

func (c *wire) Write(p []byte) (n int, err error) {
	what := about(p)
	err = c.life.step("wire sends "+what, func(torn bool) (err error) {
		if torn {
			p = p[:len(p)/2]
		}
		n, err = c.Conn.Write(p)
		return err
	})
	if err == nil {
		err = c.life.step("wire has sent "+what, nothing)
	}
	return n, err
}

func (c *wire) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		if err := c.life.step("wire receives "+about(p[:n]), nothing); err != nil {
			return 0, err
		}
	}
	return n, err
}

// Close of a process that lost its power is heard by nobody.
func (c *wire) Close() error {
	c.life.w.mu.Lock()
	defer c.life.w.mu.Unlock()
	if c.life.dead {
		return nil
	}
	return c.Conn.Close()
}

func nothing(bool) error { return nil }

// begin starts the agent. It may have died when begin returns, or have ended by
// itself.
func (w *world) begin() *life {
	l := &life{w: w, ended: make(chan error, 1), rebooted: make(chan struct{}, 1), died: make(chan struct{}), sick: map[string]error{}}
	w.router.OnReboot(func(bool) { l.rebooted <- struct{}{} })
	ready := make(chan *app.Agent, 4)
	c := w.cfg()
	c.StateFS, c.RunFS = &disk{w.state, l, "flash"}, &disk{w.ram, l, "ram"}
	c.Ready = func(a *app.Agent) { ready <- a }
	c.Dial = l.dial
	var ctx context.Context
	ctx, l.stop = context.WithCancel(context.Background())
	go func() { l.ended <- app.Run(ctx, c) }()
	select {
	case w.agent = <-ready:
	case err := <-l.ended:
		l.ended <- err
	}
	synctest.Wait()
	return l
}

func (l *life) dial(ctx context.Context, network, addr string) (conn net.Conn, err error) {
	if network == "unix" { // there is no bus in this house
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ENOENT}
	}
	err = l.step("wire dials", func(bool) error {
		conn, err = l.w.net.From(l.w.wan).Dial(ctx, network, addr)
		return err
	})
	if err != nil {
		return nil, err
	}
	c := &wire{conn, l}
	l.w.mu.Lock()
	l.wires = append(l.wires, c)
	l.w.mu.Unlock()
	return c, l.step("wire is connected", nothing)
}

// end is the end of a life: with what it left, the next one begins. After a
// loss of power nothing in memory is left, that of the kernel neither.
func (w *world) end(l *life, loss storetest.Loss) {
	w.mu.Lock()
	l.die(loss) // unless it is dead
	w.mu.Unlock()
	l.stop()
	<-l.ended // whatever it says: its disk is gone
	w.state, w.ram, w.router = l.flash, l.ram, l.router
	if loss == storetest.Kill {
		return
	}
	w.boots++
	w.ram, w.router = storetest.New(), fake.New()
	w.router.SetLink("eth1", w.cable)
	for range w.boots - 1 { // each has a boot id of its own
		if err := w.router.Platform().Power.Reboot(context.Background()); err != nil {
			w.t.Fatal(err)
		}
	}
}

// mishap is how a life ends, or that it does not.
type mishap int

const (
	none    mishap = iota
	crashed        // by the blow
	gone           // by itself
	restart        // because the ACS wanted it
)

// wait lets time pass until something happens to the agent.
func (l *life) wait(d time.Duration) (mishap, error) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-l.died:
		return crashed, nil
	case <-l.rebooted:
		return restart, nil
	case err := <-l.ended:
		l.ended <- err
		select {
		case <-l.died: // and so it ended
			return crashed, nil
		default:
			return gone, err
		}
	case <-t.C:
		return none, nil
	}
}
