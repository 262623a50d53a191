package rooms

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// A Room is a network namespace with lo up. It is gone when nobody is in it any
// more: the test and what it started.
type Room struct {
	// File is the namespace.
	File *os.File
	t    testing.TB
}

// New makes a room. It needs root.
func New(t testing.TB) Room {
	t.Helper()
	if os.Geteuid() != 0 {
		Lacking(t, "needs root to make a network namespace")
	}
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	defer home.Close()
	ns, err := netns.New()
	if err != nil {
		runtime.UnlockOSThread()
		Lacking(t, "cannot make a network namespace: %v", err)
	}
	// Nobody here has an address twice: let them be used at once. The sysctls of
	// a namespace are reached from a thread within it.
	loud := os.WriteFile("/proc/sys/net/ipv6/conf/default/accept_dad", []byte("0"), 0)
	if err := netns.Set(home); err != nil {
		t.Fatal(err) // the thread stays locked, and ends with the test
	}
	runtime.UnlockOSThread()
	if loud != nil {
		t.Logf("duplicate address detection stays on: %v", loud)
	}
	r := Room{os.NewFile(uintptr(ns), "netns"), t}
	t.Cleanup(func() { r.File.Close() })
	r.Links(func(h *netlink.Handle) error {
		lo, err := h.LinkByName("lo")
		if err != nil {
			return err
		}
		return h.LinkSetUp(lo)
	})
	return r
}

// Handle talks to the kernel about the room's network until the test ends.
func (r Room) Handle() *netlink.Handle {
	r.t.Helper()
	h := r.handle()
	r.t.Cleanup(h.Close)
	return h
}

// Links does something to the room's network that must succeed.
func (r Room) Links(f func(*netlink.Handle) error) {
	r.t.Helper()
	h := r.handle()
	defer h.Close()
	if err := f(h); err != nil {
		r.t.Fatal(err)
	}
}

func (r Room) handle() *netlink.Handle {
	r.t.Helper()
	h, err := netlink.NewHandleAt(netns.NsHandle(r.File.Fd()), unix.NETLINK_ROUTE)
	if err != nil {
		r.t.Fatal(err)
	}
	return h
}

// Within calls f on a thread that is in the room: the sockets that it opens
// stay there, and the programs that it starts.
func (r Room) Within(f func() error) error {
	ended := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with us
		err := unix.Setns(int(r.File.Fd()), unix.CLONE_NEWNET)
		if err == nil {
			err = f()
		}
		ended <- err
	}()
	return <-ended
}

// Run runs a line of words in the room; it must succeed.
func (r Room) Run(line string) (said string) {
	r.t.Helper()
	words := strings.Fields(line)
	Need(r.t, words[0])
	err := r.Within(func() error {
		out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
		if said = string(out); err != nil {
			return fmt.Errorf("%s: %w: %s", line, err, out)
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return said
}

// Sysctl sets one of the room's network.
func (r Room) Sysctl(name, value string) {
	r.t.Helper()
	if err := r.Within(func() error { return os.WriteFile("/proc/sys/"+name, []byte(value), 0) }); err != nil {
		r.t.Fatal(err)
	}
}

// Start starts a program in the room, which ends with the test.
func (r Room) Start(cmd *exec.Cmd) {
	r.t.Helper()
	if err := r.Within(cmd.Start); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
}

// An End is one end of a cable.
type End struct {
	Room Room
	Name string // of the interface
	Addr string // with its length; "": none
}

// Cable joins two rooms.
func Cable(a, b End) {
	a.Room.t.Helper()
	a.Room.Links(func(h *netlink.Handle) error {
		return h.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: a.Name}, PeerName: b.Name, PeerNamespace: netlink.NsFd(b.Room.File.Fd())})
	})
	for _, e := range []End{a, b} {
		e.Room.Links(func(h *netlink.Handle) error { return up(h, e.Name, e.Addr) })
	}
}

func up(h *netlink.Handle, name, addr string) error {
	l, err := h.LinkByName(name)
	if err != nil {
		return err
	}
	if addr != "" {
		a, err := netlink.ParseAddr(addr)
		if err != nil {
			return err
		}
		if err := h.AddrAdd(l, a); err != nil {
			return err
		}
	}
	return h.LinkSetUp(l)
}
