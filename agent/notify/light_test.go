package notify_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// lights is a post whose notifier calls for lightweight notifications.
func lights(t *testing.T, f func(p *post, calls func() int)) {
	n := 0
	try(t, &post{light: func() { n++ }}, func(p *post) {
		p.bootstrap()
		f(p, func() int {
			synctest.Wait()
			was := n
			n = 0
			return was
		})
	})
}

// unsent fails the test unless the next notification holds just this, and
// sends it.
func (p *post) unsent(want ...string) {
	p.t.Helper()
	items, err := p.Unsent(p.ctx)
	if err != nil {
		p.t.Fatal(err)
	}
	var got []string
	for _, it := range items {
		got = append(got, it.Name+"="+it.Value)
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		p.t.Errorf("unsent %q, want %q", got, want)
	}
	if err := p.Sent(p.ctx, items); err != nil {
		p.t.Fatal(err)
	}
}

func (p *post) lightweight(on bool) {
	p.t.Helper()
	if err := p.Lightweight(p.ctx, on); err != nil {
		p.t.Fatal(err)
	}
}

// TestLightweightActive: 5 calls for a notification and for no session, 6 for
// both; passive ones go with it, and what was sent is not sent again.
func TestLightweightActive(t *testing.T) {
	lights(t, func(p *post, calls func() int) {
		p.lightweight(true)
		p.notification(5, eth1)
		p.notification(6, eth2)
		p.notification(3, gw)
		p.unsent()
		p.tree.set(gw, "192.0.2.253")
		p.Hint(routes)
		p.wait(time.Hour, "") // a passive one waits
		if calls() != 0 {
			t.Error("a passive change called")
		}
		p.tree.set(eth1, "Down")
		p.Hint(links)
		p.wait(time.Second, "")
		if calls() != 1 {
			t.Error("an active change did not call once")
		}
		p.unsent(eth1+"=Down", gw+"=192.0.2.253")
		p.unsent()
		p.Hint(links)
		p.wait(time.Hour, "")
		if calls() != 0 {
			t.Error("what was sent calls again")
		}
		p.tree.set(eth2, "Up")
		p.Hint(links)
		p.wait(time.Second, "") // 6 reports passively in an Inform
		p.unsent(eth2 + "=Up")
		p.session(eth2 + "=Up")
	})
}

// TestLightweightWithoutTopic: what no hint tells of is looked at once a
// minute, and only while it is active.
func TestLightweightWithoutTopic(t *testing.T) {
	const level = "Device.Quiet.Level"
	lights(t, func(p *post, calls func() int) {
		p.lightweight(true)
		p.notification(5, level)
		p.tree.set(level, "4")
		p.wait(61*time.Second, "")
		if calls() != 1 {
			t.Error("not noticed within a minute")
		}
		p.unsent(level + "=4")
		p.notification(3, level)
		p.tree.count()
		p.wait(time.Hour, "")
		if reads, walks := p.tree.count(); reads+walks != 2*60 { // two declared columns without a topic
			t.Errorf("%d reads and %d walks", reads, walks)
		}
	})
}

// TestLightweightOff: while no protocol is used, the attributes cost nothing;
// it begins with the values of that moment.
func TestLightweightOff(t *testing.T) {
	lights(t, func(p *post, calls func() int) {
		p.notification(5, eth1)
		p.tree.count()
		p.tree.set(eth1, "Down")
		p.Hint(links)
		p.wait(time.Second, "")
		p.unsent()
		if reads, walks := p.tree.count(); reads+walks+calls() != 1 { // the declared column
			t.Errorf("%d reads, %d walks", reads, walks)
		}
		p.lightweight(true)
		p.unsent()
		p.tree.set(eth1, "Up")
		p.lightweight(false)
		p.lightweight(true)
		p.unsent()
	})
}

// TestLightweightOfTheACS: what the ACS has set itself is no news to it, and
// what is deleted or switched off is forgotten.
func TestLightweightOfTheACS(t *testing.T) {
	lights(t, func(p *post, calls func() int) {
		p.lightweight(true)
		p.notification(5, eth1, eth2)
		p.tree.set(eth1, "Down")
		if err := p.Told(p.ctx, eth1); err != nil {
			t.Fatal(err)
		}
		p.Hint(links)
		p.wait(time.Second, "")
		p.unsent()
		p.tree.set(eth1, "Up")
		p.notification(0, eth1)
		p.Hint(links)
		p.wait(time.Second, "")
		p.unsent()
		p.tree.fail("Device.Ethernet.")
		p.Hint(links)
		p.wait(time.Second, "")
		p.unsent() // unknown is not changed
		if calls() != 0 {
			t.Error("called")
		}
	})
}
