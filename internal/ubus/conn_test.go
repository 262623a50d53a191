package ubus_test

// The client against the lab's daemon, and a daemon that means no good.

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/ubus"
	"gatehouse/lab/pipe"
	"gatehouse/lab/ubusd"
)

// house is a daemon in memory, inside a bubble.
type house struct {
	*testing.T
	net    *pipe.Network
	daemon *ubusd.Daemon
	stop   func()
}

const address = "10.0.0.1:1" // lab/pipe wants host and port

func newHouse(t *testing.T) *house {
	h := &house{T: t, net: pipe.New()}
	h.start(&ubusd.Daemon{})
	t.Cleanup(func() { h.stop() })
	return h
}

func (h *house) start(d *ubusd.Daemon) {
	l, err := h.net.Listen("unix", address)
	if err != nil {
		h.Fatal(err)
	}
	ctx, cancel := context.WithCancel(h.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); d.Serve(ctx, l) }()
	h.daemon, h.stop = d, func() { cancel(); <-ended }
}

func (h *house) dial() net.Conn {
	c, err := h.net.Dial(h.Context(), "unix", address)
	if err != nil {
		h.Fatal(err)
	}
	return c
}

// client is a Conn that serves until the test ends.
func (h *house) client() *ubus.Conn {
	c, err := ubus.Open(h.dial(), nil)
	if err != nil {
		h.Fatal(err)
	}
	ctx, cancel := context.WithCancel(h.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); c.Serve(ctx) }()
	h.Cleanup(func() { cancel(); <-ended })
	return c
}

func bubble(t *testing.T, f func(t *testing.T, h *house)) {
	synctest.Test(t, func(t *testing.T) { f(t, newHouse(t)) })
}

func echo(path string) *ubus.Object {
	return &ubus.Object{Path: path, Methods: []ubus.Method{
		{Name: "echo", Args: []ubus.Arg{{Name: "text", Type: ubus.TypeString}}, Serve: func(_ context.Context, c ubus.Call) (ubus.Table, error) {
			return append(ubus.Table{{Name: "user", Value: c.User + ":" + c.Group}}, c.Args...), nil
		}},
		{Name: "refuse", Serve: func(context.Context, ubus.Call) (ubus.Table, error) {
			return ubus.Table{{Name: "why", Value: "no"}}, ubus.PermissionDenied
		}},
		{Name: "fail", Serve: func(context.Context, ubus.Call) (ubus.Table, error) { return nil, errors.New("something") }},
		{Name: "huge", Serve: func(context.Context, ubus.Call) (ubus.Table, error) {
			return ubus.Table{{Name: "x", Value: strings.Repeat("x", 1<<20)}}, nil
		}},
		{Name: "hang", Serve: func(ctx context.Context, _ ubus.Call) (ubus.Table, error) { <-ctx.Done(); return nil, ctx.Err() }},
	}}
}

func TestPublishAndCall(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		server := h.client()
		if _, err := server.Publish(t.Context(), echo("echo")); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct{ method, text, want string }{
			{"echo", `{"text":"hello"}`, "{\n\t\"user\": \"root:root\",\n\t\"text\": \"hello\"\n}\n"},
			{"refuse", "", "{\n\t\"why\": \"no\"\n}\nCommand failed: Permission denied\n"},
			{"fail", "", "Command failed: Unknown error\n"},
			{"huge", "", "Command failed: Out of memory\n"},
			{"nosuch", "", "Command failed: Method not found\n"},
			{"echo", `{"text":"` + strings.Repeat("x", 300<<10) + `"}`, "Command failed: Out of memory\n"},
		} {
			if got, _ := ubusd.Command(h.dial(), "call", "echo", c.method, c.text); got != c.want {
				t.Errorf("%s: %q, not %q", c.method, got, c.want)
			}
		}
		if got, _ := ubusd.Command(h.dial(), "-v", "list", "echo"); !strings.Contains(got, "\t\"echo\":{\"text\":\"String\"}\n") {
			t.Error(got)
		}
		// From one client of ours to another.
		reply, err := h.client().Call(t.Context(), "echo", "echo", ubus.Table{{Name: "n", Value: int64(1 << 40)}})
		if n, _ := reply.Get("n"); err != nil || n != int64(1<<40) {
			t.Errorf("%v %v", reply, err)
		}
		if _, err := h.client().Publish(t.Context(), echo("echo")); !errors.Is(err, ubus.InvalidArgument) {
			t.Errorf("a path that is taken: %v", err)
		}
	})
}

// TestTooManyCalls: one caller that does not wait has 8 under way, all have 32;
// others are told at once, and the connection lives.
func TestTooManyCalls(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		if _, err := h.client().Publish(t.Context(), echo("echo")); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		refused := make(chan error, 100)
		for range 5 {
			c := h.client()
			for range 9 {
				go func() {
					if _, err := c.Call(ctx, "echo", "hang", nil); ctx.Err() == nil {
						refused <- err
					}
				}()
			}
		}
		synctest.Wait()
		if n := len(refused); n != 45-32 {
			t.Errorf("%d were refused", n)
		}
		if err := <-refused; !errors.Is(err, ubus.Timeout) {
			t.Error(err)
		}
	})
}

