package connreq

// The table of connections: bounded, and never full for a newcomer.

import (
	"net"
	"sync"
)

// An entry is one connection.
type entry struct {
	net.Conn
	authenticated bool // guarded by table.mu
}

// A table holds the open connections, oldest first. When it is full the oldest
// one that has not authenticated goes, so clients that say nothing, or say it
// slowly, cost a place until somebody else needs it.
type table struct {
	max int

	mu      sync.Mutex
	entries []*entry
	closed  bool
	evicted uint64
}

// add takes a connection in. It returns nil when the table was closed.
func (t *table) add(c net.Conn) *entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil
	}
	if len(t.entries) >= t.max {
		victim := 0 // the oldest, should all of them be authenticated
		for i, e := range t.entries {
			if !e.authenticated {
				victim = i
				break
			}
		}
		_ = t.entries[victim].Close() // its goroutine ends by the error
		t.entries = append(t.entries[:victim], t.entries[victim+1:]...)
		t.evicted++
	}
	e := &entry{Conn: c}
	t.entries = append(t.entries, e)
	return e
}

// authenticated marks a connection as one that has shown credentials.
func (t *table) authenticated(e *entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e.authenticated = true
}

// remove closes a connection and frees its place.
func (t *table) remove(e *entry) {
	_ = e.Close() // it may be closed already; there is nobody to tell
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, other := range t.entries {
		if other == e {
			t.entries = append(t.entries[:i], t.entries[i+1:]...)
			return
		}
	}
}

// close ends all connections and refuses new ones.
func (t *table) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for _, e := range t.entries {
		_ = e.Close()
	}
}
