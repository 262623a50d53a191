package notify

import (
	"sync"
	"time"

	"gatehouse/datamodel"
)

// hints collects topics until somebody looks, a while after the first. It is a
// set: however often something flaps, it holds one entry for it.
type hints struct {
	wait time.Duration
	look func() // at what take returns

	mu    sync.Mutex
	set   map[datamodel.Topic]struct{}
	all   bool        // hints were lost
	live  bool        // somebody looks
	timer *time.Timer // to look; nil: there is nothing
}

func (h *hints) add(t datamodel.Topic) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.set == nil {
		h.set = map[datamodel.Topic]struct{}{}
	}
	h.set[t] = struct{}{}
	h.wake()
}

func (h *hints) lost() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = true
	h.wake()
}

// start lets somebody look from now on, and stop nobody.
func (h *hints) start() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.live = true
}

func (h *hints) stop() {
	h.take()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.live = false
}

func (h *hints) wake() {
	if h.live && h.timer == nil {
		h.timer = time.AfterFunc(h.wait, h.look)
	}
}

// take returns what was hinted at since the last call.
func (h *hints) take() (topics []datamodel.Topic, all bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for t := range h.set {
		topics = append(topics, t)
	}
	clear(h.set)
	all, h.all = h.all, false
	if h.timer != nil {
		h.timer.Stop()
		h.timer = nil
	}
	return topics, all
}
