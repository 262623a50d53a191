// Since when a link is in its state: the kernel does not tell, so the watch
// and every reading keep it.

package linux

import (
	"sync"
	"time"

	"gatehouse/platform"
)

// tracker knows the last state of each link that exists, and no others.
type tracker struct {
	mu    sync.Mutex
	links map[string]tracked
}

type tracked struct {
	state   string
	changed time.Time // zero: it was like that when first seen
}

func newTracker() *tracker { return &tracker{links: map[string]tracked{}} }

// note takes over the state of one link.
func (t *tracker) note(name, state string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if old, seen := t.links[name]; !seen {
		t.links[name] = tracked{state: state}
	} else if old.state != state {
		t.links[name] = tracked{state, now}
	}
}

// forget drops a link that is gone.
func (t *tracker) forget(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.links, name)
}

// see compares a whole dump, drops what is gone, and fills in Changed.
func (t *tracker) see(links []platform.Link, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	next := make(map[string]tracked, len(links))
	for i := range links {
		l := &links[i]
		was, seen := t.links[l.Name]
		switch {
		case !seen:
			was = tracked{state: l.State}
		case was.state != l.State:
			was = tracked{l.State, now}
		}
		next[l.Name] = was
		l.Changed = was.changed
	}
	t.links = next
}
