package notify_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"gatehouse/agent/notify"
	"gatehouse/internal/store/storetest"
)

const (
	eth1 = "Device.Ethernet.Interface.1.Status"
	eth2 = "Device.Ethernet.Interface.2.Status"
	gw   = "Device.Routing.Router.1.Gateway"
	url  = "Device.ManagementServer.ConnectionRequestURL"
)

func TestActive(t *testing.T) {
	try(t, &post{}, func(p *post) {
		p.bootstrap()
		p.notification(2, eth1, eth2)
		p.tree.set(eth1, "Down")
		p.wait(time.Hour, "") // without a hint nobody looks
		p.Hint(links)
		p.wait(time.Second, "+")
		p.Hint(links)
		p.wait(time.Second, "") // asked for already
		p.tree.set(eth2, "Up")
		p.session(eth1+"=Down", eth2+"=Up") // seen while the Inform is built
		p.Hint(links)
		p.wait(time.Hour, "-") // what core may still hold was told in passing
		p.session()
	})
}

func TestBackBeforeTheSession(t *testing.T) {
	try(t, &post{}, func(p *post) {
		p.bootstrap()
		p.notification(2, eth1)
		p.tree.set(eth1, "Down")
		p.Hint(links)
		p.wait(time.Second, "+")
		p.tree.set(eth1, "Up")
		p.Hint(links)
		p.wait(time.Second, "-")
		p.session()
	})
}

// TestBackInTheSession: the value that core was asked to report is back while
// the Inform is built, and gone again after it: that is news.
func TestBackInTheSession(t *testing.T) {
	try(t, &post{}, func(p *post) {
		p.bootstrap()
		p.notification(2, eth1)
		p.tree.set(eth1, "Down")
		p.Hint(links)
		p.wait(time.Second, "+")
		p.tree.set(eth1, "Up")
		p.session()
		p.wait(time.Second, "-")
		p.tree.set(eth1, "Down")
		p.Hint(links)
		p.wait(time.Second, "+")
		p.session(eth1 + "=Down")
	})
}

func TestOnlyWhatTheHintConcerns(t *testing.T) {
	try(t, &post{}, func(p *post) {
		p.bootstrap()
		p.notification(2, eth1, eth2, gw)
		p.wait(time.Second, "")
		p.tree.count()
		p.Hint(routes)
		p.wait(time.Second, "")
		if n, _ := p.tree.count(); n != 1 {
			t.Errorf("%d reads for a hint that concerns one parameter", n)
		}
	})
}

func TestPassive(t *testing.T) {
	try(t, &post{}, func(p *post) {
		p.bootstrap()
		for i, c := range []struct {
			value int
			told  bool
		}{{1, true}, {4, true}, {6, true}, {3, false}, {5, false}, {0, false}} {
			p.notification(c.value, gw)
			p.tree.set(gw, fmt.Sprintf("192.0.2.%d", i))
			p.Hint(routes)
			p.wait(time.Hour, "")
			if c.told {
				p.session(fmt.Sprintf("%s=192.0.2.%d", gw, i))
			} else {
				p.session()
			}
		}
	})
}

func TestPollWithoutTopic(t *testing.T) {
	try(t, &post{tree: newFake()}, func(p *post) {
		p.tree.del("Device.Unit.1.Status")
		p.bootstrap()
		p.notification(2, "Device.Quiet.Level", eth1)
		p.tree.set("Device.Quiet.Level", "4")
		p.wait(59*time.Second, "")
		p.wait(2*time.Second, "+")
		p.session("Device.Quiet.Level=4")
		p.wait(0, "-")
		p.notification(1, "Device.Quiet.Level")
		p.tree.set("Device.Quiet.Level", "5")
		p.wait(time.Hour, "")
	})
}