func TestSubscribeAndListen(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		server, client := h.client(), h.client()
		var active []bool
		o := echo("echo")
		o.Subscribed = func(on bool) { active = append(active, on) }
		id, err := server.Publish(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		var heard []string
		hear := func(e ubus.Event) {
			switch text, _ := e.Data.Get("n"); {
			case e.Gone:
				heard = append(heard, "gone")
			default:
				heard = append(heard, e.Name)
				_ = text
			}
		}
		if err := client.Subscribe(t.Context(), "echo", hear); err != nil {
			t.Fatal(err)
		}
		if err := client.Listen(t.Context(), "net*", hear); err != nil {
			t.Fatal(err)
		}
		if err := client.Subscribe(t.Context(), "nobody", hear); !errors.Is(err, ubus.NotFound) {
			t.Error(err)
		}
		server.Notify(id, "one", ubus.Table{{Name: "n", Value: 1}})
		synctest.Wait()
		server.Send(t.Context(), "network.interface", nil)
		server.Send(t.Context(), "other", nil)
		synctest.Wait()
		if err := server.Remove(t.Context(), id); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if want := []string{"one", "network.interface", "gone"}; !slices.Equal(heard, want) || !slices.Equal(active, []bool{true}) {
			t.Errorf("%v %v", heard, active)
		}
	})
}

// TestFloodOfNews: what cannot wait is lost, and that is told.
func TestFloodOfNews(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		server, client := h.client(), h.client()
		id, err := server.Publish(t.Context(), echo("echo"))
		if err != nil {
			t.Fatal(err)
		}
		release, told, lost := make(chan struct{}), 0, 0
		if err := client.Subscribe(t.Context(), "echo", func(e ubus.Event) {
			<-release
			if told++; e.Lost {
				lost++
			}
		}); err != nil {
			t.Fatal(err)
		}
		for range 1000 {
			server.Notify(id, "n", nil)
		}
		synctest.Wait()
		close(release)
		synctest.Wait()
		if told > 200 || lost != 1 {
			t.Errorf("%d told, %d of them of a loss", told, lost)
		}
	})
}

// TestForgedAnswer: whoever has published something can send an answer to
// anybody; it counts for nothing when another was asked.
func TestForgedAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		go func() {
			theirs.Write(wire(0, 0, 99))
			read(theirs)
			theirs.Write(wire(1, 1, 666, 0x01000008, 4)) // NotFound, of object 666
			theirs.Write(wire(1, 1, 7, 0x01000008, 0))
			read(theirs)
		}()
		c, err := ubus.Open(ours, nil)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		go func() { defer close(ended); c.Serve(ctx) }()
		if _, err := c.Invoke(t.Context(), 7, "m", nil); err != nil {
			t.Error(err)
		}
		cancel()
		<-ended
		theirs.Close()
	})
}

func wire(kind byte, seq uint16, peer uint32, words ...uint32) []byte {
	b := []byte{0, kind, byte(seq >> 8), byte(seq)}
	b = binary.BigEndian.AppendUint32(b, peer)
	b = binary.BigEndian.AppendUint32(b, uint32(4+4*len(words)))
	for _, w := range words {
		b = binary.BigEndian.AppendUint32(b, w)
	}
	return b
}

func read(c net.Conn) { c.Read(make([]byte, 1<<16)) }

// TestHostileDaemon: a daemon that lies costs the connection and nothing else.
func TestHostileDaemon(t *testing.T) {
	for name, words := range map[string][]byte{
		"no greeting":     wire(1, 0, 0),
		"another version": {1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4},
		"a web server":    []byte("HTTP/1.1 400 Bad Request\r\n\r\n"),
		"silence":         nil,
	} {
		synctest.Test(t, func(t *testing.T) {
			ours, theirs := net.Pipe()
			defer theirs.Close()
			go theirs.Write(words)
			if _, err := ubus.Open(ours, nil); err == nil {
				t.Errorf("%s: welcome", name)
			}
		})
	}
	for name, words := range map[string][]byte{
		"an endless answer":       {0, 2, 0, 1, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff},
		"an attribute too long":   wire(2, 1, 0, 0x030000ff),
		"a status without a code": wire(1, 1, 0),
		"hangs up":                nil,
	} {
		synctest.Test(t, func(t *testing.T) {
			ours, theirs := net.Pipe()
			go func() {
				theirs.Write(wire(0, 0, 99))
				read(theirs)
				theirs.Write(words)
				theirs.Close()
			}()
			c, err := ubus.Open(ours, nil)
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- c.Serve(t.Context()) }()
			if _, err := c.Lookup(t.Context(), ""); err == nil {
				t.Errorf("%s: believed", name)
			}
			if err := <-ended; !errors.Is(err, ubus.ErrClosed) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

// TestKeep: a daemon that is restarted gets the objects again.
func TestKeep(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		ups := 0
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			ubus.Keep(ctx, ubus.Config{
				Path: address, Dial: h.net.Dial,
				Wait: func(context.Context, string) ubus.Waiter { return nil },
				Up: func(ctx context.Context, c *ubus.Conn) error {
					ups++
					_, err := c.Publish(ctx, echo("echo"))
					return err
				},
			})
		}()
		synctest.Wait()
		for round := 1; round <= 3; round++ {
			if out, code := ubusd.Command(h.dial(), "list"); out != "echo\n" || code != 0 || ups != round {
				t.Errorf("round %d: %q, %d times up", round, out, ups)
			}
			h.stop()
			time.Sleep(time.Hour) // in vain, at most every 5 minutes
			h.start(&ubusd.Daemon{})
			time.Sleep(5*time.Minute + time.Second)
			synctest.Wait()
		}
		cancel()
		<-done
	})
}

