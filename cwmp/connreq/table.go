package connreq

// The table of connections: bounded, and never full for a newcomer.

import (
	"net"
	"net/netip"
	"sync"
)

// An entry is one connection.
type entry struct {
	net.Conn
	source        netip.Prefix
	authenticated bool // guarded by table.mu
}

// A table holds the open connections, oldest first. When it is full one that
// has not authenticated goes: the oldest one of the source that has most of
// them. So clients that say nothing, or say it slowly, cost a place until
// somebody else needs it, and who opens many closes their own.
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
		victim := t.victim()
		_ = t.entries[victim].Close() // its goroutine ends by the error
		t.entries = append(t.entries[:victim], t.entries[victim+1:]...)
		t.evicted++
	}
	e := &entry{Conn: c, source: sourceOf(c)}
	t.entries = append(t.entries, e)
	return e
}

// victim returns which connection goes: the oldest of all, should all of them
// be authenticated. The caller holds t.mu.
func (t *table) victim() int {
	of := make(map[netip.Prefix]int)
	for _, e := range t.entries {
		if !e.authenticated {
			of[e.source]++
		}
	}
	victim, most := 0, 0
	for i, e := range t.entries {
		if n := of[e.source]; !e.authenticated && n > most {
			victim, most = i, n
		}
	}
	return victim
}

// sourceOf is what counts as one source: an IPv4 address, or the /64 of an IPv6
// address, because whoever has one address there has them all.
func sourceOf(c net.Conn) netip.Prefix {
	tcp, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	addr := tcp.AddrPort().Addr().Unmap().WithZone("")
	if !addr.IsValid() {
		return netip.Prefix{}
	}
	p, _ := addr.Prefix(min(addr.BitLen(), 64)) // cannot fail: both have as many bits
	return p
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
