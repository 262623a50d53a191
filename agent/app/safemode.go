package app

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"sync"
	"time"

	"gatehouse/datamodel"
)

// Safe mode: an agent that ended badly several times soon after its start
// comes up with DeviceInfo and ManagementServer alone, so that the ACS can
// still reach it and push a firmware that mends it. An ACS that cannot be
// reached never counts; one good session, or a day, ends it.
const (
	abnormalExits  = 3
	soonAfterStart = 10 * time.Minute
	safeModeLasts  = 24 * time.Hour
)

// starts is kept in the run directory: how often the agent ended badly, and
// since when it runs. A process that ends well puts running back.
type starts struct {
	bad     int
	running int64 // uptime of the device at the start, in seconds; negative: not running
}

// A health keeps the file of starts. Several tasks report to it.
type health struct {
	file datamodel.Backing
	mu   sync.Mutex
	now  starts
}

// begin reads what became of the last process, counts it, and says that this
// one is running. uptime is that of the device: wall time cannot be trusted.
// An error says that this one's end will not be counted.
func (h *health) begin(uptime time.Duration) (safe bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	body, err := h.file.Load()
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	h.now = parseStarts(string(body))
	if h.now.running >= 0 {
		h.now.bad++ // it never said good-bye, and had not been called steady
	}
	h.now.running = int64(uptime / time.Second)
	return h.now.bad >= abnormalExits, errors.Join(err, h.save())
}

// steady says that the process has been running long enough, or has had a good
// session: what happened before is forgotten, and a later end is no sign of a
// bad start.
func (h *health) steady() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = starts{running: -1}
	return h.save()
}

// end says that the process ends as it was told to.
func (h *health) end() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now.running = -1
	return h.save()
}

// save writes the file; h.mu is held.
func (h *health) save() error {
	text := fmt.Sprintf("bad %d\nrunning %d\n", h.now.bad, h.now.running)
	return h.file.Save([]byte(text))
}

func parseStarts(text string) starts {
	s := starts{running: -1}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.Atoi(value)
		if err != nil {
			continue
		}
		switch name {
		case "bad":
			s.bad = n
		case "running":
			s.running = int64(n)
		}
	}
	return s
}