func TestNoPollWithTopics(t *testing.T) {
	tree := newFake()
	clear(tree.notify)
	try(t, &post{tree: tree}, func(p *post) {
		p.notification(2, eth1)
		p.wait(2*time.Minute, "")
		tree.count()
		p.wait(24*time.Hour, "")
		if n, walks := tree.count(); n+walks > 0 {
			t.Errorf("%d reads and %d walks in an idle day", n, walks)
		}
	})
}

func TestUnavailableIsUnknown(t *testing.T) {
	try(t, &post{}, func(p *post) {
		p.bootstrap()
		p.notification(2, eth1, gw)
		p.tree.fail("Device.Ethernet.")
		p.Hint(links)
		p.wait(time.Second, "")
		p.notification(1, eth1) // what was told of it is not forgotten
		p.notification(2, eth1)
		p.session()
		p.tree.fail("")
		p.Resync()
		p.wait(time.Second, "")
		p.tree.del(eth1) // gone, and back with another value
		p.Hint(links)
		p.wait(time.Second, "")
		p.tree.set(eth1, "Dormant")
		p.Hint(links)
		p.wait(time.Second, "+")
		p.session(eth1 + "=Dormant")
	})
}

func TestWhatTheACSHasSet(t *testing.T) {
	try(t, &post{}, func(p *post) {
		p.bootstrap()
		p.notification(2, gw, "Device.Ethernet.InterfaceNumberOfEntries")
		p.tree.set(gw, "192.0.2.7")
		p.tree.set("Device.Ethernet.InterfaceNumberOfEntries", "3")
		p.Hint(routes)
		p.Hint(links)
		p.wait(time.Second, "+") // the hint was faster
		if err := p.Told(p.ctx, gw, "Device.Ethernet.Interface.3."); err != nil {
			t.Error(err)
		}
		p.wait(time.Second, "-")
		p.session()
	})
}

func TestDuringASession(t *testing.T) {
	try(t, &post{}, func(p *post) {
		p.bootstrap()
		p.notification(2, eth1)
		p.tree.set(eth1, "Down")
		p.Hint(links)
		p.wait(time.Second, "+")
		r := p.collect(eth1 + "=Down")
		p.Hint(links)
		p.wait(time.Second, "-") // being told, nothing else is there to tell
		p.tree.set(eth1, "Up")   // as the ACS knew it before
		p.Hint(links)
		p.wait(time.Second, "+")
		if err := p.Delivered(p.ctx, r); err != nil {
			t.Error(err)
		}
		p.wait(time.Second, "")
		p.session(eth1 + "=Up")
		p.session()
	})
}

func TestDropped(t *testing.T) {
	try(t, &post{}, func(p *post) {
		p.bootstrap()
		p.notification(2, eth1)
		p.tree.set(eth1, "Down")
		r := p.collect(eth1 + "=Down")
		p.Hint(links)
		p.wait(time.Second, "")
		if err := p.Dropped(p.ctx, r); err != nil {
			t.Error(err)
		}
		p.wait(0, "+")
		p.session(eth1 + "=Down")
		if err := p.Dropped(p.ctx, r); err != nil { // deferred by the caller
			t.Error(err)
		}
		p.wait(time.Second, "-")
	})
}

func TestDefaults(t *testing.T) {
	try(t, &post{}, func(p *post) {
		p.tree.set(url, "http://192.0.2.2:7547/x")
		p.Hint(links)
		p.wait(time.Second, "") // nobody was told of the one before
		p.bootstrap()
		p.tree.set(url, "http://192.0.2.3:7547/x") // field.md row 17
		p.Hint(links)
		p.wait(time.Second, "+")
		p.session(url + "=http://192.0.2.3:7547/x")
		p.wait(0, "-")
		p.tree.set("Device.Unit.2.Status", "Idle") // a new instance: a new parameter, no change
		p.wait(2*time.Minute, "")
		p.session()
		p.tree.set("Device.Unit.2.Status", "Active")
		p.wait(2*time.Minute, "+")
		p.notification(0, url, "Device.Unit.1.Status")
		p.tree.set("Device.Unit.1.Status", "Active")
		p.tree.set(url, "")
		p.Hint(links)
		p.session("Device.Unit.2.Status=Active")
		p.wait(time.Hour, "-")
		p.notification(1, "Device.Unit.2.Status") // passive: not what the declaration says
		p.tree.set("Device.Unit.2.Status", "Idle")
		p.wait(time.Hour, "")
		p.session("Device.Unit.2.Status=Idle")
	})
}

