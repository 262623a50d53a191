package notify

import "sync/atomic"

// Stats say how much there is to notify.
type Stats struct {
	// Watched parameters are compared with what the ACS was told; a column of
	// a table that is watched by declaration counts once.
	Watched int
	// Changed parameters are those that core was asked to report.
	Changed int
}

// counts are the latest Stats, for readers that must not wait for Run.
type counts struct{ watched, changed atomic.Int64 }

// Stats returns how it stood when Run last came to rest. It never blocks.
func (n *Notifier) Stats() Stats {
	return Stats{Watched: int(n.counts.watched.Load()), Changed: int(n.counts.changed.Load())}
}

// count makes the Stats, at the end of each turn.
func (n *Notifier) count() {
	n.counts.watched.Store(int64(len(n.watches)))
	n.counts.changed.Store(int64(len(n.seen)))
}
