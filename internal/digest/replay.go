package digest

// Replay protection in bounded memory: a window of nonce counts for each of
// the last nonces that were used with the right password.

import (
	"sync"
	"time"
)

// windowBits is how far nonce counts may arrive out of order.
const windowBits = 64

// A window remembers which counts of one nonce were used.
type window struct {
	issued time.Duration
	cnonce string // of the first use
	high   uint32 // highest count seen
	seen   uint64 // bit i: high-i was seen
}

// take marks a count and reports whether it was new.
func (w *window) take(count uint32) bool {
	if count > w.high {
		if d := count - w.high; d < windowBits {
			w.seen = w.seen<<d | 1
		} else {
			w.seen = 1
		}
		w.high = count
		return true
	}
	bit := uint64(1) << min(w.high-count, windowBits-1)
	if w.high-count >= windowBits || w.seen&bit != 0 {
		return false
	}
	w.seen |= bit
	return true
}

// replay holds the windows. Nonces are numbered as they are issued; what was
// forgotten, and everything issued before it, is refused by floor.
type replay struct {
	max      int
	lifetime time.Duration

	mu      sync.Mutex
	issued  uint64 // number of the last nonce
	floor   uint64 // nonces up to this number are refused unless they have a window
	windows map[uint64]*window
}

// next returns the number of a new nonce.
func (r *replay) next() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.issued++
	return r.issued
}

// first returns the cnonce that a nonce was first used with.
func (r *replay) first(number uint64) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w := r.windows[number]; w != nil {
		return w.cnonce
	}
	return ""
}

// admit reports whether this use of a nonce is its first, and remembers it.
func (r *replay) admit(number uint64, count uint32, issued, now time.Duration, cnonce string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now-issued >= r.lifetime || issued > now {
		return false
	}
	if w := r.windows[number]; w != nil {
		return w.take(count)
	}
	r.makeRoom(now)
	if number <= r.floor {
		return false
	}
	if r.windows == nil {
		r.windows = make(map[uint64]*window)
	}
	r.windows[number] = &window{issued: issued, cnonce: cnonce, high: count, seen: 1}
	return true
}

// makeRoom drops what has expired, and the oldest nonce when all places are
// taken.
func (r *replay) makeRoom(now time.Duration) {
	oldest := uint64(0)
	for n, w := range r.windows {
		if now-w.issued >= r.lifetime {
			delete(r.windows, n)
		} else if oldest == 0 || n < oldest {
			oldest = n
		}
	}
	if len(r.windows) >= r.max {
		delete(r.windows, oldest)
		r.floor = max(r.floor, oldest)
	}
}