func TestFlapping(t *testing.T) {
	try(t, &post{}, func(p *post) {
		p.bootstrap()
		p.notification(2, eth1)
		p.wait(time.Minute, "")
		p.tree.count()
		for i := range 10 * 500 {
			p.tree.set(eth1, fmt.Sprint(i))
			p.Hint(links)
			time.Sleep(2 * time.Millisecond)
		}
		p.tree.set(eth1, "Down")
		p.Hint(links)
		if n := len(p.waited(time.Second)); n < 50 || n > 52 {
			t.Errorf("core was asked %d times, want 50", n)
		}
		if n, _ := p.tree.count(); n > 110 {
			t.Errorf("%d reads for ten seconds of flapping", n)
		}
		p.session(eth1 + "=Down")
		p.session()
	})
	n, err := notify.New(notify.Config{Tree: newFake(), Core: func(context.Context, bool) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	n.Hint(links)
	if a := testing.AllocsPerRun(1000, func() { n.Hint(links) }); a > 0 {
		t.Errorf("a hint that is there already costs %v allocations", a)
	}
}

func TestRestart(t *testing.T) {
	try(t, &post{}, func(p *post) {
		p.bootstrap()
		p.notification(2, eth1)
		p.wait(time.Second, "")
		p.stop()
		p.start()
		p.wait(time.Minute, "") // field.md row 34: no VALUE CHANGE for a mere restart
		p.stop()
		p.tree.set(eth1, "Down")
		p.tree.set("Device.DeviceInfo.SoftwareVersion", "2.0")
		p.run.Delete() // a boot, into other firmware
		p.start()
		p.wait(time.Second, "+")
		p.session("Device.DeviceInfo.SoftwareVersion=2.0", eth1+"=Down")
	})
}

func TestKillAtAnyTime(t *testing.T) {
	try(t, &post{}, func(p *post) {
		p.bootstrap()
		p.notification(2, eth1)
		p.tree.set(eth1, "Down")
		p.session(eth1 + "=Down")
		attrs, told, run := p.attrs.Text(), p.told.Text(), p.run.Text()
		p.stop()
		for name, files := range map[string][3]string{ // "": none
			"process killed":         {attrs, told, run},
			"power cut":              {attrs, told, ""},
			"attributes lost":        {"", told, run},
			"told damaged":           {attrs, "key 12\n", ""},
			"told damaged elsewhere": {attrs, "key 000102030405060708090a0b0c0d0e0f\nx", "\xff\x00"},
		} {
			q := &post{t: p.t, tree: p.tree}
			for i, f := range []*storetest.File{&q.attrs, &q.told, &q.run} {
				if files[i] != "" {
					f.Write(files[i])
				}
			}
			q.start()
			if name == "process killed" && len(q.asked) > 0 {
				t.Errorf("%s: VALUE CHANGE for nothing", name)
			}
			r, err := q.Collect(q.ctx, false)
			if err != nil {
				t.Error(err)
			}
			for _, it := range r.Items {
				if it.Name != eth1 || it.Value != "Down" {
					t.Errorf("%s: reports %v", name, it)
				}
			}
			q.stop()
		}
		p.start()
	})
}

func TestWear(t *testing.T) {
	try(t, &post{}, func(p *post) {
		p.bootstrap()
		p.notification(2, eth1)
		told, run := p.told.Saves(), p.run.Saves()
		for i := range 24 {
			p.tree.set(eth1, fmt.Sprint(i))
			p.session(fmt.Sprintf("%s=%d", eth1, i))
			time.Sleep(time.Hour)
		}
		if n := p.told.Saves() - told; n < 3 || n > 4 {
			t.Errorf("%d writes to flash in a day with a change each hour", n)
		}
		if n := p.run.Saves() - run; n != 24 {
			t.Errorf("%d writes to memory for 24 changes", n)
		}
		all := func() int { return p.told.Saves() + p.run.Saves() + p.attrs.Saves() }
		before := all()
		for range 24 {
			p.session()
			time.Sleep(time.Hour)
		}
		if n := all() - before; n > 1 {
			t.Errorf("%d writes in a day with nothing new", n)
		}
	})
}

func TestManyWatches(t *testing.T) {
	tree := newFake()
	for i := range 1000 {
		tree.set(fmt.Sprintf("Device.Host.%d.Active", i+1), "true")
	}
	try(t, &post{tree: tree}, func(p *post) {
		p.bootstrap()
		p.notification(1, "Device.Host.")
		tree.set("Device.Host.7.Active", "false")
		tree.set("Device.Unit.1.Status", "Active")
		tree.count()
		p.session("Device.Host.7.Active=false", "Device.Unit.1.Status=Active")
		if n, walks := tree.count(); walks != 1 || n > 3 {
			t.Errorf("%d walks and %d single reads", walks, n)
		}
	})
}

func TestCoreDoesNotListen(t *testing.T) {
	try(t, &post{deaf: errors.New("not now")}, func(p *post) {
		p.bootstrap()
		p.notification(2, eth1)
		p.tree.set(eth1, "Down")
		p.Hint(links)
		p.wait(time.Second, "+")
		p.Hint(links)
		p.wait(time.Second, "+") // asked for again
	})
}

// The process is killed, and its successor stopped as one should: what only
// the file system in memory knew reaches flash.
func TestToldOfAPredecessor(t *testing.T) {
	try(t, &post{}, func(p *post) {
		p.bootstrap()
		p.notification(2, eth1)
		p.wait(time.Second, "")
		if p.told.Saves() != 2 {
			t.Error("what is watched for the first time is not in flash")
		}
		old := p.told.Text()
		p.tree.set(eth1, "Down")
		p.session(eth1 + "=Down")
		p.stop()
		p.told.Write(old)
		p.start()
		p.stop()
		p.run.Delete()
		p.start()
		p.wait(time.Second, "")
	})
}

func TestOverflow(t *testing.T) {
	try(t, &post{}, func(p *post) {
		p.bootstrap()
		p.notification(2, eth1, gw)
		p.tree.set(gw, "192.0.2.9")
		p.Resync()
		p.wait(time.Second, "+")
		p.tree.set(eth1, "Error")
		p.Hint(links)
		if err := p.Sync(p.ctx); err != nil {
			t.Error(err)
		}
		p.wait(0, "+")
	})
}

func TestReset(t *testing.T) {
	try(t, &post{}, func(p *post) {
		p.bootstrap()
		p.notification(2, eth1)
		if err := p.Reset(p.ctx); err != nil {
			t.Error(err)
		}
		if p.attrs.Text() != "" || strings.Contains(p.told.Text(), "Device.") {
			t.Errorf("left over: %s%s", p.attrs.Text(), p.told.Text())
		}
		p.tree.set(eth1, "Down")
		p.tree.set(url, "")
		p.Resync()
		p.wait(time.Second, "")
		p.bootstrap()
	})
}

func TestStopped(t *testing.T) {
	try(t, &post{}, func(p *post) {
		p.stop()
		if _, err := p.Collect(p.t.Context(), false); !errors.Is(err, notify.ErrStopped) {
			t.Errorf("Collect after the stop: %v", err)
		}
		p.Hint(links)
		p.start()
	})
}
