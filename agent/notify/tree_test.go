package notify_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/agent/notify"
	"gatehouse/datamodel"
)

// ports is a table of the real engine, with knobs.
type ports struct {
	mu   sync.Mutex
	rows []port
	err  error
}

type port struct{ name, status string }

func (s *ports) all(context.Context, []datamodel.Key) iter.Seq2[datamodel.Row[port], error] {
	return func(yield func(datamodel.Row[port], error) bool) {
		s.mu.Lock()
		rows, err := slices.Clone(s.rows), s.err
		s.mu.Unlock()
		if err != nil {
			yield(datamodel.Row[port]{}, err)
			return
		}
		for _, p := range rows {
			if !yield(datamodel.Row[port]{Key: p.name, Value: &p}, nil) {
				return
			}
		}
	}
}

func (s *ports) now(rows []port, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows, s.err = rows, err
}

// The engine itself answers as the fake tree does.
func TestOnTheRealTree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &ports{rows: []port{{"eth0", "Up"}, {"eth1", "Down"}}}
		tree, err := datamodel.New(datamodel.Options{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = tree.Add(datamodel.Define("Device.Port.{i}.", []datamodel.Param[port]{
			{Name: "Name", At: func(p *port) any { return &p.name }, Notify: datamodel.NotifyNever},
			{Name: "Status", At: func(p *port) any { return &p.status }, Notify: datamodel.NotifyDefaultOn},
		}, datamodel.Source[port]{Rows: src.all, Topics: []datamodel.Topic{links}}))
		if err != nil {
			t.Fatal(err)
		}
		p := &post{t: t}
		p.Notifier, err = notify.New(notify.Config{
			Tree: tree, Defaults: func() iter.Seq[datamodel.Info] { return notify.Defaults(tree) },
			Attributes: &p.attrs, Told: &p.told, Run: &p.run, Core: p.core,
		})
		if err != nil {
			t.Fatal(err)
		}
		p.ctx, p.kill = context.WithCancel(t.Context())
		p.Start(p.ctx)
		defer p.stop()

		p.bootstrap()
		src.now([]port{{"eth1", "Down"}, {"eth0", "Down"}, {"eth2", "Up"}}, nil)
		p.Hint(routes)
		p.wait(time.Second, "+") // the comparison of the start
		p.session("Device.Port.1.Status=Down")
		p.wait(0, "-")

		src.now(nil, errors.New("netlink is busy"))
		p.Hint(links)
		p.wait(time.Second, "")
		src.now([]port{{"eth0", "Up"}}, nil)
		p.Hint(links)
		p.wait(time.Second, "+")
		if err := p.Told(p.ctx, "Device.Port.1."); err != nil {
			t.Error(err)
		}
		p.wait(0, "-")
		p.notification(0, "Device.Port.")
		src.now([]port{{"eth0", "Dormant"}}, nil)
		p.Hint(links)
		p.wait(time.Second, "")

		got, err := p.get("Device.", "Device.Port.1.Name")
		if want := "[Port.1.Name=0[Subscriber] Port.1.Status=0[Subscriber] PortNumberOfEntries=0[Subscriber] Port.1.Name=0[Subscriber]]"; err != nil || fmt.Sprint(got) != want {
			t.Errorf("%v, %v", got, err)
		}
		p.notification(2, "Device.PortNumberOfEntries")
		src.now([]port{{"eth0", "Up"}, {"eth9", "Up"}}, nil)
		p.Hint(links)
		p.wait(time.Second, "+")
		p.session("Device.PortNumberOfEntries=2")
		err = p.SetAttributes(p.ctx, []notify.Change{change("Device.Port.1.Name", 2)})
		if !errors.Is(err, notify.ErrRejected) {
			t.Error(err)
		}
		if _, err := p.get("Device.Port.1"); !errors.Is(err, datamodel.ErrNoName) {
			t.Errorf("an object without its dot: %v", err)
		}
	})
}