// TestKeepCounts: while there is no daemon, tries become rare.
func TestKeepCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		ubus.Keep(ctx, ubus.Config{
			Dial: func(context.Context, string, string) (net.Conn, error) { tries++; return nil, os.ErrNotExist },
			Wait: func(context.Context, string) ubus.Waiter { return nil },
		})
		if tries > 24*12+10 {
			t.Errorf("%d tries in a day", tries)
		}
	})
}

// TestKeepSilence: a daemon that greets and then says nothing is left, and
// tried again.
func TestKeepSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var greeted atomic.Int32
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		ubus.Keep(ctx, ubus.Config{
			Dial: func(context.Context, string, string) (net.Conn, error) {
				ours, theirs := net.Pipe()
				go func() {
					theirs.Write(wire(0, 0, 99))
					read(theirs)
					read(theirs) // until we have gone
					theirs.Close()
					greeted.Add(1)
				}()
				return ours, nil
			},
			Wait: func(context.Context, string) ubus.Waiter { return nil },
			Up:   func(ctx context.Context, c *ubus.Conn) error { _, err := c.Publish(ctx, echo("echo")); return err },
		})
		synctest.Wait()
		if n := greeted.Load(); n < 10 || n > 30 {
			t.Errorf("tried %d times in an hour", n)
		}
	})
}

// TestKeepByInotify: on a real file system no time passes: the socket tells.
func TestKeepByInotify(t *testing.T) {
	dir, err := os.MkdirTemp("", "gh-ubus")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "ubus.sock")
	tries, up := make(chan struct{}, 10), make(chan struct{}, 10)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		ubus.Keep(ctx, ubus.Config{Path: path,
			Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
				c, err := new(net.Dialer).DialContext(ctx, network, address)
				tries <- struct{}{}
				return c, err
			},
			Up: func(context.Context, *ubus.Conn) error { up <- struct{}{}; return nil },
		})
	}()
	<-tries
	os.WriteFile(filepath.Join(dir, "another"), nil, 0o600) // is nobody's business
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	serving, stop := context.WithCancel(t.Context())
	served := make(chan struct{})
	go func() { defer close(served); (&ubusd.Daemon{}).Serve(serving, l) }()
	<-up
	if len(tries) != 1 {
		t.Errorf("%d more tries than needed", len(tries)-1)
	}
	cancel()
	<-done
	stop()
	<-served
}

// TestSubscriber: one subscriber hears several objects, for as long as it is
// subscribed, and is told when one of them goes.
func TestSubscriber(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		server, client := h.client(), h.client()
		var ids []uint32
		for _, path := range []string{"one", "two"} {
			id, err := server.Publish(t.Context(), echo(path))
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
		var heard []string
		s, err := client.Subscriber(t.Context(), func(e ubus.Event) {
			name := e.Name
			if e.Gone {
				name = "gone"
			}
			heard = append(heard, name)
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range ids {
			if err := s.Add(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		server.Notify(ids[0], "a", ubus.Table{})
		server.Notify(ids[1], "b", ubus.Table{})
		synctest.Wait()
		if err := s.Drop(t.Context(), ids[0]); err != nil {
			t.Fatal(err)
		}
		server.Notify(ids[0], "c", ubus.Table{})
		server.Notify(ids[1], "d", ubus.Table{})
		synctest.Wait()
		if err := s.Drop(t.Context(), ids[0]); !errors.Is(err, ubus.NotFound) {
			t.Errorf("dropped twice: %v", err)
		}
		server.Remove(t.Context(), ids[1])
		synctest.Wait()
		if want := []string{"a", "b", "d", "gone"}; !slices.Equal(heard, want) {
			t.Errorf("heard %v, not %v", heard, want)
		}
	})
}
