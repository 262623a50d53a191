package notify_test

import (
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/agent/notify"
)

// TestStats: what is watched, and what waits to be told.
func TestStats(t *testing.T) {
	try(t, &post{}, func(p *post) {
		p.bootstrap()
		before := p.Stats()
		p.notification(2, eth1, eth2)
		synctest.Wait()
		if got := p.Stats(); got != (notify.Stats{Watched: before.Watched + 2}) {
			t.Errorf("%+v after %+v", got, before)
		}
		p.tree.set(eth1, "Down")
		p.Hint(links)
		p.wait(time.Second, "+")
		if got := p.Stats(); got.Changed != 1 {
			t.Errorf("%+v with a change", got)
		}
		p.session(eth1 + "=Down")
		p.waited(time.Second)
		if got := p.Stats(); got.Changed != 0 {
			t.Errorf("%+v once it is told", got)
		}
	})
}
