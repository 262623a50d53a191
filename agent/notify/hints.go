package notify

import (
	"sync"

	"gatehouse/datamodel"
)

// hints collects topics until somebody looks. It is a set: however often
// something flaps, it holds one entry for it.
type hints struct {
	some chan struct{} // something is there
	mu   *sync.Mutex
	set  map[datamodel.Topic]struct{}
	all  *bool // hints were lost
}

func newHints() hints {
	return hints{make(chan struct{}, 1), new(sync.Mutex), map[datamodel.Topic]struct{}{}, new(bool)}
}

func (h hints) add(t datamodel.Topic) {
	h.mu.Lock()
	h.set[t] = struct{}{}
	h.mu.Unlock()
	h.wake()
}

func (h hints) lost() {
	h.mu.Lock()
	*h.all = true
	h.mu.Unlock()
	h.wake()
}

func (h hints) wake() {
	select {
	case h.some <- struct{}{}:
	default: // the one in the channel is for this hint, too
	}
}

// take returns what was hinted at since the last call.
func (h hints) take() (topics []datamodel.Topic, all bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for t := range h.set {
		topics = append(topics, t)
	}
	clear(h.set)
	all, *h.all = *h.all, false
	return topics, all
}
