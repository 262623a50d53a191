// Which connection requests are new: the newest time stamp that was seen well
// signed, and what was seen in its second. The wall clock has no say, because
// a router's may be wrong; ids have none, because they are random numbers.

package nat

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

const (
	// maxSeen is how many different requests of one second are remembered, and
	// so how many pass: no ACS knocks as often.
	maxSeen = 64
	// saveEvery is how long a mark may stay in memory only. A crash within it
	// lets requests of these minutes pass once more, which costs a session;
	// a clean stop forgets nothing.
	saveEvery = 10 * time.Minute
	// lockedOut is how long nothing was accepted, and backwards how far the
	// ACS's clock must have gone, before an older request is believed again.
	lockedOut = 24 * time.Hour
)

// A mark is how far the time of the ACS has come. The zero value believes
// everything.
type mark struct {
	newest int64 // Unix seconds of the newest request accepted or copied
	seen   [maxSeen][sha1.Size]byte
	n      int
	full   bool   // all of that second counts as seen
	key    string // what the password is told by

	accepted time.Time // when the last one was taken, or counting began
	back     bool      // a session went well long after that: see lockedOut

	state   Backing
	log     *slog.Logger
	dirty   bool
	savedAt time.Time // zero: not yet
}

type freshness uint8

const (
	fresh freshness = iota
	copied
	stale
)

// judge tells whether a well signed request is new, and takes note of it.
func (m *mark) judge(ts int64, sig *[sha1.Size]byte, now time.Time) freshness {
	if m.accepted.IsZero() {
		m.accepted = now
	}
	switch {
	case ts < m.newest:
		if !m.back || ts > m.newest-int64(lockedOut/time.Second) {
			return stale
		}
		m.advance(ts)
	case ts > m.newest:
		m.advance(ts)
	default:
		for i := range m.n {
			if m.seen[i] == *sig {
				return copied
			}
		}
		if m.full || m.n == maxSeen {
			return stale
		}
	}
	m.seen[m.n] = *sig
	m.n++
	m.accepted, m.back, m.dirty = now, false, true
	return fresh
}

func (m *mark) advance(ts int64) { m.newest, m.n, m.full = ts, 0, false }

// sessionSucceeded notes that the ACS was reached: its clock may have gone
// back, and a day without a request makes that worth believing, once.
func (m *mark) sessionSucceeded(now time.Time) {
	if m.accepted.IsZero() {
		m.accepted = now
	}
	if now.Sub(m.accepted) >= lockedOut {
		m.back = true
	}
}

// password starts over when it is another one: what was signed with the old
// one is worth nothing.
func (m *mark) password(key Secret) {
	mac := hmac.New(sha1.New, []byte(key))
	mac.Write([]byte("gatehouse: which password the mark belongs to"))
	told := hex.EncodeToString(mac.Sum(nil)[:4])
	if m.key == told {
		return
	}
	if m.key != "" {
		m.advance(0)
		m.dirty = true
	}
	m.key = told
}

// due is when the mark is to be saved; zero: not at all.
func (m *mark) due() time.Time {
	if !m.dirty || m.state == nil {
		return time.Time{}
	}
	return m.savedAt.Add(saveEvery)
}

// save writes the mark down.
func (m *mark) save(now time.Time) {
	if !m.dirty || m.state == nil {
		return
	}
	m.dirty, m.savedAt = false, now
	if err := m.state.Save(fmt.Appendf(nil, "newest %d\nkey %s\n", m.newest, m.key)); err != nil {
		m.log.Warn("a reboot would let old UDP connection requests pass", "err", err)
	}
}

// load reads what save wrote. All of the newest second counts as seen.
func (m *mark) load(state Backing, log *slog.Logger) {
	m.state, m.log = state, log
	if state == nil {
		return
	}
	body, err := state.Load()
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			log.Warn("old UDP connection requests may pass", "err", err)
		}
		return
	}
	for line := range strings.Lines(string(body)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch name {
		case "newest":
			if n, err := strconv.ParseInt(value, 10, 64); err == nil && n > 0 {
				m.newest, m.full = n, true
			}
		case "key":
			m.key = value
		}
	}
}
