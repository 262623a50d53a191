package control_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"

	"gatehouse/agent/api"
	"gatehouse/agent/control"
	"gatehouse/agent/core"
	"gatehouse/agent/core/coretest"
	"gatehouse/agent/notify"
	"gatehouse/datamodel"
)

// A lamp is a row of the small model behind the socket.
type lamp struct {
	On   bool
	Name string
}

// A house is a service over a table of lamps.
type house struct {
	*testing.T
	api  *api.Service
	mu   sync.Mutex
	rows []lamp
}

type noAttributes struct{}

func (noAttributes) Attributes(_ context.Context, paths []string) iter.Seq2[notify.Attribute, error] {
	return func(yield func(notify.Attribute, error) bool) {
		for _, p := range paths {
			if !yield(notify.Attribute{Name: p, Notification: 1}, nil) {
				return
			}
		}
	}
}
func (noAttributes) SetAttributes(context.Context, []notify.Change) error { return nil }

// write is the participant of a set.
type write struct{ commit func() }

func (*write) Prepare(context.Context) error          { return nil }
func (w *write) Commit(context.Context) (bool, error) { w.commit(); return false, nil }
func (*write) Rollback(context.Context) error         { return nil }

func build(t *testing.T, lamps int) *house {
	t.Helper()
	h := &house{T: t, rows: make([]lamp, lamps)}
	tree, err := datamodel.New(datamodel.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	params := []datamodel.Param[lamp]{
		{Name: "On", At: func(l *lamp) any { return &l.On }, Access: datamodel.ReadWrite},
		{Name: "Name", At: func(l *lamp) any { return &l.Name }, Check: datamodel.Len{Max: 64}},
	}
	if _, err := tree.Add(
		datamodel.Define("Device.Lamp.{i}.", params, datamodel.Source[lamp]{Rows: h.lamps, Stage: h.stage, Topics: []datamodel.Topic{1}}),
	); err != nil {
		t.Fatal(err)
	}
	h.api = api.New(api.Config{
		Tree: tree, Attributes: noAttributes{}, Core: coretest.New(core.Status{State: core.Idle}),
		Reload:  func(context.Context) ([]string, error) { return []string{"log.level"}, nil },
		Written: func(context.Context, []string) { h.api.Resync() },
		Agent:   func(s *api.Status) { s.ACS = "https://acs.example/" },
		Log:     slog.New(slog.DiscardHandler),
	})
	return h
}

func (h *house) lamps(context.Context, []datamodel.Key) iter.Seq2[datamodel.Row[lamp], error] {
	h.mu.Lock()
	rows := slices.Clone(h.rows)
	h.mu.Unlock()
	return func(yield func(datamodel.Row[lamp], error) bool) {
		for i, l := range rows {
			if !yield(datamodel.Row[lamp]{Key: fmt.Sprint(i), Value: &l}, nil) {
				return
			}
		}
	}
}

func (h *house) stage(_ context.Context, tx *datamodel.Tx, at []datamodel.Key, c datamodel.Change[lamp]) error {
	_, err := datamodel.Enlist(tx, at[0], func() (*write, error) {
		return &write{func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			var i int
			fmt.Sscan(at[0], &i)
			h.rows[i] = *c.New
		}}, nil
	})
	return err
}

var (
	root   = api.Caller{Name: "root", Rights: api.Everything}
	reader = api.Caller{Name: "reader", Rights: api.Read}
)

// serve serves connections of memory, and returns what makes one.
func (h *house) serve(who api.Caller) (dial func() net.Conn) {
	h.Helper()
	l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	h.run(l, func(net.Conn) api.Caller { return who })
	return func() net.Conn {
		ours, theirs := net.Pipe()
		go func() {
			select {
			case l.conns <- theirs:
			case <-l.closed:
				theirs.Close()
			}
		}()
		return ours
	}
}

func (h *house) run(l net.Listener, who func(net.Conn) api.Caller) {
	ctx, stop := context.WithCancel(context.Background())
	s := &control.Server{API: h.api, Who: who, Log: slog.New(slog.DiscardHandler)}
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	h.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			h.Error(err)
		}
	})
}

// pipes is a listener of connections in memory.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// do collects an answer.
func do(ctx context.Context, conn net.Conn, req control.Request) (lines []control.Line, err error) {
	for l, err := range control.Do(ctx, conn, req) {
		if err != nil {
			return lines, err
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// say writes a line as it is, and returns the last line of the answer.
func say(t *testing.T, conn net.Conn, text string) (last control.Line, all int) {
	t.Helper()
	defer conn.Close()
	go conn.Write([]byte(text))
	for in := bufio.NewScanner(conn); in.Scan(); all++ {
		last = control.Line{}
		if err := json.Unmarshal(in.Bytes(), &last); err != nil {
			t.Errorf("%q: %v", in.Text(), err)
		}
	}
	return last, all
}

func refused(err error, name string) bool {
	var e *api.Error
	return errors.As(err, &e) && e.Name() == name
}
